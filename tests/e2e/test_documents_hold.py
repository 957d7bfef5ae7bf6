"""The running product against its own /openapi.json: requests made of it, good ones and bad.

Whatever is sent, the answer is one that the documents name, in the shape they give it, and never a
500; what breaks the documents is refused, and nothing of it stays behind: the logs of the calls
verify, nobody had to write a dead letter, and the process has not a word of trouble to tell.

`make fuzz EXAMPLES=1000` asks so often; `AFTERCALL_TEST_SEED` draws others.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
import yaml

from tests.support.product import AGENT, DEMO_TENANTS, ROOT, SWITCH, Product, cloud_event

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

SEED: Final = int(os.environ.get("AFTERCALL_TEST_SEED", "19"))
EXAMPLES_MAX: Final = int(os.environ.get("AFTERCALL_TEST_EXAMPLES", "8"))
CUSTOMER: Final = "87d8e330-2878-4742-a86f-dbbb3bf522ac"
CAMPAIGN: Final = "13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf"
ABOUT: Final = {
    "customer_id": CUSTOMER,
    "campaign_id": CAMPAIGN,
    "project_id": "17",
    "record_id": "4711",
}
CALLS: Final = ("fuzz-1", "fuzz-2", "fuzz-3")
CODES: Final = ("Sale", "Interested", "Callback", "Nonsense")
AGENTS: Final = ("agent-1", "agent-2", "agent-9")
MOMENTS: Final = ("2026-12-01T10:00:00Z", "2026-11-01T10:00:00.5Z")
NUMBERS: Final = (1, 2, 4, 99)
# Else all but the first sixty of a minute would be answered "too many". Counted nevertheless, where
# a minute has room for all: what counting leaves in the store has to verify, too.
RATES: Final = {"carecycle": 1_200, "zipteams": 1_200, "ozonetel_tokens": None}
Known = Mapping[str, str | Sequence[str | int]]


class Client(NamedTuple):
    """Who asks, and where.

    Attributes:
        paths: a pattern of them.
        headers: its credential.
        known: what exists, by where it belongs: drawn mostly, or only its absence would be met;
            one text alone: always.
        without: checks that can't hold there, with the reason beside each.
        refused: statuses in which a request that breaks the documents is refused, the usual ones
            apart.
        not_taken: statuses in which one that keeps them may be, for what no schema can say.
    """

    paths: str
    headers: Mapping[str, str]
    known: Known = MappingProxyType({})
    without: tuple[str, ...] = ()
    refused: tuple[int, ...] = ()
    not_taken: tuple[int, ...] = ()


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


CLIENTS: Final = {
    # A stream or a socket has no end to wait for; what it refuses is in tests/walks.
    # A cursor is good only if we gave it, a code only if the tenant has it: 422.
    "an agent": Client(
        "^/v1/(?!stream|socket|events)",
        AGENT,
        {
            "path.call_id": CALLS,
            "path.kind": "customer",
            "path.id": (CUSTOMER, "4711"),
            "query.agent_id": AGENTS,
            "query.code": CODES,
            "body.agent_id": AGENTS,
            "body.code": CODES,
            "body.callback_at": MOMENTS,
            "body.key": ("Other", "DispositionCode"),
        },
        not_taken=(422,),
    ),
    # In binary mode the attributes are headers, and what `data` holds depends on the type.
    "a switch": Client(
        "^/v1/events",
        SWITCH,
        {"body.subject": (*CALLS, "new-1"), "body.data.agent_id": AGENTS},
        not_taken=(415, 422),
    ),
    "a Genesys client": Client(
        "^/api/v2",
        _basic("agent-1", "demo"),
        {
            "path.id": CALLS,
            "body.callUuid": CALLS,
            "body.disposition": CODES,
            "body.channel": ("/meta/handshake", "/meta/connect", "/meta/subscribe"),
            "query.message": ('{"channel":"/meta/handshake"}', '[{"channel":"/meta/connect"}]'),
            "query.jsonp": ("told", "a.b"),
        },
    ),
    # A record's fields may each be right, and no code or user have that number: 417.
    "a VCC Live client": Client(
        r"^/v2/projects/\{projectid\}/records/\{",
        _basic("demo", "demo-key"),
        {
            "path.projectid": "17",
            "path.numberid": ("4711", "4712"),
            "body.dispositionid": NUMBERS,
            "body.userid": NUMBERS,
            "body.next_calldate": ("2026-12-01 10:00:00",),
        },
        refused=(417,),
        not_taken=(417, 422),
    ),
    # What is wrong with an element, or with what all of them have, is told beside the others' 200.
    "a VCC Live client with many": Client(
        "/records/dispositions$",
        _basic("demo", "demo-key"),
        {
            "path.projectid": "17",
            "body.disposition.dispositionid": NUMBERS,
            "body.disposition.userid": NUMBERS,
            "body.elements[*].numberid": ("4711", 4712),
        },
        without=("negative_data_rejection",),
    ),
    # This vendor says 200 to everybody, and in the body who is refused and what is wrong.
    "an Ozonetel client": Client(
        "^/ca_apis/Disposition",
        {},
        {
            "body.userName": ("demo",),
            "body.action": ("Set", "get"),
            "body.agentID": AGENTS,
            "body.ucid": CALLS,
            "body.did": ("1",),
            "body.disposition": CODES,
            "body.callBackTime": ("2026-12-01 10:00",),
            "body.pauseAfterDispose": ("true", "false"),
        },
        without=("ignored_auth", "negative_data_rejection", "missing_required_header"),
    ),
    "an Ozonetel user": Client(
        "^/ca_apis/CAToken",
        {"apiKey": "demo-key"},
        {"body.userName": ("demo", "nobody")},
        without=("ignored_auth", "negative_data_rejection", "missing_required_header"),
    ),
    # Pages that end behind the last customer listed.
    "a CareCycle client": Client(
        "^/v2/customers",
        {"x-api-key": "cc_demo_key"},
        {"body.customerId": (CUSTOMER,), "body.campaignId": (CAMPAIGN,)},
        not_taken=(422,),
    ),
    # An end is after its start, an id stands once: 422.
    "a Zipteams client": Client(
        "/partner/",
        {
            "x-api-key": "demo-key",
            "x-api-secret": "demo-secret",
            "x-tenant-id": "demo",
            "x-subtenant-id": "main",
        },
        {
            "body.customer_id": (CUSTOMER,),
            "body.data[*].call.start_time": MOMENTS[1:],
            "body.data[*].call.end_time": MOMENTS[:1],
            "body.data[*].call.recording_url": ("https://example.org/1.wav",),
            "body.data[*].customer.id": (CUSTOMER, "new"),
            "body.data[*].customer.email": ("a@example.org",),
            "body.data[*].agent.email": ("b@example.org",),
            "body.data[*].callback_url": ("https://example.org/told",),
        },
        not_taken=(422,),
    ),
    # Who has it already is sent nothing: 304.
    "a reader": Client("^/(docs|console|openapi|asyncapi|toolbar)", {}, not_taken=(304,)),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    place = tmp_path_factory.mktemp("product")
    tenants = yaml.safe_load(DEMO_TENANTS.read_text("utf-8"))
    tenants["tenants"][0]["rate_limits"] = {"credential": RATES}
    file = place / "tenants.yaml"
    file.write_text(yaml.safe_dump(tenants), "utf-8")
    async with Product(place / "data", tenants_file=file) as started:
        async with aiohttp.ClientSession(started.url, headers=SWITCH) as http:
            for call in CALLS:
                await _tell(http, call)
        yield started


async def _tell(http: aiohttp.ClientSession, call: str) -> None:
    started = {"direction": "inbound", "did": "1", "agent_id": "agent-1", **ABOUT}
    for kind, data in (("started", started), ("agent_joined", {"agent_id": "agent-1"})):
        event = cloud_event(call, f"call.{kind}", data)
        content_type = {"Content-Type": "application/cloudevents+json"}
        async with http.post("/v1/events", json=event, headers=content_type) as answer:
            assert answer.status == 200, await answer.text()


async def token_of(product: Product) -> dict[str, str]:
    """What an Ozonetel client sends."""
    async with (
        aiohttp.ClientSession(product.url, headers={"apiKey": "demo-key"}) as http,
        http.post("/ca_apis/CAToken/generateToken", json={"userName": "demo"}) as answer,
    ):
        return {"Authorization": f"Bearer {(await answer.json())['token']}"}


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> str | None:
    """What it said, if it did not end well."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout[-6_000:] + done.stderr[-2_000:]


def config(client: Client) -> str:
    """What schemathesis is to check, and which texts it knows."""
    # 400: no schema says how deep a body may be, how long a number, that no text holds NUL.
    taken = ["2xx", "400", "401", "403", "404", "409", "429", *map(str, client.not_taken)]
    refused = ["400", "401", "403", "404", "405", "408", "413", "415", "422", "429"]
    refused += map(str, client.refused)
    lines = [
        *_known(client.known),
        "[checks]",
        *(f"{name}.enabled = false" for name in client.without),
        f"positive_data_acceptance.expected-statuses = {json.dumps(taken)}",
    ]
    if "negative_data_rejection" not in client.without:
        lines.append(f"negative_data_rejection.expected-statuses = {json.dumps(refused)}")
    return "\n".join(lines)


def _known(known: Known) -> Iterator[str]:
    for number, (place, values) in enumerate(known.items()):
        if isinstance(values, str):
            yield f'parameters."{place}" = "{values}"'
            continue
        yield f"dictionaries.d{number}.values = {json.dumps(values)}"
        yield f'parameters."{place}" = {{ dictionary = "d{number}", probability = 0.8 }}'


def asking(url: str, client: Client, file: Path) -> list[str]:
    given = [part for name, value in client.headers.items() for part in ("-H", f"{name}: {value}")]
    return [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(file)),
        *("run", f"{url}/openapi.json", "--include-path-regex", client.paths),
        *("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES_MAX)),
        *("--seed", str(SEED), "--generation-database", "none", "--request-timeout", "5"),
        *("--no-color", *given),
    ]


@pytest.mark.parametrize("client", [pytest.param(one, id=name) for name, one in CLIENTS.items()])
async def test_the_documents_hold(product: Product, tmp_path: Path, client: Client) -> None:
    file = tmp_path / "schemathesis.toml"
    file.write_text(config(client), "utf-8")
    if client is CLIENTS["an Ozonetel client"]:
        client = client._replace(headers=await token_of(product))
    command = asking(product.url, client, file)
    wrong = await asyncio.to_thread(run, command, tmp_path)
    if wrong is not None:
        pytest.fail(wrong, pytrace=False)


async def test_nothing_of_it_stays_behind(product: Product) -> None:
    """Last in this file: it stops the product."""
    assert await asyncio.to_thread(product.stop) == 0
    told = product.log_path.read_text()
    assert "Traceback" not in told
    assert '"level": "error"' not in told
    command = [sys.executable, "-m", "services.cli", "verify"]
    assert await asyncio.to_thread(run, command, ROOT, product.environment()) is None
    dead = [sys.executable, "-m", "services.cli", "dead-letters", "list", "--json"]
    done = subprocess.run(
        dead, cwd=ROOT, env=product.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
