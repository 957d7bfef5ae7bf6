"""A good request for every route there is, with places for whatever it names.

A request is written with `{call}`, `{agent}` and so on where it names something of a tenant's, and
with `{bearer}`, `{token}` and so on where it shows a credential. A `World` says what stands there:
what one tenant has, or the like that nobody has. So what asks can walk the table of routes: for
each a request that is served, the same with another tenant's id, and the same broken on purpose.
"""

import json
import tempfile
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from aiohttp import ClientResponse
from msgspec.structs import replace
from yarl import URL

from services.gateway.dialects.genesys.resources import device_id
from services.gateway.status_admission import NamingAsked
from shared.adapters.tenants_file import read_tenants
from shared.contracts.subjects import Subject
from shared.contracts.tenants import RateLimits, Rates, Tenant
from tests.support.centre import DEMO, Centre

World = Mapping[str, str]

JSON: Final = "application/json"
CREDENTIALS: Final = frozenset(
    ["bearer", "switch", "key", "password", "care", "secret", "token", "fresh"]
)
"""Places that name nothing; `fresh` is another text each time."""


class Ask(NamedTuple):
    """A request. `body` is JSON, its texts with places; None: there is none."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: Any = None
    content_type: str = JSON

    def places(self) -> frozenset[str]:
        """What it names, and what it shows."""
        texts = [self.path, *self.headers.values(), *_texts(self.body)]
        return frozenset(
            name for text in texts for _, name, _, _ in Formatter().parse(text) if name
        )

    def filled(self, world: World) -> "Ask":
        """The request of somebody to whom this is the world."""
        escaped = {name: quote(value, safe="") for name, value in world.items()}
        headers = {name: _header(value.format_map(world)) for name, value in self.headers.items()}
        path = self.path.format_map(escaped)
        return self._replace(path=path, headers=headers, body=_filled(self.body, world))

    def payload(self) -> bytes | None:
        """Its body."""
        return None if self.body is None else json.dumps(self.body).encode()


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for pair in value.items() for part in pair for text in _texts(part)]
        case list():
            return [text for item in value for text in _texts(item)]
        case _:
            return []


def _filled(value: Any, world: World) -> Any:
    match value:
        case str():
            return value.format_map(world)
        case dict():
            return {_filled(key, world): _filled(item, world) for key, item in value.items()}
        case list():
            return [_filled(item, world) for item in value]
        case _:
            return value


def _header(value: str) -> str:
    """HTTP Basic is written in clear here, to be read."""
    scheme, _, rest = value.partition(" ")
    return f"Basic {b64encode(rest.encode()).decode()}" if scheme == "Basic" else value


_NATIVE: Final = {"Authorization": "Bearer {bearer}"}
_UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
_SWITCH: Final = {"Authorization": "Bearer {switch}"}
_OZONETEL: Final = {"Authorization": "Bearer {token}"}
_VCC: Final = {"Authorization": "Basic {user}:{key}"}
_GENESYS: Final = {"Authorization": "Basic {tenant}/{agent}:{password}"}
_CARE: Final = {"x-api-key": "{care}"}
_ZIPTEAMS: Final = {
    "x-api-key": "{key}",
    "x-api-secret": "{secret}",
    "x-tenant-id": "{tenant}",
    "x-subtenant-id": "{subtenant}",
}
_RECORDS: Final = "/v2/projects/{project}/records"
_DISPOSITION: Final = {"dispositionid": 1, "userid": "{user_id}"}
_OPERATION: Final = {"operationName": "SetCallDisposition", "disposition": "Sale"}
_SUBSCRIBE: Final = {
    "channel": "/meta/subscribe",
    "clientId": "{client}",
    "subscription": "/v2/me/calls",
}
_RECORDED: Final = {
    "call": {
        "id": "{recorded}",
        "recording_url": "https://example.org/1.wav",
        "start_time": "2026-11-21T14:00:00Z",
        "end_time": "2026-11-21T14:01:00Z",
        "contact_number": "+4915112345678",
    },
    "agent": {"id": "{agent}"},
    "customer": {"id": "{customer}", "name": "Ida", "disposition_status": "New"},
}


def _ozonetel(**more: str) -> Ask:
    body = {"userName": "{user}", **more}
    return Ask("POST", "/ca_apis/DispositionAPIV2", _OZONETEL, body)


def _batch(*elements: dict[str, Any]) -> Ask:
    body = {"elements": list(elements), "disposition": _DISPOSITION}
    return Ask("PUT", f"{_RECORDS}/dispositions", _VCC, body)


def _notifications(path: str) -> dict[str, tuple[Ask, ...]]:
    name = {"": "", "/": "Below", "/subscribe": "OfType"}[path]
    path = f"/api/v2/notifications{path}"
    inside = quote(json.dumps(_SUBSCRIBE)[1:-1], safe="{}")
    message = f"%7B{inside}%7D"
    return {
        f"genesysPostNotifications{name}": (Ask("POST", path, _GENESYS, [_SUBSCRIBE]),),
        f"genesysGetNotifications{name}": (Ask("GET", f"{path}?message={message}", _GENESYS),),
    }


def _zipteams(prefix: str, short: str) -> dict[str, tuple[Ask, ...]]:
    status = {"customer_id": "{customer}", "disposition_status": "Won"}
    other = {name: value for name, value in _ZIPTEAMS.items() if name != "x-subtenant-id"}
    other["x-sub-tenant-id"] = "{subtenant}"
    path = f"{prefix}/ingest/disposition-status"
    return {
        f"zipteamsSetDispositionStatus{short}": (
            Ask("PUT", path, _ZIPTEAMS, status),
            Ask("PUT", path, other, status),
        ),
        f"zipteamsIngestCalls{short}": (
            Ask("POST", f"{prefix}/ingest/batch-call", _ZIPTEAMS, {"data": [_RECORDED]}),
        ),
    }


ASKS: Final[dict[str, tuple[Ask, ...]]] = {
    "disposeCall": (
        Ask(
            "POST",
            "/v1/calls/{call}/disposition",
            _NATIVE,
            {"agent_id": "{agent}", "code": "Sale", "comment": "yes", "pause_after": False},
        ),
    ),
    "extendWrapUp": (
        Ask(
            "POST",
            "/v1/calls/{ended}/wrap-up-extension",
            _NATIVE,
            {"agent_id": "{agent}", "seconds": 30},
        ),
    ),
    "giveToolbarToken": (
        Ask("POST", "/v1/toolbar-tokens", _NATIVE, {"agent_id": "{agent}", "ttl_s": 60}),
    ),
    "showRequest": (Ask("GET", "/v1/requests/{request}", _NATIVE),),
    "listCalls": (Ask("GET", "/v1/calls?agent_id={agent}", _NATIVE),),
    "showCall": (Ask("GET", "/v1/calls/{call}", _NATIVE),),
    "showCallHistory": (Ask("GET", "/v1/calls/{call}/history", _NATIVE),),
    "listCodes": (Ask("GET", "/v1/codes", _NATIVE),),
    "showSubject": (
        Ask("GET", "/v1/subjects/customer/{customer}", _NATIVE),
        Ask("GET", "/v1/subjects/record/{record}?within={project}", _NATIVE),
        Ask("GET", "/v1/subjects/enrolment/{customer}?within={campaign}", _NATIVE),
    ),
    "showSubjectHistory": (
        Ask("GET", "/v1/subjects/customer/{customer}/history", _NATIVE),
        Ask("GET", "/v1/subjects/record/{record}/history?within={project}", _NATIVE),
        Ask("GET", "/v1/subjects/enrolment/{customer}/history?within={campaign}", _NATIVE),
    ),
    "listDispositions": (
        Ask("GET", "/v1/dispositions?agent_id={agent}", _NATIVE),
        Ask("GET", "/v1/dispositions?campaign_id={campaign}&origin=queue", _NATIVE),
    ),
    "reportDispositions": (
        Ask("GET", "/v1/reports/dispositions?group_by=agent_id", _NATIVE),
        Ask("GET", "/v1/reports/dispositions?agent_id={agent}&project_id={project}", _NATIVE),
    ),
    "reportOutcomes": (
        Ask("GET", "/v1/reports/outcomes?group_by=agent_id", _NATIVE),
        Ask("GET", "/v1/reports/outcomes?agent_id={agent}&project_id={project}", _NATIVE),
    ),
    "listCallbacks": (
        Ask("GET", "/v1/callbacks?agent_id={agent}", _NATIVE),
        Ask("GET", "/v1/callbacks?campaign_id={campaign}&project_id={project}", _NATIVE),
    ),
    "followStream": (Ask("GET", "/v1/stream", {**_NATIVE, "Last-Event-ID": "{position}"}),),
    "openSocket": (Ask("GET", "/v1/socket", {**_NATIVE, **_UPGRADE}),),
    "ozonetelGenerateToken": (
        Ask("POST", "/ca_apis/CAToken/generateToken", {"apiKey": "{key}"}, {"userName": "{user}"}),
    ),
    "ozonetelDisposition": (
        _ozonetel(
            action="Set",
            agentID="{agent}",
            ucid="{call}",
            disposition="Sale",
            comments="yes",
            pauseReason="Lunch",
        ),
        _ozonetel(action="Get"),
    ),
    "genesysSetCallDisposition": (
        Ask("POST", "/api/v2/me/calls/{call}", _GENESYS, _OPERATION | {"callUuid": "{call}"}),
    ),
    "genesysSetCallDispositionOnDevice": (
        Ask("POST", "/api/v2/me/devices/any", _GENESYS, _OPERATION | {"callUuid": "{call}"}),
        Ask(
            "POST",
            "/api/v2/me/devices/{device}",
            _GENESYS,
            _OPERATION | {"callUri": "http://localhost/api/v2/me/calls/{call}"},
        ),
    ),
    "genesysMe": (Ask("GET", "/api/v2/me", _GENESYS),),
    "genesysMyCalls": (Ask("GET", "/api/v2/me/calls", _GENESYS),),
    **_notifications(""),
    **_notifications("/"),
    **_notifications("/subscribe"),
    "carecycleSetCampaignStatus": (
        Ask(
            "PATCH",
            "/v2/customers/campaign-status",
            _CARE,
            {"customerId": "{customer}", "campaignId": "{campaign}", "status": "completed"},
        ),
    ),
    "carecycleListCustomers": (Ask("GET", "/v2/customers?page=1&size=5", _CARE),),
    **_zipteams("/api/v1/partner", ""),
    **_zipteams("/partner", "Unversioned"),
    "vccLiveSetDispositions": (
        _batch({"numberid": "{record}"}),
        _batch({"search": {"numberid": "{record}"}}),
        _batch({"search": {"name": "{name}"}}),
        _batch({"search": {"{field}": "x"}}),
    ),
    "vccLiveAddDisposition": (
        Ask("POST", f"{_RECORDS}/{{record}}/dispositions", _VCC, _DISPOSITION),
    ),
    "vccLiveShowRecord": (Ask("GET", f"{_RECORDS}/{{record}}", _VCC),),
    # The last: agents who are told of stand on the asker's own call from then on.
    "tellEvents": (
        Ask(
            "POST",
            "/v1/events",
            _SWITCH,
            {
                "specversion": "1.0",
                "id": "{fresh}",
                "source": "/switch",
                "type": "call.agent_joined",
                "subject": "{call}",
                "tenant": "{tenant}",
                "data": {"agent_id": "{agent}"},
            },
            "application/cloudevents+json",
        ),
    ),
}
OPEN: Final = frozenset({"genesysVersion"})
"""What anybody may read who names nothing; beside it the pages and the documents."""

ENDLESS: Final = frozenset({"followStream", "openSocket"})
"""Whose good answers have no end; what they refuse and what they tell have walks of their own."""

OURS: Final = {
    "tenant": "demo",
    "user": "demo",
    "user_id": "10",
    "bearer": "demo-key",
    "switch": "demo-switch-key",
    "key": "demo-key",
    "password": "demo",
    "care": "cc_demo_key",
    "secret": "demo-secret",
    "agent": "agent-1",
    "call": "9012171",
    "recorded": "recorded-1",
    "customer": "87d8e330-2878-4742-a86f-dbbb3bf522ac",
    "campaign": "13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf",
    "subtenant": "main",
    "project": "17",
    "record": "4711",
    "name": "Grete",
    "field": "plate",
}
THEIRS: Final = {
    "tenant": "other",
    "user": "other",
    "user_id": "21",
    "bearer": "other-key",
    "switch": "other-switch-key",
    "key": "other-key",
    "password": "autre",
    "care": "cc_other_key",
    "secret": "other-secret",
    "agent": "op-1",
    "call": "8812171",
    "recorded": "recorded-2",
    "customer": "5b0aee7a-6b5b-4d1f-8f9e-0f4c0e1e1d11",
    "campaign": "7a1dcbb0-6c53-4f0b-9c0f-2f7e9d8c6b5a",
    "subtenant": "south",
    "project": "18",
    "record": "8822",
    "name": "Otto",
    "field": "flat",
}
NOBODYS: Final = {
    "tenant": "nobody",
    "user": "nobody",
    "user_id": "77",
    "agent": "nobody-1",
    "call": "7712171",
    "ended": "7712171",
    "recorded": "recorded-3",
    "customer": "11111111-2222-4333-8444-555555555555",
    "campaign": "99999999-2222-4333-8444-555555555555",
    "subtenant": "west",
    "project": "77",
    "record": "7733",
    "name": "Wanda",
    "field": "shelf",
    "request": "req-00000000000000000000000000000000",
    "client": "0000000000000000000000000000000000000000",
    "device": "00000000-0000-0000-0000-000000000000",
}


def tenants() -> tuple[Tenant, Tenant]:
    """Ours, which is the demo tenant, and one of another who has nothing in common with it."""
    text = DEMO.read_text("utf-8")
    pairs = [(OURS[name], THEIRS[name]) for name in ("switch", "care", "secret", "campaign", "key")]
    pairs += [("demo-admin-key", "other-admin-key"), ("agent-", "op-"), ("main", "south")]
    pairs += [("user_id: ", "user_id: 2"), ("password: demo", "password: autre"), ('"17"', '"18"')]
    pairs += [("id: demo", "id: other"), ("name: demo,", "name: other,")]
    for ours, theirs in pairs:
        assert ours in text, ours
        text = text.replace(ours, theirs)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "tenants.yaml"
        path.write_text(text, "utf-8")
        (theirs_too,) = read_tenants(path)
    return _unlimited(read_tenants(DEMO)[0]), _unlimited(theirs_too)


def _unlimited(tenant: Tenant) -> Tenant:
    """A tenant that may ask as often as it likes."""
    return replace(tenant, rate_limits=RateLimits(credential=Rates()))


async def settle_in(centre: Centre, world: World) -> dict[str, str]:
    """Make true what this world says: its call, about its customer; its records and enrolment.

    Returns:
        The world, with what is only known now: a token, a request, a client, a position.
    """
    about = {"customer_id": world["customer"], "campaign_id": world["campaign"]}
    about |= {"project_id": world["project"], "record_id": world["record"]}
    tenant, call, agent = world["tenant"], world["call"], {"agent_id": world["agent"]}
    await centre.tell(tenant, call, "call.started", direction="inbound", **agent, **about)
    await centre.tell(tenant, call, "call.answered")
    await centre.tell(tenant, call, "call.agent_joined", **agent)
    found = centre.tenants.get(tenant)
    assert found is not None
    data = {"name": world["name"], world["field"]: "x"}
    record = Subject("record", world["record"], world["project"])
    for subject in (
        record,
        Subject("customer", world["customer"]),
        Subject("enrolment", world["customer"], world["campaign"]),
    ):
        asked = NamingAsked(subject=subject, dialect="test", data=data)
        await centre.desk.subjects.ask(found, asked)
    ended = f"{call}-ended"
    await centre.tell(tenant, ended, "call.agent_joined", **agent)
    await centre.tell(tenant, ended, "call.disconnected")
    known = dict(world) | {"ended": ended}
    known |= {"device": device_id(tenant, world["agent"]), "fresh": "f-0"}
    verdict = await _json(centre, ASKS["disposeCall"][0].filled(known))
    known["request"] = verdict["request_id"]
    known["token"] = await fresh_token(centre, known)
    known["client"] = await shake_hands(centre, known)
    known["position"] = await position(centre, known)
    return known


async def fresh_token(centre: Centre, world: World) -> str:
    """A token of Ozonetel's; the one before it is void."""
    answer = await _json(centre, ASKS["ozonetelGenerateToken"][0].filled(world))
    token: str = answer["token"]
    return token


async def shake_hands(centre: Centre, world: World) -> str:
    """A client id for notifications."""
    message = {"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"]}
    ask = Ask("POST", "/api/v2/notifications", _GENESYS, [message]).filled(world)
    (reply,) = await _json(centre, ask)
    client: str = reply["clientId"]
    return client


async def leave(centre: Centre, world: World) -> None:
    """Give the client id back."""
    message = {"channel": "/meta/disconnect", "clientId": "{client}"}
    await _json(centre, Ask("POST", "/api/v2/notifications", _GENESYS, [message]).filled(world))


async def position(centre: Centre, world: World) -> str:
    """Where the stream stands now."""
    headers = ASKS["followStream"][0]._replace(headers=_NATIVE).filled(world).headers
    async with centre.client.get("/v1/stream", headers=headers) as response:
        assert response.status == 200
        while not (line := await response.content.readline()).startswith(b"id: "):
            pass
        return line.removeprefix(b"id: ").strip().decode()


async def send(centre: Centre, ask: Ask, payload: bytes | None = None) -> ClientResponse:
    """Send it; `payload` instead of its own."""
    headers = dict(ask.headers)
    body = ask.payload() if payload is None else payload
    if body is not None:
        headers["Content-Type"] = ask.content_type
    url = URL(ask.path, encoded=True)
    return await centre.client.request(ask.method, url, headers=headers, data=body)


async def _json(centre: Centre, ask: Ask) -> Any:
    response = await send(centre, ask)
    assert response.status == 200, (ask, await response.text())
    return await response.json(content_type=None)
