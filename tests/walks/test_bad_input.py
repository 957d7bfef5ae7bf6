"""Bad input, walked over every route: refused in the dialect's own shape, and nothing is written.

Each request is one that is served, broken in one place. However it is broken: the answer comes, it
is one that /openapi.json has for this route, in status, type and body, and it is no 5xx. Where it
refuses, neither log nor store nor history have grown.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import pytest
import pytest_asyncio

from services.gateway.__main__ import MORE
from services.gateway.app import TABLE
from services.gateway.dialects.ozonetel.tokens import COLLECTION as TOKENS
from services.gateway.dialects.ozonetel.tokens import LIFE_MS
from shared.contracts.limits import BODY_BYTES_MAX
from tests.support.asks import (
    ASKS,
    ENDLESS,
    OURS,
    Ask,
    fresh_token,
    leave,
    settle_in,
    shake_hands,
    tenants,
)
from tests.support.centre import Centre, running_centre
from tests.support.documented import Documents
from tests.support.socket_client import Closed, SocketClient
from tests.walks.routes import DIALECTS, TABLE_OF_ALL

ANSWERED_S: Final = 10.0
ROUTES: Final = {route.operation_id: route for route in TABLE_OF_ALL if route.operation_id in ASKS}
NOT_JSON: Final = {
    "nothing": b"",
    "blank": b" \n",
    "cut off": b'{"a": ',
    "more behind": b"{} {}",
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "marked": b"\xef\xbb\xbf{}",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "not finite": b'{"a": 1e999}',
    "a number that no float holds": b'{"a": ' + b"9" * 400 + b"}",
    "a number of many digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "a key twice": b'{"a": 1, "a": 2}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "deep objects": b'{"a":' * 1_500 + b"1" + b"}" * 1_500,
    "deep arrays": b"[" * 20_000 + b"]" * 20_000,
    "a comment": b"{} // yes",
}
NOT_AN_OBJECT: Final = {"null": b"null", "a text": b'"text"', "a number": b"1", "true": b"true"}
EMPTY: Final = {"an empty array": b"[]", "an array for an object": b"[[]]", "no fields": b"{}"}
VALUES: Final[tuple[Any, ...]] = (None, True, -1, 1.5, 2**63, 10**30, "", " ", [], {}, [[]], [None])
TEXTS: Final = ("\x00", "a\x00b", "\ud800", "a" * 3_000, "../..", "$where", "\r\nX: y", "\u202e")
OTHER_TYPES: Final = (
    None,
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "json",
    "\xff",
)
PATH_IDS: Final = ("%00", "%FF", "%C3%A9", "a%20b", "a%0d%0aX", "..%2F..", "a" * 129, "%25", "{}")
QUERIES: Final = ("nonsense=1", "limit=x", "cursor=%00", "a=%FF", "&&==", "page=0", "size=1e9")


class Answer(NamedTuple):
    """What came."""

    status: int
    content_type: str | None
    body: bytes

    @property
    def refuses(self) -> bool:
        """Whether nothing was to be done."""
        return (
            self.status >= 400
            or b'"Fail"' in self.body
            or b'"status":"false"' in self.body
            or b'"response":{}' in self.body
        )


class Walk:
    """A centre, one route of it, and the request that it serves."""

    def __init__(self, centre: Centre, documents: Documents, name: str, ask: Ask) -> None:
        self.centre = centre
        self.documents = documents
        self.operation = documents.named(name)
        self.ask = ask
        self.payload = ask.payload()
        self.headers = [(name.encode(), value.encode()) for name, value in ask.headers.items()]

    def written(self) -> tuple[int, int]:
        """How much the gateway has written: records, and tokens of Ozonetel's."""
        documents = self.centre.store.documents.items()
        tokens = sum(kept.revision for (name, _), kept in documents if name == TOKENS)
        return self.centre.log.appended, tokens

    def kept(self) -> tuple[int, int, int]:
        """How much there is of all: records, saves of documents, lines of the history."""
        records = sum(map(len, self.centre.log.records.values()))
        return records, self.centre.store.saves, len(self.centre.history.rows)

    async def send(
        self,
        *,
        path: str | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
        payload: bytes | None = None,
        content_type: str | None = "",
        length: int | None = None,
        chunked: bool = False,
    ) -> Answer:
        """The request, with these parts of it in place of its own. Bytes as they are."""
        payload = self.payload if payload is None else payload
        lines = [f"{self.ask.method} {path or self.ask.path} HTTP/1.1".encode(), b"Host: localhost"]
        lines += [b": ".join(pair) for pair in (self.headers if headers is None else headers)]
        if payload is not None:
            told = self.ask.content_type if content_type == "" else content_type
            lines += [] if told is None else [b"Content-Type: " + told.encode("latin-1")]
            if chunked:
                lines.append(b"Transfer-Encoding: chunked")
                payload = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload)
            else:
                lines.append(b"Content-Length: %d" % (len(payload) if length is None else length))
        head = b"\r\n".join([*lines, b"Connection: close", b"", b""])
        return await asyncio.wait_for(self._exchange(head + (payload or b"")), ANSWERED_S)

    async def _exchange(self, request: bytes) -> Answer:
        host, port = self.centre.client.host, self.centre.client.port
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")  # who has more to send is waited for
            response = HTTPResponse(_Came(head), method="HEAD")  # type: ignore[arg-type]
            response.begin()
            length = int(response.headers["Content-Length"])
            body = await reader.readexactly(length)
        finally:
            writer.close()
        return Answer(response.status, response.headers["Content-Type"], body)

    async def check(self, what: str, refused: bool = True, **broken: Any) -> Answer:
        """Send it so, and hold what comes against what is documented."""
        before, kept = self.written(), self.kept()
        answer = await self.send(**broken)
        assert answer.status < 500, (what, answer)
        self.documents.check(self.operation, *answer)
        assert answer.refuses or not refused, (what, answer)
        by_rule = answer.status in {404, 409} or b"not_found" in answer.body
        if answer.refuses and not by_rule:
            assert self.written() == before, (what, answer)
        if refused:  # so was all before it, and nobody has anything left to do
            assert self.kept() == kept, (what, answer)
        return answer


class _Came:
    def __init__(self, came: bytes) -> None:
        self._came = came

    def makefile(self, _: str) -> BytesIO:
        return BytesIO(self._came)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place() -> AsyncIterator[tuple[Centre, dict[str, str], Documents]]:
    ours, _ = tenants()
    async with running_centre(ours, dialects=DIALECTS, more=MORE) as centre:
        known = await settle_in(centre, OURS)
        yield centre, known, Documents(centre.app, TABLE)


@pytest_asyncio.fixture(loop_scope="module")
async def walk(
    request: pytest.FixtureRequest, place: tuple[Centre, dict[str, str], Documents]
) -> AsyncIterator[Walk]:
    centre, known, documents = place
    now = dict(known)
    if "ozonetel" in request.param:
        centre.clock.advance(LIFE_MS)  # else there would be too many in an hour
        now["token"] = await fresh_token(centre, known)
    if "Notifications" in request.param:  # whoever stays away is forgotten
        now["client"] = await shake_hands(centre, known)
    assert await centre.desk.settling.history()
    yield Walk(centre, documents, request.param, ASKS[request.param][0].filled(now))
    if "Notifications" in request.param:
        await leave(centre, now)


def routes(*, without: frozenset[str] = frozenset(), body: bool = False) -> pytest.MarkDecorator:
    """Every route that names something or needs a credential; those with a body."""
    names = [
        name
        for name, route in ROUTES.items()
        if name not in without and (not body or route.method != "GET")
    ]
    return pytest.mark.parametrize("walk", names, indirect=True)


@pytest.mark.asyncio(loop_scope="module")
@routes(without=frozenset({"openSocket"}))
async def test_without_its_credential(walk: Walk) -> None:
    await walk.check("none", headers=[])
    for name, value in walk.headers:
        if name.lower() not in SECRETS:
            continue
        others = [pair for pair in walk.headers if pair[0] != name]
        scheme, _, secret = value.rpartition(b" ")
        before = scheme + b" " if scheme else b""
        for what, shown in {
            "missing": [],
            "empty": [(name, b"")],
            "scheme alone": [(name, before)],
            "wrong": [(name, before + b"x" * len(secret))],
            "another scheme": [(name, b"Digest " + secret)],
            "cut short": [(name, value[:-1])],
            "lengthened": [(name, value + b"x")],
            "too long": [(name, before + b"x" * 4_000)],
            "not ASCII": [(name, before + "schl\u00fcssel".encode())],
            "not UTF-8": [(name, before + b"\xff\xfe")],
            "twice": [(name, value), (name, value)],
            "twice, spelt otherwise": [(name, value), (name.upper(), value)],
            "with another": [(name, value), (name, before + b"x")],
        }.items():
            answer = await walk.check(what, headers=[*others, *shown])
            assert answer.status in {200, 401, 403}, (what, answer)


SECRETS: Final = {b"authorization", b"x-api-key", b"x-api-secret", b"apikey"}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "walk", [name for name in ROUTES if name.startswith("zipteams")], indirect=True
)
async def test_with_contradicting_tenants(walk: Walk) -> None:
    x_tenant, x_subtenant, other = b"x-tenant-id", b"x-subtenant-id", b"x-sub-tenant-id"
    for name, values in {
        x_tenant: [b"demo", b"other"],
        x_subtenant: [b"main", b"south"],
    }.items():
        headers = [pair for pair in walk.headers if pair[0] != name]
        for pair in (values, values[::-1]):
            answer = await walk.check("twice", headers=[*headers, *((name, one) for one in pair)])
            assert answer.status == 403
        for value in (b"\xff", "m\u00e4in".encode(), b"main/..", b"a" * 5_000, b"demo,other"):
            assert (await walk.check("none", headers=[*headers, (name, value)])).status == 403
        assert (await walk.check("empty", headers=[*headers, (name, b" ")])).status == 400
        assert (await walk.check("missing", headers=headers)).status == 400
    answer = await walk.check("both spellings", headers=[*walk.headers, (other, b"south")])
    assert answer.status == 403


@pytest.mark.asyncio(loop_scope="module")
@routes(body=True)
async def test_with_a_body_of_another_type(walk: Walk) -> None:
    for content_type in OTHER_TYPES:
        answer = await walk.check(str(content_type), content_type=content_type)
        assert answer.status == 415, (content_type, answer)


@pytest.mark.asyncio(loop_scope="module")
@routes(body=True)
async def test_with_a_body_that_is_too_large(walk: Walk, request: pytest.FixtureRequest) -> None:
    most = ROUTES[request.node.callspec.params["walk"]].body_bytes_max or BODY_BYTES_MAX
    answer = await walk.check("announced", length=most + 1)
    assert answer.status == 413
    answer = await walk.check("sent", payload=b" " * (most + 1))
    assert answer.status == 413
    answer = await walk.check("sent unannounced", payload=b" " * (most + 1), chunked=True)
    assert answer.status == 413
    answer = await walk.check("at most", payload=b" " * most)
    assert answer.status == 400


@pytest.mark.asyncio(loop_scope="module")
@routes(body=True)
async def test_with_a_body_that_is_no_json(walk: Walk) -> None:
    for what, payload in NOT_JSON.items():
        answer = await walk.check(what, payload=payload)
        assert answer.status == 400, (what, answer)
    for what, payload in (NOT_AN_OBJECT | EMPTY).items():
        answer = await walk.check(what, payload=payload)
        assert answer.status in {200, 400, 422, 417}, (what, answer)


@pytest.mark.asyncio(loop_scope="module")
@routes(body=True)
async def test_with_fields_of_another_kind(walk: Walk) -> None:
    assert walk.payload is not None
    whole = json.loads(walk.payload)
    for place, broken in broken_in_one_place(whole, (*VALUES, *TEXTS)):
        await walk.check(place, refused=False, payload=json.dumps(broken).encode())
    for name in ("nonsense", "$set", "__proto__", "a.b", "\x00", ""):
        more = json.loads(walk.payload)
        (more[0] if isinstance(more, list) else more)[name] = 1
        answer = await walk.check(name, refused=False, payload=json.dumps(more).encode())
        # Of an event it is an extension; a vendor's unknown fields are passed over.
        assert answer.refuses or not walk.ask.path.startswith("/v1/calls"), answer


def broken_in_one_place(value: Any, instead: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """The value with one of its parts replaced by each of these, or left out."""
    match value:
        case dict():
            for name, item in value.items():
                yield name, {key: other for key, other in value.items() if key != name}
                yield from ((f"{name}: {one!r:.40}", value | {name: one}) for one in instead)
                for place, broken in broken_in_one_place(item, instead):
                    yield f"{name}.{place}", value | {name: broken}
        case list():
            for index, item in enumerate(value):
                for place, broken in broken_in_one_place(item, instead):
                    yield f"{index}.{place}", [*value[:index], broken, *value[index + 1 :]]
        case _:
            return


@pytest.mark.asyncio(loop_scope="module")
@routes(without=ENDLESS)
async def test_with_an_idempotency_key_that_is_none(walk: Walk) -> None:
    for keys in ([b""], [b"a", b"a"], [b"a" * 256], [b"\xff"], ["\u00e9".encode()], [b"a\tb"]):
        headers = [*walk.headers, *((b"Idempotency-Key", key) for key in keys)]
        answer = await walk.check(str(keys), refused=False, headers=headers)
        kept = "Idempotency-Key" in str(walk.operation)
        assert answer.refuses == kept, (keys, answer)


@pytest.mark.asyncio(loop_scope="module")
@routes(without=ENDLESS)
async def test_with_odd_ids_in_the_path(walk: Walk) -> None:
    path, _, query = walk.ask.path.partition("?")
    for name in ("call", "record", "project", "customer", "device", "request"):
        id_ = quote(OURS.get(name, "\x00"), safe="")
        if f"/{id_}" not in path:
            continue
        for odd in PATH_IDS:
            broken = path.replace(f"/{id_}", f"/{odd}", 1)
            answer = await walk.check(odd, path=f"{broken}?{query}" if query else broken)
            assert answer.status in {400, 404}, (odd, answer)


@pytest.mark.asyncio(loop_scope="module")
@routes(without=ENDLESS)
async def test_with_an_odd_query(walk: Walk) -> None:
    for odd in QUERIES:
        mark = "&" if "?" in walk.ask.path else "?"
        await walk.check(odd, refused=False, path=f"{walk.ask.path}{mark}{odd}")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("walk", ["followStream"], indirect=True)
async def test_a_stream_from_nowhere(walk: Walk) -> None:
    kept = [pair for pair in walk.headers if pair[0] != b"Last-Event-ID"]
    for odd in (b"x", b"v1", b"v1.1-1", b"v1." + b"9" * 400, b"\xff", b"v1.-1-0-0-0"):
        answer = await walk.check(str(odd), headers=[*kept, (b"Last-Event-ID", odd)])
        assert answer.status in {400, 422}
    for query in ("topics=x", "topics=", "topics=calls.changed&topics=x", "last_event_id=x", "a=1"):
        answer = await walk.check(query, headers=kept, path=f"/v1/stream?{query}")
        assert answer.status in {400, 422}


@pytest.mark.asyncio(loop_scope="module")
@routes(without=ENDLESS)
async def test_what_is_not_broken_is_served(walk: Walk) -> None:
    """Else all of the above would be refused for another reason."""
    answer = await walk.check("good", refused=False)
    assert answer.status == 200
    assert not answer.refuses, answer


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "walk",
    ["openSocket", *(name for name in ROUTES if name.startswith("genesysGetNotifications"))],
    indirect=True,
)
async def test_a_websocket_that_is_none(walk: Walk) -> None:
    shown = [pair for pair in walk.headers if pair[0] == b"Authorization"]
    upgrade = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
    for more in (
        [],
        [(b"Sec-WebSocket-Version", b"13")],
        [(b"Sec-WebSocket-Version", b"13"), (b"Sec-WebSocket-Key", b"short")],
        [(b"Sec-WebSocket-Version", b"12"), (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA==")],
        [(b"Sec-WebSocket-Version", b"\xff"), (b"Sec-WebSocket-Key", b"\xff")],
    ):
        answer = await walk.check(str(more), headers=[*shown, *upgrade, *more])
        assert answer.status == 400


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("walk", ["openSocket"], indirect=True)
async def test_a_socket_that_is_refused(walk: Walk) -> None:
    """What is wrong once it is open has its close codes."""
    upgrade = [pair for pair in walk.headers if pair[0] != b"Authorization"]
    (shown,) = [pair for pair in walk.headers if pair[0] == b"Authorization"]
    for value in (b"", b"Bearer", b"Bearer x", b"Basic x", shown[1] + b"x", b"Bearer \xff"):
        answer = await walk.check(str(value), headers=[*upgrade, (shown[0], value)])
        assert answer.status == 401, (value, answer)
    assert (await walk.check("twice", headers=[*upgrade, shown, shown])).status == 401
    for query in ("authorization=Bearer%20demo-key", "token=x", "topics=calls.changed", "%FF=1"):
        answer = await walk.check(query, path=f"/v1/socket?{query}")
        assert answer.status == 422
    for name in (b"x", b"\xff", b"aftercall.v2", b",", b"AFTERCALL.V1"):
        spoken = (b"Sec-WebSocket-Protocol", name)
        answer = await walk.check(str(name), headers=[*walk.headers, spoken])
        assert answer.status == 400


SAID: Final[dict[str, dict[str, Any]]] = {
    "dispose": {
        "call_id": OURS["call"],
        "idempotency_key": "key",
        "disposition": {"agent_id": OURS["agent"], "code": "Sale", "callback_at": None},
    },
    "extend_wrap_up": {
        "call_id": OURS["call"],
        "idempotency_key": "key",
        "extension": {"agent_id": OURS["agent"], "seconds": 30},
    },
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", SAID)
async def test_a_socket_with_messages_broken_in_one_place(
    place: tuple[Centre, dict[str, str], Documents], kind: str
) -> None:
    """Each is answered, or closes the socket with a code that is told; it is no fault of ours."""
    centre, known, _ = place
    whole = {"type": kind, "id": "1", **SAID[kind]}
    broken = list(broken_in_one_place(whole, (*VALUES, *TEXTS)))
    broken += [(name, whole | {name: 1}) for name in ("nonsense", "$set", "a.b", "\x00", "")]
    client: SocketClient | None = None
    for what, message in broken:
        if client is None:
            client = SocketClient(await centre.client.ws_connect("/v1/socket"))
            await client.hello(f"Bearer {known['bearer']}", topics="user.events")
        await client.socket.send_json(message)
        answer = await _answer_or_close(client)
        if isinstance(answer, Closed):
            assert answer.code == 4400, (what, answer)
            client = None
        else:
            assert answer["status"] in {200, 400, 404, 409, 422}, (what, answer)
            assert answer["id"] == message["id"]


async def _answer_or_close(client: SocketClient) -> dict[str, Any] | Closed:
    try:
        return await client.take("answer")
    except Closed as closed:
        return closed


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "broken",
    [value for value in (*VALUES, *TEXTS) if value is not None],
    ids=lambda one: f"{one!r:.20}",
)
async def test_a_socket_with_a_broken_hello(
    place: tuple[Centre, dict[str, str], Documents], broken: Any
) -> None:
    centre, known, _ = place
    hello = {"type": "hello", "authorization": f"Bearer {known['bearer']}"}
    for name in ("type", "authorization", "topics", "last_event_id", "nonsense"):
        client = SocketClient(await centre.client.ws_connect("/v1/socket"))
        await client.socket.send_json(hello | {name: broken})
        closed = await client.closed()
        assert closed.code in {4400, 4401, 4422}, (name, closed)


ODD_HEADERS: Final = (
    *("Accept", "Accept-Encoding", "Content-Encoding", "Cookie", "If-None-Match", "Last-Event-ID"),
    *("Origin", "Prefer", "Range", "Sec-Fetch-Site", "User-Agent", "X-Forwarded-For", "Expect"),
    *("ce-id", "ce-specversion", "ce-tenant", "ce-type", "X-HTTP-Method-Override", "Upgrade"),
)


@pytest.mark.asyncio(loop_scope="module")
@routes(without=ENDLESS)
async def test_with_odd_headers(walk: Walk) -> None:
    """Most of them say nothing to anybody; none of them breaks anything."""
    for name in ODD_HEADERS:
        for value in (b"\xff\xfe", "\u00e9".encode(), b"x" * 5_000, b"%00", b"", b"a, b;q=x;;,,"):
            await walk.check(
                f"{name}: {value!r}",
                refused=False,
                headers=[*walk.headers, (name.encode(), value)],
            )
