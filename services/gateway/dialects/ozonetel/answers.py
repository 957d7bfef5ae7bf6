"""Every answer of the page, spelt as the page spells it: three shapes, one row each.

Source: docs.ozonetel.com, "set/get Disposition (Token authentication)" and "Generate Token". The
rows about call back times and comments are ours, in the page's style.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.contracts import limits

Row = Mapping[str, Any]


def account(message: str) -> Row:
    """About who asks."""
    return {"status": "false", "message": message, "data": None}


def malformed(message: str) -> Row:
    """About what could not be read."""
    return {"status": "Fail", "message": message}


def fail(details: str) -> Row:
    """About what was read."""
    return {"details": details, "status": "Fail"}


def too_many_tokens(most: int) -> Row:
    """More than there are in an hour."""
    return account(f"Only {most} tokens can be generated in an hour")


API_KEY_NEEDED: Final = account("Api Key Should Not be Null or Empty.")
TOKEN_NEEDED: Final = account("Token Should Not be Null or Empty.")
TOKEN_INVALID: Final = account("Invalid Token")
TOKEN_EXPIRED: Final = account("Token Expired")
USER_NAME_NEEDED: Final = account("Username Should Not be Null or Empty.")
USER_INVALID: Final = account("Invalid User Details")
USER_NAME_NULL: Final = account("UserName is null")
API_KEY_INVALID: Final = account("Invalid userName or apiKey")
NO_CODES: Final = malformed("No disposition found")
ACTION_INVALID: Final = malformed("Invalid Action")
AGENT_INVALID: Final = fail("Invalid agent")
UCID_MISSING: Final = malformed("Invalid ucid")
UCID_EMPTY: Final = fail("Invalid ucid()")
DISPOSITION_MISSING: Final = malformed("Invalid Disposition")
DISPOSITION_EMPTY: Final = fail("Empty disposition code")
DISPOSITION_INVALID: Final = fail("Invalid Disposition")
PAUSE_REASON_NEEDED: Final = fail("Provide pause reason")
PAUSE_REASON_TOO_LONG: Final = fail(
    f"Pause reason should not exceed {limits.TEXT_CHARS_MAX} characters"
)
CALL_BACK_NEEDED: Final = fail("Provide call back time")
CALL_BACK_INVALID: Final = fail("Invalid call back time")
COMMENTS_INVALID: Final = fail("Invalid comments")
COMMENTS_TOO_LONG: Final = fail(
    f"Comments should not exceed {limits.OZONETEL_COMMENT_CHARS_MAX} characters"
)
NOT_ON_CALL: Final = fail("Agent is not on this call.")
ALREADY_DISPOSED: Final = fail("This call is already Disposed.")
QUEUED: Final = {"status": "Success", "message": "Disposition Queued Successfully"}
SAVED: Final = {"details": "Disposition saved successfully", "status": "Success"}
NOT_IN_TIME: Final = malformed("Unable to Dispose . Please retry after some time.")

# What the rules may refuse, and is a row of the page. Anything else keeps its usual status.
BY_REFUSAL: Final = {
    "agent_not_on_call": NOT_ON_CALL,
    "already_disposed": ALREADY_DISPOSED,
    "invalid_disposition": DISPOSITION_INVALID,
    "callback_required": CALL_BACK_NEEDED,
}


class Stop(Exception):
    """A check failed: the answer is this row."""

    def __init__(self, row: Row) -> None:
        super().__init__(row)
        self.row = row
