"""Genesys Web Services: SetCallDisposition, CometD, and what else an agent's client asks for.

Source: docs.genesys.com, Web Services and Applications 8.5.2, "SetCallDisposition",
"ReturnValues", "CallResource", "UserResource". The page's table posts to `/me/calls/{id}` and its
sample to `/me/devices/{id}`: both are taken. `notifications` and `feed`
tell an agent's listeners how its calls move.
"""

from services.gateway.dialects.genesys.dialect import Genesys
from services.gateway.dialects.genesys.notifications import serve_notifications
from services.gateway.dialects.genesys.resources import call_resource

__all__ = ["Genesys", "call_resource", "serve_notifications"]
