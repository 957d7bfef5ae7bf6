"""The embedded profile: one SQLite file, one writer thread, group commit."""
