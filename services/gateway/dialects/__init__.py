"""Vendor dialects: one translator each, both ways."""
