"""Aftercall."""
