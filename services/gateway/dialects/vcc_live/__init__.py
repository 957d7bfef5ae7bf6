"""VCC Live: the dispositions of a project's records, one or a batch, and a record with its history.

Source: vcc.live/developers, "Batch disposition modification", "Add disposition", "Get detailed
record information", "Request and Response". Which `error.` words there are beside the one on the
page, what `false` stands for, and the body of a failure are assumptions; see the gateway's README.
"""

from services.gateway.dialects.vcc_live.dialect import VccLive

__all__ = ["VccLive"]
