"""Tenants, their agents, codes, places and keys, changed while the service runs."""

from services.gateway.administration.app import Operated, serve_administration
from services.gateway.administration.desk import Administration

__all__ = ["Administration", "Operated", "serve_administration"]
