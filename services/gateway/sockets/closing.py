"""Why a socket is closed: the codes, and what goes with them. Pure.

What HTTP would refuse with a status is refused here with 4000 more. The others are those of RFC
6455 and of IANA's registry of close codes.
"""

from typing import Final, NamedTuple

from services.gateway.problems import PROBLEMS, Problem
from shared.contracts.limits import SOCKET_HELLO_S

REASON_BYTES_MAX: Final = 123  # RFC 6455, section 5.5: a control frame holds 125
_OWN: Final = 4000


class Close(NamedTuple):
    """The code of a close frame and its reason."""

    code: int
    reason: str = ""

    @property
    def message(self) -> bytes:
        """The reason as it fits the frame."""
        return self.reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore").encode()


LEFT: Final = Close(1000)
STOPPING: Final = Close(1001, "the gateway stops: connect again and resume by last_event_id")
BINARY: Final = Close(1003, "send text frames")
TOO_SLOW: Final = Close(1013, "read too slowly: connect again and resume by last_event_id")
NOT_UNDERSTOOD: Final = Close(4400, "bad_request: a message is one JSON object with type and id")
ENDED: Final = Close(4401, "unauthorized: the key was revoked, or the token has ended")
TOO_LATE: Final = Close(4408, f"too_slow: the first message is hello, within {SOCKET_HELLO_S} s")
NO_PLACE: Final = Close(4429, "too_many_requests: no place is free, come back in 1 s")
AWAY: Final = Close(4503, "unavailable: the log does not answer, connect again and resume")

CODES: Final = {
    1000: "the client has left",
    1001: "the gateway stops; answers that were ready within 3 s were sent",
    1002: "a frame breaks the rules of WebSocket",
    1003: "a binary frame",
    1007: "a text frame is no UTF-8",
    1009: "a message is over the limit",
    1013: "the client read too slowly",
    4400: "a message was not understood: no JSON, no `id`, or a bad `hello`",
    4401: "no good credential; later on: it was revoked, or has ended",
    4403: "the credential does not allow this, or the page's origin does not",
    4408: "no `hello` in time",
    4422: "`hello` breaks a rule",
    4429: "no place is free, or more than the tenant's limits allow",
    4500: "this is our fault",
    4503: "log or store can't be reached",
}
"""Every code that a socket is closed with; what happened."""


def close_of(problem: Problem) -> Close:
    """The close for what HTTP would tell as this problem."""
    retry = problem.headers.get("Retry-After")
    when = "" if retry is None else f", come back in {retry} s"
    return Close(_OWN + PROBLEMS[problem.code].status, f"{problem.code}: {problem.detail}{when}")
