"""Zipteams: the disposition status of a customer, and calls that are ingested in batches.

Source: zipteams.github.io/partner-api, "Disposition Status Update API", "Batch Call Ingestion API"
and "Introduction". The pages spell one header both ways: `x-subtenant-id`, `x-sub-tenant-id`.
"""

from services.gateway.dialects.zipteams.dialect import Zipteams

__all__ = ["Zipteams"]
