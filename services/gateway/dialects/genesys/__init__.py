"""Genesys Web Services: SetCallDisposition, and the few resources an agent's client asks for.

Source: docs.genesys.com, Web Services and Applications 8.5.2, "SetCallDisposition",
"ReturnValues", "CallResource", "UserResource". The page's table posts to `/me/calls/{id}` and its
sample to `/me/devices/{id}`: both are taken.
"""

from services.gateway.dialects.genesys.dialect import Genesys
from services.gateway.dialects.genesys.resources import call_resource

__all__ = ["Genesys", "call_resource"]
