"""/asyncapi.json is whole, and true to the tables and structs that the services write by."""

import re
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

import services
import shared
from services.callstate.topology import CallstateTopology
from services.gateway.asyncapi import DEAD_LETTER, DEAD_RECEIPT, STRUCTURED, Layout, asyncapi
from services.gateway.envelopes import DEAD_REASONS, SCHEMAS
from services.gateway.schemas import struct_schemas
from services.gateway.sockets.documents import NAME as SOCKET
from services.gateway.sockets.documents import schemas
from services.worker.topology import WorkerTopology
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.dispositions import DispositionTold
from shared.contracts.ids import call_key
from shared.contracts.messages import MESSAGES
from shared.contracts.subjects import StatusTold
from shared.contracts.telephony import EVENT_TYPES
from shared.contracts.topics import (
    GATEWAY_REPLIES,
    TELEPHONY_EVENTS,
    TOLD,
    TOPICS,
    dead,
)
from tests.support.topics_documented import FORMATS, document, faults
from tests.unit.services.gateway.floor import NATIVE, Floor
from tests.unit.services.gateway.test_documents import references

NAMES: Final = tuple(document()["components"]["messages"])
OTHERS: Final = {STRUCTURED, DEAD_LETTER, DEAD_RECEIPT}  # that are told by no shape of ours
SAID: Final = tuple(name for name in NAMES if name.startswith(f"{SOCKET}."))
TOPOLOGIES: Final = (CallstateTopology(FileTenantDirectory([])), WorkerTopology())
LITERAL: Final = re.compile(r'Poison\(\s*"([a-z_]+)"')


def test_every_topic_but_the_replies_is_a_channel_and_so_is_where_its_dead_letters_go() -> None:
    decided = {topic for topology in TOPOLOGIES for topic in topology.topics}
    assert set(document()["channels"]) == (set(TOPICS) - {GATEWAY_REPLIES}) | set(
        map(dead, decided)
    ) | {SOCKET}
    assert f"`{GATEWAY_REPLIES}` is left out" in document()["info"]["description"]


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: topology.group)
def test_the_table_says_who_decides_as_the_services_do(
    topology: CallstateTopology | WorkerTopology,
) -> None:
    decided = {name for name, topic in TOPICS.items() if topic.decided_by == topology.group}
    assert decided == set(topology.topics)


def test_every_type_that_switches_may_tell_has_its_message() -> None:
    told = [message.type for message in MESSAGES if message.topic == TELEPHONY_EVENTS]
    assert told == list(EVENT_TYPES)


def test_no_two_messages_have_one_name() -> None:
    assert len({message.name for message in MESSAGES}) == len(MESSAGES)
    assert {name for name in NAMES if "of_subject" in name} == {
        "disposition.refused.of_subject",
        "callback.scheduled.of_subject",
        "callback.due.of_subject",
        "callback.timer_due.of_subject",
    }
    assert set(NAMES) == {message.name for message in MESSAGES} | OTHERS | set(SAID)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(document()):
        found: Any = document()
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def test_schemas_are_valid_json_schema_draft_07() -> None:
    for schema in document()["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("name", NAMES)
def test_each_message_has_an_example_that_is_as_its_schemas_say(name: str) -> None:
    examples = document()["components"]["messages"][name]["examples"]
    assert examples
    for example in examples:
        assert faults(name, None, example.get("headers", {}), example["payload"]) == []


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_on_a_socket_is_one_message_of_it_alone(name: str) -> None:
    assert set(document()["channels"][SOCKET]["messages"]) == set(SAID)
    for example in document()["components"]["messages"][name]["examples"]:
        assert [other for other in SAID if not faults(other, None, {}, example["payload"])] == [
            name
        ]


def test_the_sockets_schemas_hide_none_of_the_topics() -> None:
    topics = struct_schemas(dict.fromkeys(message.shape for message in MESSAGES))
    assert not schemas().keys() & (topics.keys() | SCHEMAS.keys())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {*OTHERS, *SAID}])
def test_an_example_of_one_message_is_none_of_another_on_its_topic(name: str) -> None:
    (message,) = [one for one in MESSAGES if one.name == name]
    (example,) = document()["components"]["messages"][name]["examples"]
    key = call_key("demo", example["headers"]["ce_subject"])
    fitting = [
        other
        for other in document()["channels"][message.topic]["messages"]
        if not faults(other, key, example["headers"], example["payload"])
    ]
    assert fitting == [name]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_what_is_always_there_is_no_field_that_the_shape_lacks_or_asks_for(message: Any) -> None:
    required = document()["components"]["schemas"][message.shape.__name__]["required"]
    assert set(message.always) <= set(message.shape.__struct_fields__) - set(required)


@pytest.mark.parametrize(
    ("name", "change", "against"),
    [
        ("call.changed", {"version": "four"}, "payload $.version"),
        ("call.changed", {"phase": "ended"}, "payload $.phase"),
        ("call.changed", {"started_at": "yesterday"}, "payload $.started_at"),
        ("call.changed", {"started_at": None}, "payload $.started_at"),
        ("call.started", {"customer_id": "7 7"}, "payload $.customer_id"),
        ("call.started", {"user": 1}, "payload $: Additional properties"),
    ],
)
def test_the_schemas_say_no(name: str, change: dict[str, Any], against: str) -> None:
    (example,) = document()["components"]["messages"][name]["examples"]
    (fault,) = faults(name, None, example["headers"], {**example["payload"], **change})
    assert fault.startswith(against)


def test_a_told_record_without_its_number_is_none() -> None:
    (example,) = document()["components"]["messages"]["call.changed"]["examples"]
    headers = {name: text for name, text in example["headers"].items() if name != "ce_sequence"}
    (fault,) = faults("call.changed", None, headers, example["payload"])
    assert "'ce_sequence' is a required property" in fault


def test_fields_say_what_their_docstrings_and_their_names_say() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["StatusTold"]["description"] == (
        "Data of `disposition.events` about a subject: ids and codes, nothing personal."
    )
    fields = schemas["StatusTold"]["properties"]
    assert fields["agent_id"]["description"] == "of the disposition that it comes from, if any"
    assert fields["callback_at"] == {"type": "string", "format": "date-time"}
    assert "milliseconds" in schemas["TimerDue"]["properties"]["deadline_ms"]["description"]
    assert schemas["WrapUpExtended"]["properties"]["seconds"]["description"] == "in seconds"
    policy = schemas["StatusRequest"]["properties"]["policy"]
    assert policy == {"$ref": "#/components/schemas/StatusPolicy", "default": {}}


@pytest.mark.parametrize("shape", [DispositionTold, StatusTold])
def test_what_is_told_has_no_field_for_what_is_personal(shape: Any) -> None:
    assert not {"comment", "from", "to", "name", "phone"} & set(shape.__struct_fields__)


def test_every_reason_of_a_dead_letter_is_named() -> None:
    """Of what the processors raise: switches' own feeds are not on a topic yet."""
    folders = [
        *(Path(str(shared.__file__)).parent / name for name in ("contracts", "runtime")),
        *(Path(str(services.__file__)).parent / name for name in ("callstate", "worker")),
    ]
    raised = {
        reason
        for folder in folders
        for path in folder.rglob("*.py")
        if "switches" not in path.parts
        for reason in LITERAL.findall(path.read_text("utf-8"))
    }
    assert raised == set(DEAD_REASONS)


def test_a_deployment_has_its_own_addresses_and_partitions() -> None:
    made = asyncapi(Layout("cluster", "eu.", 48))
    for name, channel in made["channels"].items():
        if name == SOCKET:
            assert channel["address"] == "/v1/socket"
            continue
        assert channel["address"] == f"eu.{name}"
        assert channel["bindings"]["kafka"]["topic"] == f"eu.{name}"
        assert channel["bindings"]["kafka"]["partitions"] == 48
    assert "runs the cluster profile" in made["info"]["description"]
    assert "runs the embedded profile" in document()["info"]["description"]


def test_told_topics_are_to_be_had_over_http_too() -> None:
    over_http = {
        name
        for name, channel in document()["channels"].items()
        if {"$ref": "#/servers/gateway"} in channel["servers"]
    }
    assert over_http == {TELEPHONY_EVENTS, *TOLD}


def test_the_formats_are_looked_at() -> None:
    assert not FORMATS.conforms("yesterday", "date-time")
    assert FORMATS.conforms("2026-11-21T09:00:00.000Z", "date-time")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/asyncapi.json", "/openapi.json"])
async def test_a_document_is_sent_once_to_who_has_it(floor: Floor, path: str) -> None:
    first = await floor.client.get(path)
    assert first.status == 200
    assert first.headers["Cache-Control"] == "no-cache"
    etag = first.headers["ETag"]
    for seen in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = await floor.client.get(path, headers={"If-None-Match": seen})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", etag)
    other = await floor.client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status, await other.read()) == (200, await first.read())
    head = await floor.client.head(path)
    assert (head.status, head.headers["ETag"]) == (200, etag)


@pytest.mark.asyncio
async def test_what_is_served_is_the_document(floor: Floor) -> None:
    answer = await floor.client.get("/asyncapi.json", headers=NATIVE)
    assert answer.content_type == "application/json"
    assert await answer.json() == document()
