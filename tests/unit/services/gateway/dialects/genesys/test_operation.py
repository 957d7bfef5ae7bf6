"""SetCallDisposition as it stands in a body."""

from typing import Any

import pytest

from services.gateway.dialects.genesys.answers import StatusCode, Stop
from services.gateway.dialects.genesys.operation import SetCallDisposition, read_operation

ID = "01RCC3N118B1V0SL8O7GK2LAES000006"
URI = f"http://127.0.0.1:8080/api/v2/calls/{ID}"
GOOD = {"operationName": "SetCallDisposition", "callUuid": ID, "disposition": "Referred"}


def test_the_sample_of_the_page() -> None:
    body = GOOD | {"callUri": URI, "dispositionKey": "DispositionCode"}
    expected = SetCallDisposition(ID, "Referred", "DispositionCode")
    assert read_operation(body, None) == expected


@pytest.mark.parametrize(
    ("in_path", "uuid", "uri"),
    [
        (ID, None, None),
        (None, ID, None),
        (None, None, URI),
        (None, "", f"{URI}/"),
        (None, None, f"https://other.example/api/v2/me/calls/{ID}?fields=*#x"),
        (None, None, f"/calls/{ID}"),
        (None, None, ID),
        (ID, ID, URI),
    ],
)
def test_each_way_to_name_the_call(in_path: str | None, uuid: str | None, uri: str | None) -> None:
    body = GOOD | {"callUuid": uuid, "callUri": uri}
    assert read_operation(body, in_path).call_id == ID


def test_the_key_is_the_tenant_s_own_unless_named() -> None:
    assert read_operation(GOOD, None).key is None
    assert read_operation(GOOD | {"dispositionKey": ""}, None).key is None
    assert read_operation(GOOD | {"dispositionKey": "Outcome"}, None).key == "Outcome"


MISSING = StatusCode.PARAMETER_MISSING
BAD = StatusCode.BAD_VALUE
NOT_FOUND = StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"operationName": None}, MISSING),
        ({"operationName": ""}, MISSING),
        ({"operationName": "Hold"}, BAD),
        ({"operationName": "setCallDisposition"}, BAD),
        ({"operationName": 1}, BAD),
        ({"callUuid": None}, MISSING),
        ({"callUuid": 7}, BAD),
        ({"callUuid": {"$ne": None}}, BAD),
        ({"callUuid": "another"}, BAD),
        ({"callUuid": None, "callUri": ["x"]}, BAD),
        ({"callUuid": None, "callUri": "http://[::1/calls/x"}, BAD),
        ({"callUuid": None, "callUri": "http://h/calls/a%2Fb"}, NOT_FOUND),
        ({"callUuid": None, "callUri": "http://h/calls/a%0d%0aX"}, NOT_FOUND),
        ({"callUuid": None, "callUri": "/"}, NOT_FOUND),
        ({"callUuid": "a b", "callUri": None}, NOT_FOUND),
        ({"callUuid": "x" * 129, "callUri": None}, NOT_FOUND),
        ({"disposition": None}, MISSING),
        ({"disposition": ""}, MISSING),
        ({"disposition": 7}, BAD),
        ({"dispositionKey": 7}, BAD),
    ],
)
def test_what_is_wrong_with_it(change: dict[str, Any], code: StatusCode) -> None:
    body = GOOD | ({"callUri": URI} if "callUri" not in change else {}) | change
    if change == {"callUuid": None}:
        body["callUri"] = None
    with pytest.raises(Stop) as stop:
        read_operation(body, None)
    assert stop.value.code is code


def test_the_path_must_agree_with_the_body() -> None:
    with pytest.raises(Stop) as stop:
        read_operation(GOOD, "another")
    assert stop.value.code is BAD
