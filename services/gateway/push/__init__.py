"""Outbound streams with bounded queues."""
