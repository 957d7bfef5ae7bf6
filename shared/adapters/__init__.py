"""What touches the world, grouped by profile."""
