"""What a driver raises, as the errors of the product.

A message never repeats what the server says of a row: it may hold what a person wrote.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError

from shared.contracts.errors import AftercallError, Bug, Unavailable, WriteConflict

DUPLICATE_KEY: Final = 11000
TEXT_CHARS_MAX: Final = 300

# The server did not like what it was sent: sending it again changes nothing.
_OURS: Final = {
    2: "BadValue",
    9: "FailedToParse",
    14: "TypeMismatch",
    15: "Overflow",
    22: "InvalidBSON",
    73: "InvalidNamespace",
    10334: "BSONObjectTooLarge",
    17419: "the updated document is too large",
}


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Raise what goes wrong inside as `Unavailable`, `WriteConflict` or `Bug`.

    Args:
        doing: what is being done, for the message.
    """
    try:
        yield
    except BulkWriteError as error:
        raise bulk_error(doing, error.details) from None  # its text holds the rows
    except OperationFailure as error:
        raise _refusal(doing, error.code, error.details) from None  # as above
    except (ConnectionFailure, TimeoutError, OSError) as error:
        # Then come the timeouts and every server that the driver knows.
        text, _, _ = str(error).partition(" (configured timeouts")
        raise Unavailable(f"{doing}: {type(error).__name__}: {text}"[:TEXT_CHARS_MAX]) from error
    except (BSONError, PyMongoError, OverflowError, UnicodeError) as error:
        raise Bug(f"{doing}: {type(error).__name__}") from None  # as above


def bulk_error(doing: str, details: Mapping[str, Any]) -> AftercallError:
    """What it means that a bulk has failed, by the driver's account of it.

    A write concern that was not met leaves it open whether what was written stays; that outweighs
    every conflict beside it.
    """
    if details.get("writeConcernErrors"):
        return Unavailable(f"{doing}: not acknowledged by a majority")
    refused = [error for error in details["writeErrors"] if error["code"] != DUPLICATE_KEY]
    if refused:
        return _refusal(doing, refused[0]["code"], refused[0])
    return WriteConflict(f"{doing}: {len(details['writeErrors'])} of the rows exist already")


def _refusal(doing: str, code: int | None, details: Mapping[str, Any] | None) -> AftercallError:
    name = _OURS.get(code or 0)
    if name is not None:
        return Bug(f"{doing}: {name} ({code})")
    name = (details or {}).get("codeName", "error")
    return Unavailable(f"{doing}: {name} ({code})")
