"""Admission, the rules that need no call: a neutral request and a tenant in, a request out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.admission import Asked, admit
from shared.contracts import limits
from shared.contracts.dispositions import Policy
from shared.contracts.errors import Refused
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.tenants import Agent, Code, Tenant

CODES = (
    Code(code="Sale", id=1),
    Code(
        code="Later",
        children=(
            Code(code="Callback", needs_callback=True),
            Code(code="Busy"),
        ),
    ),
)
TENANT = Tenant(id="t1", disposition_key="Result", agents=(Agent(agent_id="agent-1"),), codes=CODES)
ASKED = Asked(
    call_id="call-1", agent_id="agent-1", code="Sale", dialect="native", policy=Policy(late=False)
)


def ask(**changed: Any) -> Asked:
    return msgspec.structs.replace(ASKED, **changed)


def test_what_is_not_said_takes_the_tenant_s_defaults() -> None:
    request = admit(ASKED, TENANT, "req-1")
    assert (request.request_id, request.idempotency_key) == ("req-1", "req-1")
    assert (request.key, request.policy, request.dialect) == (
        "Result",
        Policy(late=False),
        "native",
    )


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("unknown code", {"code": "Nope"}, "invalid_disposition"),
    ("a folder", {"code": "Later"}, "invalid_disposition"),
    ("another case", {"code": "SALE"}, "invalid_disposition"),
    ("no callback time", {"code": "Callback"}, "callback_required"),
    ("unknown agent", {"agent_id": "agent-2"}, "agent_not_on_call"),
    ("agent with a line feed", {"agent_id": "agent-1\n"}, "validation"),
    ("empty call", {"call_id": ""}, "validation"),
    ("call of 129", {"call_id": "c" * 129}, "validation"),
    ("call with a slash", {"call_id": "a/b"}, "validation"),
    ("key with a dollar", {"key": "$set"}, "validation"),
    ("comment too long", {"comment": "x" * (limits.COMMENT_CHARS_MAX + 1)}, "validation"),
    ("comment with NUL", {"comment": "a\x00"}, "validation"),
    ("comment with a surrogate", {"comment": "\ud800"}, "validation"),
    ("reason too long", {"pause_reason": "x" * (limits.TEXT_CHARS_MAX + 1)}, "validation"),
    ("reason with NUL", {"pause_reason": "\x00"}, "validation"),
    ("callback before 1970", {"callback_ms": -1}, "validation"),
    ("callback after 9999", {"callback_ms": INSTANT_MS_MAX + 1}, "validation"),
    ("empty idempotency key", {"idempotency_key": ""}, "validation"),
    ("long idempotency key", {"idempotency_key": "k" * 256}, "validation"),
    ("idempotency key not ASCII", {"idempotency_key": "ü"}, "validation"),
    ("idempotency key with a line feed", {"idempotency_key": "k\n"}, "validation"),
]


@pytest.mark.parametrize(
    ("changed", "code"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED]
)
def test_refused(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        admit(ask(**changed), TENANT, "req-1")
    assert refused.value.code == code
    assert refused.value.detail


ADMITTED: list[tuple[str, dict[str, Any]]] = [
    ("a leaf in a folder", {"code": "Busy"}),
    ("with its callback time", {"code": "Callback", "callback_ms": 0}),
    ("callback at the end of time", {"callback_ms": INSTANT_MS_MAX}),
    ("comment at its limit", {"comment": "x" * limits.COMMENT_CHARS_MAX}),
    ("reason at its limit", {"pause_reason": "x" * limits.TEXT_CHARS_MAX}),
    ("call of 128", {"call_id": "c" * 128}),
    ("idempotency key of 255", {"idempotency_key": "~" * 255}),
]


@pytest.mark.parametrize("changed", [pytest.param(row[1], id=row[0]) for row in ADMITTED])
def test_admitted(changed: dict[str, Any]) -> None:
    request = admit(ask(**changed), TENANT, "req-1")
    for name, value in changed.items():
        assert getattr(request, name) == value


def test_a_tenant_without_a_list_of_agents_takes_whom_the_switch_names() -> None:
    tenant = msgspec.structs.replace(TENANT, agents=())
    assert admit(ask(agent_id="anybody"), tenant, "req-1").agent_id == "anybody"


EQUAL_UNDER_ONE_KEY = {
    "call_id": "call-2",
    "agent_id": "agent-9",
    "code": "Busy",
    "key": "Other",
    "comment": "c",
    "callback_ms": 5,
    "pause_after": True,
    "pause_reason": "r",
    "release_after": True,
}


@pytest.mark.parametrize("name", EQUAL_UNDER_ONE_KEY)
def test_the_hash_tells_every_field_apart(name: str) -> None:
    tenant = msgspec.structs.replace(TENANT, agents=())
    changed = ask(**{name: EQUAL_UNDER_ONE_KEY[name]})
    before, after = admit(ASKED, tenant, "r"), admit(changed, tenant, "r")
    assert before.body_hash != after.body_hash


@pytest.mark.parametrize(
    "changed",
    [{"policy": Policy()}, {"dialect": "other"}, {"key": "Result"}, {"idempotency_key": "k"}],
)
def test_the_hash_leaves_out_what_the_client_did_not_say(changed: dict[str, Any]) -> None:
    assert admit(ask(**changed), TENANT, "a").body_hash == admit(ASKED, TENANT, "b").body_hash


@settings(deadline=None, max_examples=100)
@given(
    keys=st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20),
        min_size=2,
        max_size=2,
    ),
    calls=st.lists(st.from_regex(r"[A-Za-z0-9._:-]{1,20}", fullmatch=True), min_size=2, max_size=2),
)
def test_the_request_id_is_the_key_s_alone(keys: list[str], calls: list[str]) -> None:
    first, second = (
        admit(ask(call_id=call, idempotency_key=key), TENANT, fresh)
        for call, key, fresh in zip(calls, keys, ("f1", "f2"), strict=True)
    )
    same = (calls[0], keys[0]) == (calls[1], keys[1])
    assert (first.request_id == second.request_id) == same
    other = msgspec.structs.replace(TENANT, id="t2")
    again = admit(ask(call_id=calls[0], idempotency_key=keys[0]), other, "f3")
    assert again.request_id != first.request_id
