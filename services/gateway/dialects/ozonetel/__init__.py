"""Ozonetel CloudAgent: generateToken, and the set/get disposition API.

Source: docs.ozonetel.com, "set/get Disposition (Token authentication)" and "Generate Token". The
page lists its answers without an HTTP status and without an order of its checks: here each is a
200, and the first check that fails answers, in the order token, userName, action, agentID, ucid,
disposition, pauseReason, then the call. What the page does not know (a body that is not JSON, too
many requests) has a status of its own.
"""

from services.gateway.dialects.ozonetel.dialect import Ozonetel

__all__ = ["Ozonetel"]
