"""What an agent's listener is told of its calls, and of nobody else's."""

from hashlib import sha256

import pytest
from msgspec.structs import replace

from services.gateway.dialects.genesys import feed
from services.gateway.dialects.genesys.resources import device_id
from services.gateway.push import follower
from shared.contracts import limits
from shared.contracts.calls import WrapUpRules
from shared.contracts.envelope import Record
from shared.contracts.tenants import Tenant
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS
from shared.runtime.ports import TopicPartition
from tests.support.centre import Centre, demo_tenant
from tests.unit.services.gateway.dialects.genesys.listening import (
    CONNECT,
    basic,
    centre_of,
    dispose,
    listen,
    served,
    talk,
)

pytestmark = pytest.mark.asyncio

CHANGED = ("AttachedDataChanged", "Established")


def moved(*states: str) -> list[tuple[str, str]]:
    return [("StateChange", state) for state in states]


def put(centre: Centre, record: Record, value: bytes | None = None) -> None:
    """The record once more, at the end of its partition; another value if one is given."""
    records = centre.log.records[TopicPartition(record.topic, record.partition)]
    value = record.value if value is None else value
    records.append(replace(record, offset=len(records), value=value))
    centre.log.wake()


async def test_the_notification_of_the_page() -> None:
    async with centre_of() as centre:
        await talk(centre)
        ada = await listen(centre)
        centre.clock.advance(262_000)
        await dispose(centre)
        (told,) = await ada.told(1)
        here = f"http://127.0.0.1:{centre.client.port}"
        connection = told["data"]["call"].pop("connId")
        assert len(connection) == 16
        assert told == {
            "data": {
                "notificationType": "AttachedDataChanged",
                "call": {
                    "id": "c-1",
                    "state": "Established",
                    "callUuid": "c-1",
                    "deviceUri": f"{here}/api/v2/devices/{device_id('demo', 'agent-1')}",
                    "participants": [
                        {
                            "e164Number": "+49301234567",
                            "formattedPhoneNumber": "+49301234567",
                            "phoneNumber": "+49301234567",
                            "digits": "49301234567",
                        }
                    ],
                    "dnis": "15000",
                    "callType": "Inbound",
                    "capabilities": ["SetCallDisposition"],
                    "userData": {"DispositionCode": "Referred"},
                    "duration": "262",
                    "mute": "Off",
                    "supervisorListeningIn": False,
                    "monitoredUserMuted": False,
                    "monitoring": False,
                    "uri": f"{here}/api/v2/me/calls/c-1",
                    "path": "/calls/c-1",
                },
                "phoneNumber": "15000",
                "messageType": "CallStateChangeMessage",
            },
            "channel": "/v2/me/calls",
        }


async def test_a_whole_call() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        await centre.tell("demo", "c-1", "call.started", direction="inbound", agent_id="agent-1")
        await centre.tell("demo", "c-1", "call.answered")
        await centre.tell("demo", "c-1", "call.held")
        await centre.tell("demo", "c-1", "call.retrieved")
        await dispose(centre)
        assert await ada.states(5) == [
            *moved("Ringing", "Established", "Held", "Established"),
            CHANGED,
        ]
        await centre.tell("demo", "c-1", "call.disconnected")
        await dispose(centre)
        await centre.tell("demo", "c-1", "call.released")
        await dispose(centre)
        assert await ada.states(2) == moved("Released", "Completed")
        await ada.nothing()


async def test_a_hold_of_the_whole_call_holds_everybody_who_talks() -> None:
    async with centre_of() as centre:
        ada, bela = await listen(centre), await listen(centre, "agent-2")
        await talk(centre, "c-1", ["agent-1"])
        await centre.tell("demo", "c-1", "call.held")
        assert await ada.states(2) == moved("Established", "Held")
        await centre.tell("demo", "c-1", "call.agent_joined", agent_id="agent-2")
        assert await bela.states(1) == moved("Held")
        await centre.tell("demo", "c-1", "call.held", agent_id="agent-1")
        await centre.tell("demo", "c-1", "call.retrieved", agent_id="agent-1")
        await centre.tell("demo", "c-1", "call.retrieved", agent_id="agent-2")
        await ada.nothing()
        await bela.nothing()
        await centre.tell("demo", "c-1", "call.retrieved")
        assert await ada.states(1) == moved("Established")
        assert await bela.states(1) == moved("Established")


async def test_nothing_of_a_disposition_after_the_release() -> None:
    async with centre_of() as centre:
        await talk(centre)
        ada = await listen(centre)
        await centre.tell("demo", "c-1", "call.disconnected")
        assert await ada.states(1) == moved("Released")
        await dispose(centre)
        await ada.nothing()
        await centre.tell("demo", "c-1", "call.released")
        assert await ada.states(1) == moved("Completed")
        await dispose(centre)
        await ada.nothing()


async def test_a_queued_disposition_told_behind_the_release_is_not_told() -> None:
    async with centre_of() as centre:
        await talk(centre)
        ada = await listen(centre)
        await dispose(centre)
        assert await ada.states(1) == [CHANGED]
        await centre.tell("demo", "c-1", "call.disconnected")
        assert await ada.states(1) == moved("Released")
        (queued, *_) = centre.log.all(DISPOSITION_EVENTS)
        put(centre, queued)
        await ada.nothing()


async def test_a_disposition_told_ahead_of_the_call_is_told_behind_it() -> None:
    async with centre_of() as centre:
        await talk(centre)
        ada = await listen(centre)
        await dispose(centre)
        assert await ada.states(1) == [CHANGED]
        (queued,) = centre.log.all(DISPOSITION_EVENTS)
        value = queued.value.replace(b'"call_version":2', b'"call_version":4')
        assert value != queued.value
        put(centre, queued, value)
        await ada.nothing()
        await centre.tell("demo", "c-1", "call.held")
        assert await ada.states(1) == moved("Held")
        await ada.nothing()
        await centre.tell("demo", "c-1", "call.retrieved")
        assert await ada.states(2) == [*moved("Established"), CHANGED]
        await centre.tell("demo", "c-1", "call.held")
        assert await ada.states(1) == moved("Held")
        await ada.nothing()


async def test_a_record_that_comes_again_tells_nothing_again() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        await talk(centre)
        assert await ada.states(1) == moved("Established")
        await centre.tell("demo", "c-1", "call.held")
        await centre.tell("demo", "c-1", "call.disconnected")
        assert await ada.states(2) == moved("Held", "Released")
        for record in centre.log.all(CALLS_CHANGED):
            put(centre, record)
        await ada.nothing()


async def test_what_nobody_of_ours_has_written_is_passed_over() -> None:
    async with centre_of() as centre:
        await talk(centre)
        ada = await listen(centre)
        await dispose(centre)
        assert await ada.states(1) == [CHANGED]
        for record in (*centre.log.all(CALLS_CHANGED), *centre.log.all(DISPOSITION_EVENTS)):
            for value in (b"{}", b'{"call_id":1}', b"what?", b"[" * 100_000 + b"]" * 100_000):
                put(centre, record, value)
        await ada.nothing()


async def test_each_agent_hears_of_its_own_calls_alone() -> None:
    async with centre_of() as centre:
        ada, bela = await listen(centre), await listen(centre, "agent-2")
        await talk(centre, "c-1", ["agent-1"])
        await talk(centre, "c-2", ["agent-2"])
        await dispose(centre, "c-2", "agent-2")
        (told,) = await ada.told(1)
        assert told["data"]["call"]["id"] == "c-1"
        assert [one["data"]["call"]["id"] for one in await bela.told(2)] == ["c-2", "c-2"]
        await ada.nothing()
        await bela.nothing()


async def test_two_agents_on_one_call_each_see_it_as_their_own() -> None:
    async with centre_of() as centre:
        ada, bela = await listen(centre), await listen(centre, "agent-2")
        await talk(centre, "c-1", ["agent-1", "agent-2"])
        await centre.tell("demo", "c-1", "call.held", agent_id="agent-1")
        assert await ada.states(2) == moved("Established", "Held")
        assert await bela.states(1) == moved("Established")
        await dispose(centre, "c-1", "agent-2")
        (mine,), (theirs,) = await ada.told(1), await bela.told(1)
        assert mine["data"]["call"]["state"] == "Held"
        assert mine["data"]["call"]["userData"] == {}
        assert mine["data"]["call"]["deviceUri"].endswith(device_id("demo", "agent-1"))
        assert theirs["data"]["call"]["state"] == "Established"
        assert theirs["data"]["call"]["userData"] == {"DispositionCode": "Referred"}
        await centre.tell("demo", "c-1", "call.agent_left", agent_id="agent-1", reason="transfer")
        assert await ada.states(1) == moved("Released")
        await dispose(centre, "c-1", "agent-2")
        assert await bela.states(1) == [CHANGED]
        await ada.nothing()


async def test_another_tenants_calls_are_never_told() -> None:
    digest = sha256(b"other").hexdigest()
    agents = tuple(replace(one, password_sha256=digest) for one in demo_tenant().agents)
    other = Tenant(id="other", agents=agents, codes=demo_tenant().codes)
    async with centre_of(demo_tenant(), other) as centre:
        theirs = await listen(centre, "agent-1", "other", on="/**")
        ada = await listen(centre, on="/**")
        await talk(centre, "c-1", tenant="other")
        await centre.tell("other", "c-1", "call.data_attached", user_data={"a": "b"})
        assert await theirs.states(2) == [*moved("Established"), CHANGED]
        await ada.nothing()
        await talk(centre, "c-1")
        assert await ada.states(1) == moved("Established")
        await dispose(centre)
        assert await ada.states(1) == [CHANGED]
        await centre.tell("other", "c-1", "call.held")
        assert await theirs.states(1) == moved("Held")


async def test_data_that_the_switch_attaches_is_told_while_the_call_goes_on() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        await talk(centre)
        await centre.tell("demo", "c-1", "call.data_attached", user_data={"Segment": "gold"})
        assert await ada.states(1) == moved("Established")
        (told,) = await ada.told(1)
        assert told["data"]["notificationType"] == "AttachedDataChanged"
        assert told["data"]["call"]["userData"] == {"Segment": "gold"}
        await centre.tell("demo", "c-1", "call.disconnected")
        await centre.tell("demo", "c-1", "call.data_attached", user_data={"Segment": "lead"})
        assert await ada.states(1) == moved("Released")
        await ada.nothing()


async def test_a_call_without_wrap_up_is_released_and_completed() -> None:
    tenant = replace(demo_tenant(), wrap_up=WrapUpRules(seconds=0))
    async with centre_of(tenant) as centre:
        ada = await listen(centre)
        await talk(centre)
        await centre.tell("demo", "c-1", "call.disconnected")
        assert await ada.states(3) == moved("Established", "Released", "Completed")


async def test_a_listener_that_comes_late_hears_what_changes_from_then_on() -> None:
    async with centre_of() as centre:
        await talk(centre)
        await centre.tell("demo", "c-1", "call.held")
        ada = await listen(centre)
        await centre.tell("demo", "c-1", "call.data_attached", user_data={"a": "b"})
        assert await ada.states(1) == [("AttachedDataChanged", "Held")]
        late = await listen(centre)
        await centre.tell("demo", "c-1", "call.retrieved")
        assert await ada.states(1) == await late.states(1) == moved("Established")
        await centre.tell("demo", "c-1", "call.disconnected")
        await centre.tell("demo", "c-1", "call.released")
        assert await ada.states(2) == await late.states(2) == moved("Released", "Completed")


async def test_an_agent_who_comes_back_hears_of_the_call_again() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        await talk(centre, "c-1", ["agent-1", "agent-2"])
        left = {"agent_id": "agent-1", "reason": "transfer"}
        await centre.tell("demo", "c-1", "call.agent_left", **left)
        await centre.tell("demo", "c-1", "call.released", agent_id="agent-1")
        assert await ada.states(3) == moved("Established", "Released", "Completed")
        centre.clock.advance(1000)
        await centre.tell("demo", "c-1", "call.agent_joined", agent_id="agent-1")
        assert await ada.states(1) == moved("Established")


async def test_a_call_that_is_over_and_reopened_tells_nothing() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        await centre.tell("demo", "c-1", "call.started", direction="inbound", agent_id="agent-1")
        await centre.tell("demo", "c-1", "call.disconnected")
        assert await ada.states(3) == moved("Ringing", "Released", "Completed")
        await centre.tell("demo", "c-1", "call.agent_joined", agent_id="agent-1")
        await centre.tell("demo", "c-1", "call.released", agent_id="agent-1")
        await ada.nothing()


async def test_wildcards_hear_it_and_other_channels_do_not() -> None:
    async with centre_of() as centre:
        one, deep = await listen(centre, on="/v2/me/*"), await listen(centre, on="/v2/**")
        devices = await listen(centre, on="/v2/me/devices")
        await talk(centre)
        assert await one.states(1) == await deep.states(1) == moved("Established")
        await devices.hears_nothing()
        await devices.subscribe()
        await centre.tell("demo", "c-1", "call.held")
        assert await devices.states(1) == moved("Held")


async def test_after_unsubscribing_nothing_is_told() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        await ada.post({"channel": "/meta/unsubscribe", "subscription": "/v2/me/calls"})
        await talk(centre)
        await ada.hears_nothing()
        assert centre.hub.clients == 0, "nobody follows for nobody"
        await ada.subscribe()
        await centre.tell("demo", "c-1", "call.held")
        assert await ada.states(1) == moved("Held")


async def test_one_follower_for_all_listeners_of_a_tenant() -> None:
    async with centre_of() as centre:
        listeners = [await listen(centre, f"agent-{n}") for n in range(1, 6)]
        assert centre.hub.clients == 1
        for one in listeners:
            await one.post({"channel": "/meta/disconnect"})
        assert centre.hub.clients == 0


async def test_the_store_away_for_a_while_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "RETRY_S", 0.01)
    async with centre_of() as centre:
        ada = await listen(centre)
        await talk(centre)
        assert await ada.states(1) == moved("Established")
        for group in ("callstate", "worker"):
            await centre.stop_processor(group)
        changed = centre.log.all(CALLS_CHANGED)[-1]
        for _ in range(3):
            centre.store.fail_next("load")
        value = changed.value.replace(b'"active"', b'"wrap_up"')
        put(centre, changed, value.replace(b'"version":2', b'"version":3'))
        assert await ada.states(1) == moved("Released")


async def test_an_agents_calls_that_can_not_be_read_refuse_the_subscription() -> None:
    async with centre_of() as centre:
        ada = await listen(centre, on=None)
        centre.store.fail_next("find")
        reply = await ada.subscribe()
        assert (reply["successful"], reply["error"]) == (False, "503::Not now, ask again")
        assert (await ada.subscribe())["successful"]
        await talk(centre)
        assert await ada.states(1) == moved("Established")


async def test_a_feed_that_falls_behind_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.push.queue.STREAM_QUEUE_MAX", 3)
    monkeypatch.setattr(follower, "JOIN_DISTANCE_MAX", 1)
    async with centre_of() as centre:
        ada = await listen(centre)
        await talk(centre)
        assert await ada.states(1) == moved("Established")
        told = []
        async with served(centre).feeds._feeds["demo"][0]._turn:  # the hub does not wait
            for _ in range(6):
                await centre.tell("demo", "c-1", "call.held")
                await centre.tell("demo", "c-1", "call.retrieved")
                told += moved("Held", "Established")
        assert await ada.states(12) == told


async def test_a_broken_feed_lets_its_listeners_begin_anew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async with centre_of() as centre:
        ada = await listen(centre)
        await talk(centre)
        assert await ada.states(1) == moved("Established")
        with monkeypatch.context() as patched:
            patched.setattr(feed, "states_to_tell", broken)
            await centre.tell("demo", "c-1", "call.held")
            (reply,) = await ada.post(CONNECT)
        assert (reply["successful"], reply["advice"]["reconnect"]) == (False, "handshake")
        assert "notifications_broke" in capsys.readouterr().out
        again = await listen(centre)
        await centre.tell("demo", "c-1", "call.retrieved")
        assert await again.states(1) == moved("Established")


async def test_records_that_are_no_longer_kept_let_listeners_begin_anew() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        await talk(centre)
        assert await ada.states(1) == moved("Established")
        centre.hub._offer_gap(centre.hub.position)
        (reply,) = await ada.post(CONNECT)
        assert (reply["successful"], reply["advice"]["reconnect"]) == (False, "handshake")
        assert reply["error"] == "503::What is told was broken off"


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "REMEMBERED_MAX", 2)
    async with centre_of() as centre:
        ada = await listen(centre)
        for number in range(3):
            await talk(centre, f"c-{number}")
        assert await ada.states(3) == moved(*["Established"] * 3)
        for number in (2, 1):
            await centre.tell("demo", f"c-{number}", "call.data_attached", user_data={"a": "b"})
        assert await ada.states(2) == [CHANGED] * 2
        assert limits.PAGE_SIZE_MAX * len(feed._OPEN) < 20_000, "what a listener finds fits"


async def test_the_same_credential_written_in_full() -> None:
    async with centre_of() as centre:
        ada = await listen(centre)
        ada.headers = basic("demo/agent-1")
        await talk(centre)
        assert await ada.states(1) == moved("Established")
