"""What the drivers raise, and what it is here."""

import traceback
from typing import Any

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    CursorNotFound,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from shared.adapters.cluster.mongo_errors import TEXT_CHARS_MAX, told
from shared.contracts.errors import Bug, Unavailable, WriteConflict

DUPLICATE = {"index": 0, "code": 11000, "errmsg": "secret", "keyValue": {"_id": "secret"}}
TOO_LARGE = {"index": 1, "code": 10334, "errmsg": "secret"}
LATE = {"index": 1, "code": 50, "errmsg": "secret", "codeName": "MaxTimeMSExpired"}
NO_MAJORITY = {"code": 64, "errmsg": "waiting for replication timed out"}


def bulk(written: list[dict[str, Any]], acknowledged: list[dict[str, Any]]) -> BulkWriteError:
    return BulkWriteError({"writeErrors": written, "writeConcernErrors": acknowledged})


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (AutoReconnect("connection closed"), Unavailable),
        (NetworkTimeout("timed out"), Unavailable),
        (NotPrimaryError("not primary"), Unavailable),
        (ServerSelectionTimeoutError("no primary"), Unavailable),
        (WaitQueueTimeoutError("Timed out while checking out a connection"), Unavailable),
        (ExecutionTimeout("secret", 50), Unavailable),
        (CursorNotFound("secret", 43), Unavailable),
        (WriteConcernError("secret", 64), Unavailable),
        (WTimeoutError("secret", 64), Unavailable),
        (OperationFailure("secret", 14031, {"codeName": "OutOfDiskSpace"}), Unavailable),
        (OperationFailure("secret"), Unavailable),
        (TimeoutError(), Unavailable),
        (OSError("broken pipe"), Unavailable),
        (OperationFailure("secret", 2), Bug),
        (OperationFailure("secret", 17419), Bug),
        (InvalidDocument("secret"), Bug),
        (DocumentTooLarge("secret"), Bug),
        (InvalidOperation("secret"), Bug),
        (ConfigurationError("secret"), Bug),
        (PyMongoError("secret"), Bug),
        (OverflowError("secret"), Bug),
        (bulk([DUPLICATE], []), WriteConflict),
        (bulk([DUPLICATE, DUPLICATE], []), WriteConflict),
        (bulk([], [NO_MAJORITY]), Unavailable),
        (bulk([DUPLICATE], [NO_MAJORITY]), Unavailable),
        (bulk([TOO_LARGE], [NO_MAJORITY]), Unavailable),
        (bulk([DUPLICATE, LATE], []), Unavailable),
        (bulk([DUPLICATE, TOO_LARGE], []), Bug),
    ],
    ids=repr,
)
def test_every_error_says_what_happens_next_and_repeats_no_row(
    raised: Exception, expected: type[Exception]
) -> None:
    with pytest.raises(expected) as caught, told("save calls"):
        raise raised
    assert type(caught.value) is expected
    assert str(caught.value).startswith("save calls: ")
    assert "secret" not in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("ours", [WriteConflict("ours"), Bug("ours"), KeyError("ours")])
def test_other_errors_pass(ours: Exception) -> None:
    with pytest.raises(type(ours)) as caught, told("save calls"):
        raise ours
    assert caught.value is ours


def test_a_long_story_is_cut() -> None:
    with pytest.raises(Unavailable) as caught, told("load calls"):
        raise ServerSelectionTimeoutError("127.0.0.1:1: refused (configured timeouts: ...), ...")
    assert str(caught.value) == "load calls: ServerSelectionTimeoutError: 127.0.0.1:1: refused"
    with pytest.raises(Unavailable) as caught, told("load calls"):
        raise AutoReconnect("x" * 10_000)
    assert len(str(caught.value)) == TEXT_CHARS_MAX
