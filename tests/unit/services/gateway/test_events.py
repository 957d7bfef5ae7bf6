"""Telling events over HTTP: three modes of CloudEvents, and what is refused of each."""

import json
from io import BytesIO
from typing import Any

import pytest

from services.gateway.openapi import openapi
from services.gateway.routes.events import ROUTES
from shared.contracts.instants import to_wire
from shared.contracts.topics import TELEPHONY_EVENTS
from tests.support.clock import START_MS
from tests.unit.services.gateway.floor import NATIVE, SWITCH, Floor, open_floor, problem

pytestmark = pytest.mark.asyncio

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
ANSWERED = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/switch/1",
    "type": "call.answered",
    "subject": "call-1",
    "time": "2026-11-21T14:00:00+01:00",
    "data": {"agent_id": "agent-1"},
}
APPLIED = {
    "event_id": "e-1",
    "call_id": "call-1",
    "outcome": "applied",
    "rule": "applied",
    "version": 1,
    "phase": "active",
}


async def tell(floor: Floor, body: Any, kind: str = STRUCTURED, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await floor.client.post(
        "/v1/events", data=BytesIO(raw), headers={**SWITCH, "Content-Type": kind, **headers}
    )


async def tell_binary(floor: Floor, headers: list[tuple[str, str]], body: bytes = b"") -> Any:
    sent = [*SWITCH.items(), ("Content-Type", "application/json"), *headers]
    return await floor.client.post("/v1/events", data=body, headers=sent)


BINARY = [
    ("ce-specversion", "1.0"),
    ("ce-id", "e-1"),
    ("ce-source", "/switch/1"),
    ("ce-type", "call.answered"),
    ("ce-subject", "call-1"),
    ("ce-time", "2026-11-21T14:00:00+01:00"),
]


async def test_the_same_event_in_three_modes(floor: Floor) -> None:
    for response in (
        await tell(floor, ANSWERED),
        await tell_binary(floor, BINARY, b'{"agent_id": "agent-1"}'),
        await tell(floor, [ANSWERED], BATCH),
    ):
        assert response.status == 200
        assert await response.json() == {"accepted": 1, "results": [APPLIED]}
    first, second, third = floor.told(TELEPHONY_EVENTS)
    assert first.data == second.data == third.data == b'{"agent_id":"agent-1"}'
    for event in (first, second, third):
        assert (event.id, event.source, event.type) == ("e-1", "/switch/1", "call.answered")
        assert (event.subject, event.tenant) == ("call-1", "demo")
        assert to_wire(event.time_ms) == "2026-11-21T13:00:00.000Z"
    assert floor.log.all(TELEPHONY_EVENTS)[0].key == "demo:call-1"


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2024-12-31T23:59:60Z", "2024-12-31T23:59:59.999Z"),
        ("2026-11-21T14:00:00.12345678901234567890+01:00", "2026-11-21T13:00:00.123Z"),
    ],
)
async def test_any_time_of_rfc_3339_is_understood_in_every_mode(
    floor: Floor, time: str, read: str
) -> None:
    event = {**ANSWERED, "time": time}
    binary = [("ce-time", time) if name == "ce-time" else (name, v) for name, v in BINARY]
    for response in (
        await tell(floor, event),
        await tell_binary(floor, binary, b'{"agent_id": "agent-1"}'),
        await tell(floor, [event], BATCH),
    ):
        assert response.status == 200, await response.text()
    assert [to_wire(told.time_ms) for told in floor.told(TELEPHONY_EVENTS)] == [read] * 3


async def test_an_idempotency_key_is_checked_and_names_no_event(floor: Floor) -> None:
    """Another event under the same key is told, as /openapi.json has it."""
    for event_id in ("e-1", "e-2"):
        event = {**ANSWERED, "id": event_id}
        assert (await tell(floor, event, **{"Idempotency-Key": "one"})).status == 200
    assert [event.id for event in floor.told(TELEPHONY_EVENTS)] == ["e-1", "e-2"]
    assert (await tell(floor, ANSWERED, **{"Idempotency-Key": "x" * 256})).status == 422
    operation = openapi(ROUTES)["paths"]["/v1/events"]["post"]
    (key,) = [row for row in operation["parameters"] if row["name"] == "Idempotency-Key"]
    assert "an event is known by its `source` and `id`" in key["description"]
    assert "same key" not in json.dumps(operation)


async def test_results_stand_in_the_order_of_the_batch(floor: Floor) -> None:
    batch = [{**ANSWERED, "id": f"e-{n}", "subject": f"call-{n % 7}"} for n in range(50)]
    told = await (await tell(floor, batch, BATCH)).json()
    assert told["accepted"] == 50
    assert [row["event_id"] for row in told["results"]] == [event["id"] for event in batch]


async def test_an_empty_batch_is_fine(floor: Floor) -> None:
    response = await tell(floor, [], BATCH)
    assert (response.status, await response.json()) == (200, {"accepted": 0, "results": []})


async def test_what_may_be_left_out(floor: Floor) -> None:
    few = {name: ANSWERED[name] for name in ("specversion", "id", "source", "type", "subject")}
    for body in (few, {**few, "data": None, "time": None}):
        assert (await tell(floor, body)).status == 200
    for event in floor.told(TELEPHONY_EVENTS):
        assert (event.time_ms, event.data) == (START_MS, b"{}")


async def test_binary_values_are_percent_decoded(floor: Floor) -> None:
    response = await tell_binary(floor, [*BINARY[:2], ("ce-source", "/switch/%C3%BC"), *BINARY[3:]])
    assert response.status == 200
    assert floor.told(TELEPHONY_EVENTS)[0].source == "/switch/ü"


async def test_a_binary_event_without_a_time_happens_now(floor: Floor) -> None:
    assert (await tell_binary(floor, BINARY[:5])).status == 200
    (event,) = floor.told(TELEPHONY_EVENTS)
    assert (event.time_ms, event.data) == (START_MS, b"{}")


@pytest.mark.parametrize(
    "prefer", ["respond-async", "Respond-Async, wait=1", "wait=1;x, respond-async"]
)
async def test_respond_async_is_answered_once_durable(floor: Floor, prefer: str) -> None:
    response = await tell(floor, ANSWERED, Prefer=prefer)
    assert (response.status, await response.json()) == (202, {"accepted": 1})
    assert response.headers["Preference-Applied"] == "respond-async"
    assert floor.told(TELEPHONY_EVENTS)[0].reply_to is None


async def test_not_applied_in_time_is_202() -> None:
    async with open_floor(timeout_s=0.02) as floor:
        floor.log.decide = lambda _: None
        response = await tell(floor, [ANSWERED, {**ANSWERED, "id": "e-2"}], BATCH)
        assert (response.status, await response.json()) == (202, {"accepted": 2})
        assert "Preference-Applied" not in response.headers
        assert floor.waiters.waiting == 0


async def test_the_tenant_is_the_credential_s(floor: Floor) -> None:
    assert (await tell(floor, {**ANSWERED, "tenant": "demo"})).status == 200
    for body in ({**ANSWERED, "tenant": "other"}, {**ANSWERED, "tenant": True}):
        assert await problem(await tell(floor, body)) == (403, "forbidden")
    response = await tell_binary(floor, [*BINARY, ("ce-tenant", "other")])
    assert await problem(response) == (403, "forbidden")
    response = await tell(floor, ANSWERED, **{"X-Tenant": "other"})
    assert response.status == 200
    assert {event.tenant for event in floor.told(TELEPHONY_EVENTS)} == {"demo"}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ANSWERED.items() if key != name}


BAD: list[tuple[str, Any, str]] = [
    ("an array", [ANSWERED], ""),
    ("null", None, ""),
    ("a text", "event", ""),
    *(
        (f"no {name}", without(name), name)
        for name in ("specversion", "id", "source", "type", "subject")
    ),
    *((f"null {name}", {**ANSWERED, name: None}, name) for name in ("id", "source", "subject")),
    *(
        (f"empty {name}", {**ANSWERED, name: ""}, name)
        for name in ("id", "source", "subject", "type")
    ),
    *(
        (f"{name} as a number", {**ANSWERED, name: 1}, name)
        for name in ("id", "source", "type", "subject")
    ),
    *((f"{name} as an object", {**ANSWERED, name: {"$ne": 1}}, name) for name in ("id", "subject")),
    ("another version", {**ANSWERED, "specversion": "0.3"}, "specversion"),
    ("version as a number", {**ANSWERED, "specversion": 1.0}, "specversion"),
    ("id of 257", {**ANSWERED, "id": "x" * 257}, "id"),
    ("id with a line feed", {**ANSWERED, "id": "a\nb"}, "id"),
    ("id with a line separator", {**ANSWERED, "id": "a\u2028b"}, "id"),
    ("id with an escape", {**ANSWERED, "id": "a\x1b[31mb"}, "id"),
    ("source of 257", {**ANSWERED, "source": "x" * 257}, "source"),
    ("source with a tab", {**ANSWERED, "source": "a\tb"}, "source"),
    ("subject with a colon and space", {**ANSWERED, "subject": "a: b"}, "subject"),
    ("subject with the name of a customer", {**ANSWERED, "subject": "customer:7"}, "subject"),
    ("subject with a line feed", {**ANSWERED, "subject": "call-1\n"}, "subject"),
    ("subject of 129", {**ANSWERED, "subject": "x" * 129}, "subject"),
    ("unknown type", {**ANSWERED, "type": "call.vanished"}, "type"),
    (
        "our own timer",
        {**ANSWERED, "type": "call.timer_due", "data": {"timer": "wrap_up", "deadline_ms": 1}},
        "type",
    ),
    ("time without offset", {**ANSWERED, "time": "2026-11-21T14:00:00"}, "time"),
    *(
        (f"time spelt {time}", {**ANSWERED, "time": time}, "time")
        for time in (
            "20261121T140000Z",
            "2026-W47-6T14:00:00Z",
            "2026-11-21T14:00:00+00:00:30",
            "2026-11-21T14:00Z",
            "2026-02-30T14:00:00Z",
        )
    ),
    ("time as a number", {**ANSWERED, "time": 1795270000}, "time"),
    ("time as a word", {**ANSWERED, "time": "now"}, "time"),
    ("time before 1970", {**ANSWERED, "time": "1969-01-01T00:00:00Z"}, "time"),
    ("time in the year 10000", {**ANSWERED, "time": "9999-12-31T23:59:59-01:00"}, "time"),
    ("data as xml", {**ANSWERED, "datacontenttype": "application/xml"}, "datacontenttype"),
    ("data as a text", {**ANSWERED, "data": "agent-1"}, "data"),
    ("data as an array", {**ANSWERED, "data": []}, "data"),
    ("data of another shape", {**ANSWERED, "data": {"agent": "agent-1"}}, "data"),
    ("agent as a number", {**ANSWERED, "data": {"agent_id": 7}}, "data"),
    ("agent with a line feed", {**ANSWERED, "data": {"agent_id": "agent-1\n"}}, "data"),
    ("data twice", {**ANSWERED, "data_base64": "e30="}, "data_base64"),
    ("broken base64", {**without("data"), "data_base64": "e3"}, "data_base64"),
    ("base64 of no JSON", {**without("data"), "data_base64": "eHh4"}, "data_base64"),
    ("base64 as a number", {**without("data"), "data_base64": 5}, "data_base64"),
    ("an upper-case extension", {**ANSWERED, "myExt": "x"}, "myExt"),
    ("an extension with a dollar", {**ANSWERED, "$set": "x"}, "$set"),
    ("an extension with a line feed", {**ANSWERED, "ext\n": "x"}, "ext\n"),
    ("an object as extension", {**ANSWERED, "ext": {"a": 1}}, "ext"),
    ("a fraction as extension", {**ANSWERED, "ext": 1.5}, "ext"),
]


@pytest.mark.parametrize(("body", "field"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
async def test_a_bad_event_is_refused_by_its_field(floor: Floor, body: Any, field: str) -> None:
    response = await tell(floor, body)
    assert await problem(response) == (422, "validation")
    (error,) = (await response.json(content_type=None))["errors"]
    assert error["field"] == field
    assert floor.nothing_written


USER_DATA: list[tuple[str, bytes]] = [
    ("a dollar", b'{"$where": 1}'),
    ("a dot", b'{"a.b": 1}'),
    ("an empty key", b'{"": 1}'),
    ("a prototype", b'{"__proto__": 1}'),
    ("a nested dollar", b'{"a": [{"$ne": 1}]}'),
    ("64 KiB and more", b'{"a": "' + b"x" * 65_536 + b'"}'),
]


@pytest.mark.parametrize("data", [pytest.param(row[1], id=row[0]) for row in USER_DATA])
async def test_user_data_that_a_store_can_t_hold(floor: Floor, data: bytes) -> None:
    headers = [*BINARY[:3], ("ce-type", "call.data_attached"), *BINARY[4:]]
    response = await tell_binary(floor, headers, b'{"user_data": ' + data + b"}")
    assert await problem(response) == (422, "validation")
    assert floor.nothing_written


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"id":"a","id":"b"}',
        b'{"x":NaN}',
        b"[" * 100_000,
        b'{"x":18446744073709551616}',
    ],
)
@pytest.mark.parametrize("kind", [STRUCTURED, BATCH])
async def test_what_is_not_strict_json_is_400(floor: Floor, body: bytes, kind: str) -> None:
    assert await problem(await tell(floor, body, kind)) == (400, "malformed_json")
    assert floor.nothing_written


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        *(
            ([row for row in BINARY if row[0] != name], name[3:])
            for name in ("ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject")
        ),
        ([*BINARY, ("ce-id", "e-2")], "id"),
        ([*BINARY[:1], ("ce-id", "%0a"), *BINARY[2:]], "id"),
        ([*BINARY[:1], ("ce-id", "%ff"), *BINARY[2:]], "id"),
        ([*BINARY[:1], ("ce-id", "%ed%a0%80"), *BINARY[2:]], "id"),
        ([*BINARY[:4], ("ce-subject", "a%2Fb"), *BINARY[5:]], "subject"),
        ([*BINARY[:5], ("ce-time", "yesterday")], "time"),
        ([*BINARY[:5], ("ce-time", "2026-11-21T14:00:00")], "time"),
        ([("ce-specversion", "2.0"), *BINARY[1:]], "specversion"),
        ([*BINARY, ("ce-my_ext", "x")], "my_ext"),
    ],
)
async def test_bad_headers_of_binary_mode(
    floor: Floor, headers: list[tuple[str, str]], field: str
) -> None:
    response = await tell_binary(floor, headers, b"{}")
    assert await problem(response) == (422, "validation")
    assert (await response.json(content_type=None))["errors"][0]["field"] == field
    assert floor.nothing_written


async def test_one_bad_event_refuses_the_whole_batch(floor: Floor) -> None:
    batch = [ANSWERED, {**ANSWERED, "id": ""}, ANSWERED, {**ANSWERED, "data": {"x": 1}}, None]
    response = await tell(floor, batch, BATCH)
    assert await problem(response) == (422, "validation")
    errors = (await response.json(content_type=None))["errors"]
    assert [(row["index"], row["field"]) for row in errors] == [(1, "id"), (3, "data"), (4, "")]
    assert floor.nothing_written


@pytest.mark.parametrize(("number", "status"), [(1_000, 202), (1_001, 422)])
async def test_a_batch_has_a_limit(floor: Floor, number: int, status: int) -> None:
    response = await tell(floor, [ANSWERED] * number, BATCH, Prefer="respond-async")
    assert response.status == status
    assert floor.nothing_written == (status != 202)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/cloudevents+xml"])
async def test_another_media_type_is_415(floor: Floor, kind: str) -> None:
    assert await problem(await tell(floor, ANSWERED, kind)) == (415, "unsupported_media_type")


async def test_a_batch_is_an_array(floor: Floor) -> None:
    assert await problem(await tell(floor, ANSWERED, BATCH)) == (422, "validation")


async def test_an_agent_s_key_tells_no_events(floor: Floor) -> None:
    response = await tell(floor, ANSWERED, **NATIVE)
    assert await problem(response) == (403, "forbidden")
    assert floor.nothing_written


async def test_a_log_that_does_not_answer_is_503(floor: Floor) -> None:
    floor.log.fail_next("append", applied=True)
    assert await problem(await tell(floor, ANSWERED)) == (503, "unavailable")
    assert floor.waiters.waiting == 0
