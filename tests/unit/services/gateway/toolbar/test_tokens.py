"""Toolbar tokens: sealed for one tenant, key and agent, until their end; nothing else is one."""

from hashlib import sha256
from typing import Any

import msgspec
import pytest

from services.gateway.toolbar.tokens import (
    TOKEN_CHARS_MAX,
    Claims,
    Sealed,
    check,
    seal,
    take_apart,
)
from shared.contracts.errors import Refused
from shared.contracts.tenants import Agent, Credential, Tenant

NOW_MS = 1_000_000
KEY = Credential(id="crm", sha256=sha256(b"one").hexdigest(), scopes=("disposition:write",))
TENANT = Tenant(id="demo", agents=(Agent(agent_id="agent-1"),), credentials=(KEY,))
CLAIMS = Claims(
    tenant="demo", key="crm", agent="agent-1", issued_ms=NOW_MS, expires_ms=NOW_MS + 1000
)
TOKEN = seal(CLAIMS, KEY)


def taken(token: str = TOKEN) -> Sealed:
    sealed = take_apart(token)
    assert sealed is not None
    return sealed


def refused(sealed: Sealed, tenant: Tenant | None, now_ms: int = NOW_MS) -> str:
    with pytest.raises(Refused) as caught:
        check(sealed, tenant, now_ms)
    assert caught.value.code == "unauthorized"
    return caught.value.detail


def test_a_token_says_whose_it_is_and_holds_until_its_end() -> None:
    assert TOKEN.startswith("atb_")
    assert taken().claims == CLAIMS
    assert check(taken(), TENANT, NOW_MS) == (TENANT, KEY)
    assert check(taken(), TENANT, NOW_MS + 999) == (TENANT, KEY)
    assert refused(taken(), TENANT, NOW_MS + 1000) == "the toolbar token has expired"


def test_a_tenant_that_lists_no_agents_takes_any() -> None:
    assert check(taken(), changed(agents=()), NOW_MS)[1] == KEY


def test_a_rotated_key_knows_its_tokens_while_its_older_secret_lives() -> None:
    rotated = msgspec.structs.replace(
        KEY, sha256=sha256(b"two").hexdigest(), older_sha256=KEY.sha256
    )
    tenant = msgspec.structs.replace(TENANT, credentials=(rotated,))
    assert check(taken(), tenant, NOW_MS)[1].sha256 == KEY.sha256
    assert check(taken(seal(CLAIMS, rotated)), tenant, NOW_MS)[1] == rotated


def changed(**fields: Any) -> Tenant:
    return msgspec.structs.replace(TENANT, **fields)


def key(**fields: Any) -> tuple[Credential, ...]:
    return (msgspec.structs.replace(KEY, **fields),)


@pytest.mark.parametrize(
    ("tenant", "why"),
    [
        pytest.param(None, "no such toolbar token", id="no such tenant"),
        pytest.param(changed(credentials=()), "no such toolbar token", id="revoked"),
        pytest.param(changed(credentials=key(id="x")), "no such toolbar token", id="another key"),
        pytest.param(
            changed(credentials=key(sha256=sha256(b"two").hexdigest())),
            "no such toolbar token",
            id="rotated",
        ),
        pytest.param(
            changed(credentials=key(scopes=("read",))), "no such toolbar token", id="less scope"
        ),
        pytest.param(
            changed(credentials=key(kind="basic")), "no such toolbar token", id="other kind"
        ),
        pytest.param(
            changed(agents=(Agent(agent_id="agent-2"),)),
            "the toolbar token's agent is gone",
            id="agent gone",
        ),
    ],
)
def test_it_ends_with_what_it_was_given_for(tenant: Tenant | None, why: str) -> None:
    assert refused(taken(), tenant) == why


@pytest.mark.parametrize("name", ["tenant", "key", "agent", "expires_ms"])
def test_changed_claims_are_nobodys_token(name: str) -> None:
    other = {"tenant": "other", "key": "x", "agent": "agent-2", "expires_ms": 2**50}[name]
    claims = msgspec.structs.replace(CLAIMS, **{name: other})
    head, _, mac = TOKEN.partition(".")
    forged = seal(claims, KEY).partition(".")[0] + "." + mac
    assert forged.partition(".")[0] != head
    assert refused(taken(forged), TENANT, NOW_MS) == "no such toolbar token"


def test_the_digest_itself_seals_nothing() -> None:
    other = msgspec.structs.replace(KEY, sha256=bytes(32).hex())
    assert refused(taken(seal(CLAIMS, other)), TENANT) == "no such toolbar token"
    assert refused(taken(seal(CLAIMS, other)), changed(credentials=())) == "no such toolbar token"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "atb_",
        "atb_.",
        "demo-key",
        TOKEN.removeprefix("atb_"),
        TOKEN.replace("atb_", "atb-"),
        TOKEN + "é",
        TOKEN + "!",
        TOKEN + ".x",
        TOKEN.partition(".")[0] + ".a",
        "atb_e30." + TOKEN.partition(".")[2],
        "atb_/w==." + TOKEN.partition(".")[2],
        TOKEN + "A" * TOKEN_CHARS_MAX,
    ],
)
def test_what_can_be_none_is_none(text: str) -> None:
    assert take_apart(text) is None


def test_the_longest_names_fit() -> None:
    claims = Claims(
        tenant="t" * 64, key="k" * 256, agent="a" * 128, issued_ms=2**42, expires_ms=2**42
    )
    token = seal(claims, KEY)
    assert len(token) <= TOKEN_CHARS_MAX
    assert taken(token).claims == claims
