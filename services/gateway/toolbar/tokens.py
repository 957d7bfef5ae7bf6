"""Toolbar tokens: what a page holds instead of a key. Pure.

A token names its tenant, the key it was asked for with, its agent and its end, and is sealed by a
MAC whose key is made of that key's stored digest. Nothing is stored of it, so that every gateway
takes it; and a key that is revoked, or has lost its scope, ends all that was given for it.

    atb_{claims, base64}.{HMAC-SHA-256, base64}
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared.contracts.errors import Refused
from shared.contracts.tenants import Credential, Tenant

PREFIX: Final = "atb_"
TTL_S_DEFAULT: Final = 900
TTL_S_MAX: Final = 3600
TOKEN_CHARS_MAX: Final = 2048  # the names of tenant, key and agent at their longest
SCOPE: Final = "disposition:write"  # of the key; a token gives less
_PURPOSE: Final = b"aftercall toolbar token, version 1"
_NO_KEY: Final = bytes(32)


class Claims(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token says. The page may read it: it holds nothing secret.

    Attributes:
        key: the id of the credential it was asked for with.
    """

    tenant: str
    key: str
    agent: str
    issued_ms: int
    expires_ms: int


class Sealed(Struct, frozen=True):
    """A token taken apart; its claims are not believed before `check`."""

    claims: Claims
    signed: bytes
    mac: bytes


_encode: Final = msgspec.json.Encoder().encode
_claims: Final = msgspec.json.Decoder(Claims)


def seal(claims: Claims, credential: Credential) -> str:
    """The token that says so, for this credential."""
    signed = b64encode(_encode(claims)).rstrip(b"=")
    mac = b64encode(_mac(credential, signed)).rstrip(b"=")
    return f"{PREFIX}{signed.decode()}.{mac.decode()}"


def take_apart(token: str) -> Sealed | None:
    """What the token says of itself; None when it can't be one of ours."""
    if len(token) > TOKEN_CHARS_MAX or not (token.isascii() and token.startswith(PREFIX)):
        return None
    signed, _, mac = token.removeprefix(PREFIX).partition(".")
    try:
        return Sealed(_claims.decode(_open(signed)), signed.encode(), _open(mac))
    except (ValueError, msgspec.MsgspecError):
        return None


def check(sealed: Sealed, tenant: Tenant | None, now_ms: int) -> tuple[Tenant, Credential]:
    """Whose token it is, and the key that it was asked for with, if all of it still holds.

    Args:
        sealed: the token.
        tenant: whom it names, if there is such a tenant.
        now_ms: by the gateway's clock.

    Raises:
        Refused: `unauthorized`; an expired one is told apart only if it was genuine.
    """
    found = [] if tenant is None else _live(tenant, sealed.claims.key)
    # As much work for a tenant or a key that is not there.
    sealers = [one for one in found or [None] if _is_by(one, sealed)]
    if tenant is None or not sealers or sealers[0] is None:
        raise Refused("unauthorized", "no such toolbar token")
    if now_ms >= sealed.claims.expires_ms:
        raise Refused("unauthorized", "the toolbar token has expired")
    if tenant.agents and tenant.agent(sealed.claims.agent) is None:
        raise Refused("unauthorized", "the toolbar token's agent is gone")
    return tenant, sealers[0]


def _live(tenant: Tenant, key: str) -> list[Credential | None]:
    """The key by each of its live secrets: the newest, and the one before it for a while."""
    live: list[Credential | None] = []
    for credential in tenant.credentials:
        if credential.id == key and credential.kind == "bearer" and SCOPE in credential.scopes:
            live.append(credential)
            if credential.older_sha256 is not None:
                live.append(replace(credential, sha256=credential.older_sha256))
    return live


def _is_by(credential: Credential | None, sealed: Sealed) -> bool:
    return hmac.compare_digest(_mac(credential, sealed.signed), sealed.mac)


def _mac(credential: Credential | None, signed: bytes) -> bytes:
    digest = _NO_KEY if credential is None else bytes.fromhex(credential.sha256)
    # A key of its own for this purpose: the digest itself signs nothing.
    return hmac.digest(hmac.digest(digest, _PURPOSE, "sha256"), signed, "sha256")


def _open(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
