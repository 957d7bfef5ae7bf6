"""Callstate."""
