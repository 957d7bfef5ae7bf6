"""Disposing over the native API: what is asked, what is published, what is answered."""

import asyncio
import json
from io import BytesIO
from typing import Any

import msgspec
import pytest
from yarl import URL

from shared.contracts.dispositions import DispositionRequest, Origin, Outcome, Previous
from shared.contracts.envelope import Event
from shared.contracts.instants import to_wire
from shared.contracts.topics import DISPOSITION_REQUESTS
from tests.support.clock import START_MS
from tests.unit.services.gateway.floor import NATIVE, SWITCH, Floor, open_floor, problem, verdict

pytestmark = pytest.mark.asyncio

PATH = "/v1/calls/call-1/disposition"
SALE = {"agent_id": "agent-1", "code": "Sale"}


def requested(floor: Floor) -> list[DispositionRequest]:
    return [
        msgspec.json.decode(event.data, type=DispositionRequest)
        for event in floor.told(DISPOSITION_REQUESTS)
    ]


async def test_the_verdict_is_answered(floor: Floor) -> None:
    response = await floor.client.post(PATH, json=SALE, headers=NATIVE)
    assert response.status == 200
    (request,) = requested(floor)
    assert await response.json() == {
        "request_id": request.request_id,
        "outcome": "saved",
        "call_id": "call-1",
        "agent_id": "agent-1",
        "code": "Sale",
        "decided_at": to_wire(START_MS),
    }


async def test_what_a_correction_replaces_is_told(floor: Floor) -> None:
    def correct(event: Event) -> msgspec.Struct:
        request = msgspec.json.decode(event.data, type=DispositionRequest)
        previous = Previous(code="Sale", origin=Origin.WRAP_UP, decided_at=to_wire(START_MS))
        return verdict(request, Outcome.CORRECTED, previous=previous)

    floor.log.decide = correct
    response = await floor.client.post(PATH, json=SALE, headers=NATIVE)
    told = await response.json()
    assert told["outcome"] == "corrected"
    assert told["previous"] == {
        "code": "Sale",
        "origin": "wrap_up",
        "decided_at": to_wire(START_MS),
    }


async def test_everything_asked_for_is_in_the_request(floor: Floor) -> None:
    body = {
        "agent_id": "agent-2",
        "code": "Callback",
        "key": "Result",
        "comment": "nach 17 Uhr ☎",
        "callback_at": "2026-11-22T09:30:00+01:00",
        "pause_after": True,
        "pause_reason": "lunch",
        "release_after": True,
    }
    response = await floor.client.post(PATH, json=body, headers={**NATIVE, "Idempotency-Key": "k"})
    assert response.status == 200
    (event,) = floor.told(DISPOSITION_REQUESTS)
    (request,) = requested(floor)
    assert (event.tenant, event.subject, event.type) == ("demo", "call-1", "disposition.requested")
    assert (event.id, event.source) == (request.request_id, "/aftercall/gateway")
    assert event.reply_to is not None
    assert event.reply_to.address == "gateway-1"
    assert request.key == "Result"
    assert request.comment == "nach 17 Uhr ☎"
    assert to_wire(request.callback_ms or 0) == "2026-11-22T08:30:00.000Z"
    assert (request.pause_after, request.pause_reason, request.release_after) == (
        True,
        "lunch",
        True,
    )
    assert request.idempotency_key == "k"
    assert "nach" not in json.dumps(
        [list(map(str, row.headers)) for row in floor.log.all(DISPOSITION_REQUESTS)]
    )


async def test_a_retry_with_the_same_key_has_the_same_id(floor: Floor) -> None:
    for key in ("one", "one", "two"):
        await floor.client.post(PATH, json=SALE, headers={**NATIVE, "Idempotency-Key": key})
    first, again, other = requested(floor)
    assert first == again
    assert first.request_id != other.request_id
    assert first.body_hash == other.body_hash


async def test_without_a_key_every_request_is_another_one(floor: Floor) -> None:
    for _ in range(2):
        await floor.client.post(PATH, json=SALE, headers=NATIVE)
    first, other = requested(floor)
    assert first.request_id != other.request_id
    assert first.idempotency_key == first.request_id


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("unknown_call", 404),
        ("agent_not_on_call", 409),
        ("already_disposed", 409),
        ("idempotency_conflict", 422),
    ],
)
async def test_the_worker_s_refusals(floor: Floor, code: str, status: int) -> None:
    def refuse(event: Event) -> msgspec.Struct:
        request = msgspec.json.decode(event.data, type=DispositionRequest)
        return verdict(request, Outcome.REFUSED, problem=code)

    floor.log.decide = refuse
    response = await floor.client.post(PATH, json=SALE, headers=NATIVE)
    assert await problem(response) == (status, code)
    (request,) = requested(floor)
    assert (await response.json(content_type=None))["request_id"] == request.request_id


async def test_a_verdict_that_is_late_is_pending() -> None:
    async with open_floor(timeout_s=0.02) as floor:
        floor.log.decide = lambda _: None
        response = await floor.client.post(PATH, json=SALE, headers=NATIVE)
        (request,) = requested(floor)
        assert response.status == 202
        assert response.headers["Location"] == f"/v1/requests/{request.request_id}"
        assert await response.json() == {"request_id": request.request_id, "outcome": "pending"}
        assert floor.waiters.waiting == 0


async def test_too_many_waiting_is_429_and_nothing_is_written() -> None:
    async with open_floor(waiting_max=0) as floor:
        response = await floor.client.post(PATH, json=SALE, headers=NATIVE)
        assert await problem(response) == (429, "too_many_requests")
        assert response.headers["Retry-After"] == "1"
        assert floor.nothing_written


@pytest.mark.parametrize("applied", [False, True])
async def test_a_log_that_does_not_answer_is_503(floor: Floor, *, applied: bool) -> None:
    floor.log.fail_next("append", applied=applied)
    response = await floor.client.post(PATH, json=SALE, headers=NATIVE)
    assert await problem(response) == (503, "unavailable")
    assert response.headers["Retry-After"] == "1"
    assert floor.waiters.waiting == 0


async def test_a_log_that_stalls_is_503_and_not_waited_for() -> None:
    async with open_floor(append_s=0.01) as floor:
        floor.log.stalls = True
        response = await asyncio.wait_for(floor.client.post(PATH, json=SALE, headers=NATIVE), 2)
        assert await problem(response) == (503, "unavailable")
        assert floor.waiters.waiting == 0


BODIES: list[tuple[str, Any, int, str]] = [
    ("not an object", [], 422, "validation"),
    ("null", None, 422, "validation"),
    ("no agent", {"code": "Sale"}, 422, "validation"),
    ("no code", {"agent_id": "agent-1"}, 422, "validation"),
    ("empty code", {**SALE, "code": ""}, 422, "validation"),
    ("unknown code", {**SALE, "code": "Nothing"}, 422, "invalid_disposition"),
    ("code in another case", {**SALE, "code": "sale"}, 422, "invalid_disposition"),
    ("code of 257", {**SALE, "code": "x" * 257}, 422, "validation"),
    ("code as a number", {**SALE, "code": 1}, 422, "validation"),
    ("agent as a number", {**SALE, "agent_id": 1}, 422, "validation"),
    ("agent as an operator", {**SALE, "agent_id": {"$ne": None}}, 422, "validation"),
    ("agent as an array", {**SALE, "agent_id": ["agent-1"]}, 422, "validation"),
    ("agent with a line feed", {**SALE, "agent_id": "agent-1\n"}, 422, "validation"),
    ("agent of 129", {**SALE, "agent_id": "a" * 129}, 422, "validation"),
    ("no such agent", {**SALE, "agent_id": "agent-11"}, 409, "agent_not_on_call"),
    ("no callback time", {**SALE, "code": "Callback"}, 422, "callback_required"),
    ("callback without offset", {**SALE, "callback_at": "2026-11-22T09:30:00"}, 422, "validation"),
    ("callback as a date", {**SALE, "callback_at": "2026-11-22"}, 422, "validation"),
    ("callback before 1970", {**SALE, "callback_at": "1969-12-31T23:59:59Z"}, 422, "validation"),
    ("callback as week", {**SALE, "callback_at": "2026-W47-7T10:00:00Z"}, 422, "validation"),
    ("callback on no day", {**SALE, "callback_at": "2026-02-30T10:00:00Z"}, 422, "validation"),
    (
        "callback in the year 10000",
        {**SALE, "callback_at": "9999-12-31T23:59:59-01:00"},
        422,
        "validation",
    ),
    ("callback as a number", {**SALE, "callback_at": 1795270000000}, 422, "validation"),
    ("comment of 2001", {**SALE, "comment": "x" * 2001}, 422, "validation"),
    ("comment as an object", {**SALE, "comment": {}}, 422, "validation"),
    ("pause as a text", {**SALE, "pause_after": "true"}, 422, "validation"),
    ("pause as a number", {**SALE, "pause_after": 1}, 422, "validation"),
    ("pause reason of 257", {**SALE, "pause_reason": "x" * 257}, 422, "validation"),
    ("empty key", {**SALE, "key": ""}, 422, "validation"),
    ("key with a dollar", {**SALE, "key": "$set"}, 422, "validation"),
    ("key with a dot", {**SALE, "key": "a.b"}, 422, "validation"),
    ("a prototype as key", {**SALE, "key": "__proto__"}, 422, "validation"),
    *(
        (f"extra {name}", {**SALE, name: "x"}, 422, "validation")
        for name in (
            "tenant",
            "tenant_id",
            "state",
            "version",
            "_id",
            "$set",
            "a.b",
            "",
            "wm",
            "fx",
        )
    ),
]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [pytest.param(*row[1:], id=row[0]) for row in BODIES],
)
async def test_a_bad_body_is_refused_and_nothing_is_written(
    floor: Floor, body: Any, status: int, code: str
) -> None:
    headers = {**NATIVE, "Content-Type": "application/json"}
    response = await floor.client.post(PATH, data=json.dumps(body), headers=headers)
    assert await problem(response) == (status, code)
    assert floor.nothing_written


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("comment of 2000", {**SALE, "comment": "x" * 2000}),
    ("pause reason of 256", {**SALE, "pause_reason": "x" * 256}),
    ("key of 128", {**SALE, "key": "k" * 128}),
    ("nulls", {**SALE, "comment": None, "callback_at": None, "key": None}),
    ("small letters", {**SALE, "callback_at": "2026-11-22t09:30:00z"}),
    ("a leap second", {**SALE, "callback_at": "2026-12-31T23:59:60Z"}),
    ("many digits", {**SALE, "callback_at": "2026-11-22T09:30:00.12345678901234567890Z"}),
    ("nanoseconds", {**SALE, "callback_at": "2026-11-22T09:30:00.123456789+05:30"}),
    ("a callback nobody asked for", {**SALE, "callback_at": "2026-11-22T09:30:00Z"}),
]


@pytest.mark.parametrize("body", [pytest.param(row[1], id=row[0]) for row in ACCEPTED])
async def test_a_body_at_its_limits_is_taken(floor: Floor, body: dict[str, Any]) -> None:
    response = await floor.client.post(PATH, json=body, headers=NATIVE)
    assert response.status == 200, await response.text()


RAW: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("cut short", b'{"agent_id": "agent-1"'),
    ("two documents", b'{"agent_id":"agent-1","code":"Sale"}{}'),
    ("key twice", b'{"agent_id":"agent-1","code":"Sale","code":"Callback"}'),
    ("NaN", b'{"agent_id":"agent-1","code":"Sale","x":NaN}'),
    ("Infinity", b'{"agent_id":"agent-1","code":"Sale","x":-Infinity}'),
    ("1e400", b'{"agent_id":"agent-1","code":"Sale","x":1e400}'),
    ("2**63", b'{"agent_id":"agent-1","code":"Sale","x":9223372036854775808}'),
    ("2**64", b'{"agent_id":"agent-1","code":"Sale","x":18446744073709551616}'),
    ("5000 digits", b'{"agent_id":"agent-1","code":"Sale","x":' + b"1" * 5000 + b"}"),
    ("NUL in a value", b'{"agent_id":"agent-1","code":"Sale\\u0000"}'),
    ("NUL in a key", b'{"agent_id":"agent-1","code":"Sale","\\u0000":1}'),
    ("lone surrogate", b'{"agent_id":"agent-1","code":"\\ud800"}'),
    ("byte order mark", b'\xef\xbb\xbf{"agent_id":"agent-1","code":"Sale"}'),
    ("latin-1", '{"agent_id":"agent-1","code":"Säle"}'.encode("latin-1")),
    ("utf-16", '{"agent_id":"agent-1","code":"Sale"}'.encode("utf-16")),
    ("depth 1500", b'{"x":' + b"[" * 1500 + b"]" * 1500 + b"}"),
    ("depth 100000", b"[" * 100_000),
    ("python's own", b"{'agent_id': 'agent-1'}"),
]


@pytest.mark.parametrize("body", [pytest.param(row[1], id=row[0]) for row in RAW])
async def test_what_is_not_strict_json_is_400(floor: Floor, body: bytes) -> None:
    headers = {**NATIVE, "Content-Type": "application/json"}
    response = await floor.client.post(PATH, data=body, headers=headers)
    assert await problem(response) == (400, "malformed_json")
    assert floor.nothing_written


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/problem+json", 415),
        ("nonsense", 415),
    ],
)
async def test_only_json_is_read(floor: Floor, content_type: str, status: int) -> None:
    headers = {**NATIVE, "Content-Type": content_type}
    response = await floor.client.post(PATH, data=json.dumps(SALE), headers=headers)
    assert response.status == status
    if status != 200:
        assert await problem(response) == (415, "unsupported_media_type")
        assert floor.nothing_written


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 422), (1024 * 1024 + 1, 413)])
async def test_a_body_has_a_limit(floor: Floor, size: int, status: int) -> None:
    body = b'{"x":"' + b"x" * (size - 8) + b'"}'
    assert len(body) == size
    headers = {**NATIVE, "Content-Type": "application/json"}
    response = await floor.client.post(PATH, data=BytesIO(body), headers=headers)
    assert (await problem(response))[0] == status
    assert floor.nothing_written


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("k", 200),
        ("k" * 255, 200),
        ("with a space", 200),
        ("", 422),
        ("k" * 256, 422),
        ("schlüssel", 422),
        ("tab\there", 422),
    ],
)
async def test_the_shape_of_idempotency_keys(floor: Floor, key: str, status: int) -> None:
    response = await floor.client.post(PATH, json=SALE, headers={**NATIVE, "Idempotency-Key": key})
    assert response.status == status
    if status != 200:
        assert await problem(response) == (422, "validation")
        assert floor.nothing_written


async def test_two_idempotency_keys_are_refused(floor: Floor) -> None:
    headers = [
        ("Authorization", "Bearer demo-key"),
        ("Idempotency-Key", "a"),
        ("Idempotency-Key", "b"),
    ]
    response = await floor.client.post(PATH, json=SALE, headers=headers)
    assert await problem(response) == (422, "validation")


@pytest.mark.parametrize(
    "call_id",
    ["a%0d%0aX:%201", "%00", "a%2F..%2Fb", "%E2%80%A8", "a%20b", "x" * 129, "$where", "%ff", "a;b"],
)
@pytest.mark.parametrize("headers", [NATIVE, {}])
async def test_a_path_id_that_breaks_the_pattern_is_404(
    floor: Floor, call_id: str, headers: dict[str, str]
) -> None:
    root = str(floor.client.make_url("/"))
    url = URL(f"{root}v1/calls/{call_id}/disposition", encoded=True)
    response = await floor.client.session.post(url, json=SALE, headers=headers)
    assert await problem(response) == (404, "not_found")
    assert floor.nothing_written


async def test_a_switch_may_not_dispose(floor: Floor) -> None:
    response = await floor.client.post(PATH, json=SALE, headers=SWITCH)
    assert await problem(response) == (403, "forbidden")
    assert floor.nothing_written
