"""What another tenant has is to everybody else as if it were not: walked over every route.

For whatever a request can name, it is sent with the id of another tenant's and with one that nobody
has, all the rest being the asker's own: both answers are the same but for the id, and nothing of
the other tenant's has changed. A route without such requests fails here.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any, Final

import pytest
import pytest_asyncio

from services.gateway.__main__ import MORE
from tests.support.asks import (
    ASKS,
    CREDENTIALS,
    ENDLESS,
    NOBODYS,
    OPEN,
    OURS,
    THEIRS,
    Ask,
    send,
    settle_in,
    tenants,
)
from tests.support.centre import Centre, running_centre
from tests.support.socket_client import SocketClient
from tests.walks.routes import DIALECTS, TABLE_OF_ALL

pytestmark = pytest.mark.asyncio

_fresh: Final = (f"f-{number}" for number in count(1))
# Ids that are new each time, and how often the asker's own call has changed by now.
_new_each_time: Final = re.compile(rb'req-[0-9a-f]{32}|"f-[0-9]+"|"version":[0-9]+')
_VOLATILE: Final = ("Date", "Etag", "Content-Length", "Server", "Set-Cookie")


class Both:
    """Two tenants in one centre, and what is true of each."""

    def __init__(self, centre: Centre, ours: dict[str, str], theirs: dict[str, str]) -> None:
        self.centre = centre
        self.ours = ours
        self.theirs = theirs

    async def answer(self, ask: Ask, world: Mapping[str, str]) -> tuple[Any, ...]:
        """Status, headers and body; what is another one each time taken out."""
        new = {"fresh": next(_fresh)}
        if world["recorded"] == self.theirs["recorded"]:
            # The same call twice is one, and its second customer none: each is another call.
            new["recorded"] = next(_fresh)
        filled = ask.filled({**world, **new})
        async with await send(self.centre, filled) as response:
            body = _new_each_time.sub(b"new", await response.read())
            headers = {
                name: value for name, value in response.headers.items() if name not in _VOLATILE
            }
            return response.status, headers, body

    async def settled(self, tenant: str) -> Any:
        """All that there is of a tenant: records, documents, lines of the history."""
        centre, mark = self.centre, f"{tenant}:"
        async with asyncio.timeout(SETTLED_S):
            while not await centre.desk.settling.history():
                pass
        records = [
            record
            for place in centre.log.records.values()
            for record in place
            if record.key.startswith(mark)
        ]
        documents = {
            place: document
            for place, document in centre.store.documents.items()
            if document.key.startswith(mark)
        }
        lines = {place for place in centre.history.rows if place[0] == tenant}
        return records, documents, lines


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both() -> AsyncIterator[Both]:
    async with running_centre(*tenants(), dialects=DIALECTS, more=MORE) as centre:
        ours, theirs = await settle_in(centre, OURS), await settle_in(centre, THEIRS)
        async with asyncio.timeout(SETTLED_S):
            while not await centre.desk.settling.history():
                pass
        yield Both(centre, ours, theirs)


def without(body: bytes, id_: str) -> bytes:
    return body.replace(id_.encode(), b"*")


SETTLED_S: Final = 10.0
PROBES: Final = [
    pytest.param(operation_id, ask, name, id=f"{operation_id}-{number}-{name}")
    for operation_id, asks in ASKS.items()
    if operation_id not in ENDLESS
    for number, ask in enumerate(asks)
    for name in sorted(ask.places() - CREDENTIALS)
]


async def test_every_route_of_the_table_is_walked() -> None:
    served = {route.operation_id for route in TABLE_OF_ALL if route.tag != "documents"}
    assert served == ASKS.keys() | OPEN
    for route in TABLE_OF_ALL:
        if route.operation_id in OPEN or route.tag == "documents":
            assert route.scope is None
            assert route.security is None
            assert "{" not in route.path
    named = {name for asks in ASKS.values() for ask in asks for name in ask.places()}
    assert named - CREDENTIALS <= NOBODYS.keys() | {"position"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("operation_id", "ask"),
    [
        pytest.param(name, ask, id=f"{name}-{number}")
        for name, asks in ASKS.items()
        if name not in ENDLESS
        for number, ask in enumerate(asks)
    ],
)
async def test_what_is_ones_own_is_served(both: Both, operation_id: str, ask: Ask) -> None:
    """Else the walk would prove nothing: every request would be refused for another reason."""
    status, _, body = await both.answer(ask, both.theirs)
    assert status == 200, body
    assert b'"Fail"' not in body
    assert b'"errorcode"' not in body
    assert b'"successful":false' not in body
    if operation_id == "ozonetelGenerateToken":
        both.theirs["token"] = body.split(b'"')[3].decode()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("operation_id", "ask", "name"), PROBES)
async def test_what_another_tenant_has_is_as_if_it_were_not(
    both: Both, operation_id: str, ask: Ask, name: str
) -> None:
    before = await both.settled("demo")
    nobodys = await both.answer(ask, both.theirs | {name: NOBODYS[name]})
    ours = await both.answer(ask, both.theirs | {name: both.ours[name]})
    assert ours[:2] == nobodys[:2]
    assert without(ours[2], both.ours[name]) == without(nobodys[2], NOBODYS[name]), operation_id
    assert await both.settled("demo") == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/v1/calls?limit=1", "/v1/dispositions?limit=1"])
async def test_a_cursor_of_another_tenants_leads_to_nothing_of_it(both: Both, path: str) -> None:
    await both.centre.tell("demo", "another", "call.started", direction="inbound", did="1")
    mine = await both.answer(Ask("GET", "/v1/calls?limit=1", _BEARER), both.ours)
    cursor = re.search(rb'"next":"([^"]+)"', mine[2])
    assert cursor is not None
    asked = Ask("GET", f"{path}&cursor={cursor[1].decode()}", _BEARER)
    status, _, body = await both.answer(asked, both.theirs)
    assert status in {200, 422}
    for name in ("call", "agent", "customer", "record"):
        assert both.ours[name].encode() not in body


@pytest.mark.asyncio(loop_scope="module")
async def test_a_position_of_another_tenants_leads_to_nothing_of_it(both: Both) -> None:
    """It may go on where the other stood: what it gets is its own."""
    headers = (
        ASKS["followStream"][0].filled(both.theirs | {"position": both.ours["position"]}).headers
    )
    async with both.centre.client.get("/v1/stream", headers=headers) as response:
        assert response.status == 200
        await both.centre.tell("demo", both.ours["call"], "call.held")
        await both.centre.tell("other", both.theirs["call"], "call.held")
        heard = b""
        async with asyncio.timeout(5):
            while b'"type":"call.held"' not in heard:
                heard += await response.content.readline()
    assert b'"tenant":"other"' in heard
    assert b'"tenant":"demo"' not in heard


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", ["dispose", "extend_wrap_up"])
async def test_a_socket_takes_nothing_of_another_tenants(both: Both, kind: str) -> None:
    theirs = both.theirs
    bodies: dict[str, Any] = {
        "dispose": {"disposition": {"agent_id": theirs["agent"], "code": "Sale"}},
        "extend_wrap_up": {"extension": {"agent_id": theirs["agent"], "seconds": 30}},
    }
    before = await both.settled("demo")
    async with both.centre.client.ws_connect("/v1/socket") as socket:
        client = SocketClient(socket)
        await client.hello(f"Bearer {theirs['bearer']}")
        answers = []
        for call in (both.ours["ended"], "nobody-has-it"):
            asked = {"type": kind, "id": "1", "call_id": call, **bodies[kind]}
            await socket.send_json(asked)
            answer = await client.answer("1")
            answer["body"].pop("request_id", None)
            answers.append(answer)
    assert answers[0] == answers[1]
    assert answers[0]["status"] == 404
    assert await both.settled("demo") == before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_socket_tells_nothing_of_another_tenants(both: Both) -> None:
    async with both.centre.client.ws_connect("/v1/socket") as socket:
        client = SocketClient(socket)
        await client.hello(f"Bearer {both.theirs['bearer']}", last_event_id=both.ours["position"])
        await both.centre.tell("demo", both.ours["call"], "call.retrieved")
        await both.centre.tell("other", both.theirs["call"], "call.retrieved")
        told: list[Any] = []
        while "call.retrieved" not in str(told):
            told.append((await client.event())["event"])
    assert {event["tenant"] for event in told} == {"other"}


_BEARER: Final = {"Authorization": "Bearer {bearer}"}
