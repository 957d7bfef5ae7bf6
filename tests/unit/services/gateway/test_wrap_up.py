"""`POST /v1/calls/{call_id}/wrap-up-extension`, over the real rules of calls."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.gateway.settling import CALLSTATE
from shared.contracts.instants import to_wire
from shared.contracts.topics import CALLS_CHANGED
from tests.support.centre import Centre, demo_tenant, running_centre
from tests.unit.services.gateway.floor import NATIVE, SWITCH, problem

pytestmark = pytest.mark.asyncio

PATH = "/v1/calls/call-1/wrap-up-extension"
BODY = {"agent_id": "agent-1", "seconds": 30}


@pytest_asyncio.fixture
async def centre() -> AsyncIterator[Centre]:
    async with running_centre(demo_tenant()) as running:
        await running.tell("demo", "call-1", "call.agent_joined", agent_id="agent-1")
        yield running


async def extend(centre: Centre, key: str | None = None, **body: Any) -> Any:
    headers = NATIVE if key is None else NATIVE | {"Idempotency-Key": key}
    return await centre.client.post(PATH, json=BODY | body, headers=headers)


async def test_the_deadline_moves_by_what_was_asked_for(centre: Centre) -> None:
    await centre.tell("demo", "call-1", "call.disconnected")
    ends_ms = centre.clock.now_ms() + 30_000
    response = await extend(centre)
    assert await response.json() == {
        "outcome": "extended",
        "call_id": "call-1",
        "agent_id": "agent-1",
        "wrap_up_ends_at": to_wire(ends_ms + 30_000),
    }
    assert (await (await extend(centre)).json())["wrap_up_ends_at"] == to_wire(ends_ms + 60_000)


async def test_a_retry_under_the_same_key_moves_nothing(centre: Centre) -> None:
    await centre.tell("demo", "call-1", "call.disconnected")
    first = await (await extend(centre, "k")).json()
    again = await (await extend(centre, "k", seconds=600)).json()
    assert again == first | {"outcome": "repeated"}
    await centre.tell("demo", "call-1", "call.released")
    assert await problem(await extend(centre, "k")) == (409, "not_in_wrap_up")


async def test_no_more_than_a_day_in_all(centre: Centre) -> None:
    await centre.tell("demo", "call-1", "call.disconnected")
    day_ms = centre.clock.now_ms() + 24 * 3_600_000
    for _ in range(25):
        assert (await extend(centre, seconds=3600)).status == 200
    last = await (await extend(centre)).json()
    assert last["wrap_up_ends_at"] == to_wire(day_ms)


async def test_there_must_be_a_wrap_up(centre: Centre) -> None:
    assert await problem(await extend(centre)) == (409, "not_in_wrap_up")
    await centre.tell("demo", "call-1", "call.disconnected")
    await centre.tell("demo", "call-1", "call.released")
    assert await problem(await extend(centre)) == (409, "not_in_wrap_up")


async def test_a_strange_call_or_agent_begins_nothing(centre: Centre) -> None:
    told = len(centre.log.all(CALLS_CHANGED))
    path = "/v1/calls/call-2/wrap-up-extension"
    response = await centre.client.post(path, json=BODY, headers=NATIVE)
    assert await problem(response) == (404, "unknown_call")
    response = await extend(centre, agent_id="agent-2")
    assert await problem(response) == (409, "agent_not_on_call")
    assert len(centre.log.all(CALLS_CHANGED)) == told


@pytest.mark.parametrize("seconds", [0, 3601, "30", None, 1.5])
async def test_the_seconds_have_their_bounds(centre: Centre, seconds: Any) -> None:
    assert await problem(await extend(centre, seconds=seconds)) == (422, "validation")


async def test_a_switchs_key_does_not_open_it(centre: Centre) -> None:
    response = await centre.client.post(PATH, json=BODY, headers=SWITCH)
    assert await problem(response) == (403, "forbidden")


async def test_a_token_extends_its_own_agents_alone(centre: Centre) -> None:
    await centre.tell("demo", "call-1", "call.disconnected")
    for agent, status in (("agent-1", 200), ("agent-2", 403)):
        body = {"agent_id": agent}
        given = await centre.client.post("/v1/toolbar-tokens", json=body, headers=NATIVE)
        key = {"Authorization": f"Bearer {(await given.json())['token']}"}
        assert (await centre.client.post(PATH, json=BODY, headers=key)).status == status


async def test_what_is_not_applied_in_time_is_pending(centre: Centre) -> None:
    await centre.tell("demo", "call-1", "call.disconnected")
    await centre.stop_processor(CALLSTATE)
    centre.waiters._timeout_s = 0.01
    response = await extend(centre)
    assert (response.status, await response.json()) == (202, {"outcome": "pending"})
