"""Bayeux messages: what is read, which names are channels, and what a pattern covers."""

from typing import Any

import pytest

from services.gateway.push.bayeux.messages import (
    Denied,
    Malformed,
    Message,
    Refusal,
    covers,
    done,
    is_channel,
    is_pattern,
    read_messages,
    refused,
    subscriptions_of,
)
from shared.contracts.limits import BAYEUX_CHANNEL_CHARS_MAX, BAYEUX_MESSAGES_MAX, ID_CHARS_MAX

LONGEST = "/" + "c" * (BAYEUX_CHANNEL_CHARS_MAX - 1)


def message(**fields: Any) -> Message:
    (read,) = read_messages({"channel": "/meta/subscribe", **fields})
    return read


def test_one_message_or_an_array_of_them() -> None:
    one = {"channel": "/meta/connect", "clientId": "c1", "id": "7"}
    assert read_messages(one) == read_messages([one])
    (read,) = read_messages(one)
    assert (read.channel, read.client_id, read.id) == ("/meta/connect", "c1", "7")
    assert len(read_messages([one] * BAYEUX_MESSAGES_MAX)) == BAYEUX_MESSAGES_MAX


@pytest.mark.parametrize(
    "body",
    [
        None,
        7,
        "text",
        [],
        [[]],
        {},
        {"channel": None},
        {"channel": ["/a"]},
        {"channel": "a"},
        {"channel": "/a/*"},
        [{"channel": "/a"}, 7],
        [{"channel": "/a"}] * (BAYEUX_MESSAGES_MAX + 1),
    ],
)
def test_what_holds_no_messages(body: Any) -> None:
    with pytest.raises(Malformed):
        read_messages(body)


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        ("7", "7"),
        (7, 7),
        ("x" * ID_CHARS_MAX, "x" * ID_CHARS_MAX),
        ("x" * (ID_CHARS_MAX + 1), None),
        (True, None),
        (1.5, None),
        ({}, None),
        (None, None),
        (2**63, None),
    ],
)
def test_an_id_is_echoed_where_it_can_be(sent: Any, echoed: Any) -> None:
    read = message(id=sent)
    assert read.id == echoed
    reply = done(read)
    assert reply.get("id") == echoed
    assert ("id" in reply) == (echoed is not None)


def test_a_client_id_that_is_no_text_is_none() -> None:
    assert message(clientId=["c1"]).client_id == ""
    assert message().client_id == ""


@pytest.mark.parametrize(
    ("name", "channel", "pattern"),
    [
        ("/v2/me/calls", True, True),
        ("/foo-bar/(foobar)", True, True),
        ("/a", True, True),
        (LONGEST, True, True),
        (LONGEST + "c", False, False),
        ("/*", False, True),
        ("/**", False, True),
        ("/v2/*", False, True),
        ("/v2/**", False, True),
        ("/v2/***", False, False),
        ("/*/calls", False, False),
        ("/**/calls", False, False),
        ("/v2*", False, False),
        ("", False, False),
        ("/", False, False),
        ("/a/", False, False),
        ("a/b", False, False),
        ("/a//b", False, False),
        ("/ä", False, False),
        ("/a b", False, False),
        ("/a\n", False, False),
    ],
)
def test_names(name: str, channel: bool, pattern: bool) -> None:
    assert (is_channel(name), is_pattern(name)) == (channel, pattern)


@pytest.mark.parametrize(
    ("pattern", "channel", "heard"),
    [
        ("/v2/me/calls", "/v2/me/calls", True),
        ("/v2/me/call", "/v2/me/calls", False),
        ("/v2/me/*", "/v2/me/calls", True),
        ("/v2/*", "/v2/me/calls", False),
        ("/v2/me/calls/*", "/v2/me/calls", False),
        ("/v2/**", "/v2/me/calls", True),
        ("/**", "/v2/me/calls", True),
        ("/v2/m/**", "/v2/me/calls", False),
        ("/foo/**", "/foo", False),
        ("/foo/*", "/foobar/a", False),
    ],
)
def test_what_a_pattern_covers(pattern: str, channel: str, heard: bool) -> None:
    assert covers(pattern, channel) == heard


def test_a_subscription_is_a_name_or_a_list_of_names() -> None:
    assert subscriptions_of(message(subscription="/a")) == ["/a"]
    assert subscriptions_of(message(subscription=["/a", "/b/**"])) == ["/a", "/b/**"]


@pytest.mark.parametrize("named", [None, "", [], {}, 7, "a", ["/a", 7], ["/a", "/*/b"]])
def test_what_is_no_subscription(named: Any) -> None:
    with pytest.raises(Denied, match=r"^400::"):
        subscriptions_of(message(subscription=named))


def test_a_refusal_in_the_form_of_the_protocol() -> None:
    why = Refusal(403, "Subscription denied", "/meta/x", {"reconnect": "none"})
    assert refused(message(id="1"), why, subscription="/meta/x") == {
        "channel": "/meta/subscribe",
        "id": "1",
        "successful": False,
        "error": "403:/meta/x:Subscription denied",
        "subscription": "/meta/x",
        "advice": {"reconnect": "none"},
    }
    assert refused(message(), Refusal(404, "no")) == {
        "channel": "/meta/subscribe",
        "successful": False,
        "error": "404::no",
    }
