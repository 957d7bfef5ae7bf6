"""Ozonetel's tokens: one hour long, one at a time for each user.

The gateway keeps nothing in memory, so that a token outlives a restart and every gateway knows it:
one document per user in the store, written by compare-and-set, holding the digest of the newest
token alone. A token names its tenant and its user, so its document is found by key, and whatever
is not the newest one is simply not valid, whether it was replaced or never given.
"""

import binascii
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import Enum, auto
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from shared.contracts.errors import Unavailable, WriteConflict
from shared.contracts.ids import call_key
from shared.runtime.ports import Document, Index, StateStore

COLLECTION: Final = "tokens"
LIFE_MS: Final = 60 * 60 * 1000
TOKEN_CHARS_MAX: Final = 1024
_TRIES_MAX: Final = 8  # gateways that give the same user a token at the same moment
_PREFIX: Final = "oz_"


class Standing(Enum):
    """What a token is worth."""

    CURRENT = auto()
    INVALID = auto()  # unknown, or replaced by a newer one
    EXPIRED = auto()


class Owner(Struct, frozen=True):
    """Whose token it says it is; not believed before its digest is compared."""

    tenant_id: str
    user_name: str

    @property
    def key(self) -> str:
        """Of the document that knows the user's token."""
        return call_key(self.tenant_id, f"ozonetel.{self.user_name}")


class Issued(Struct, frozen=True):
    """A user's newest token, and when it was given: the last of these."""

    sha256: str
    issued_ms: tuple[int, ...]


_decoder: Final = msgspec.json.Decoder(Issued)


def owner_of(token: bytes) -> Owner | None:
    """Whose token this says it is; None when it can't be one of ours."""
    if len(token) > TOKEN_CHARS_MAX or not token.isascii():
        return None
    head, dot, rest = token.decode().removeprefix(_PREFIX).partition(".")
    user, second_dot, secret = rest.partition(".")
    if not (token.startswith(_PREFIX.encode()) and dot and second_dot and secret):
        return None
    try:
        return Owner(_open(head), _open(user))
    except ValueError:
        return None


async def issue(store: StateStore, owner: Owner, now_ms: int) -> str:
    """A new token; the one before it is void from now on.

    Raises:
        Unavailable: the store did not answer, or too many ask at the same moment.
    """
    token = (
        f"{_PREFIX}{_seal(owner.tenant_id)}.{_seal(owner.user_name)}.{secrets.token_urlsafe(32)}"
    )
    issued = Issued(_digest(token.encode()), (now_ms,))
    for _ in range(_TRIES_MAX):
        stored = (await store.load(COLLECTION, [owner.key])).get(owner.key)
        try:
            await store.save([_document(owner, issued, stored, now_ms)])
        except WriteConflict:
            continue
        return token
    raise Unavailable("the user's tokens change too quickly")


async def standing(store: StateStore, owner: Owner, token: bytes, now_ms: int) -> Standing:
    """What the token is worth now.

    Raises:
        Unavailable: the store did not answer.
    """
    stored = (await store.load(COLLECTION, [owner.key])).get(owner.key)
    if stored is None:
        return Standing.INVALID
    issued = _decoder.decode(stored.state)
    if not hmac.compare_digest(_digest(token).encode(), issued.sha256.encode()):
        return Standing.INVALID
    expired = now_ms - issued.issued_ms[-1] > LIFE_MS
    return Standing.EXPIRED if expired else Standing.CURRENT


def _document(owner: Owner, issued: Issued, stored: Document | None, now_ms: int) -> Document:
    return Document(
        collection=COLLECTION,
        key=owner.key,
        revision=1 if stored is None else stored.revision + 1,
        state=msgspec.json.encode(issued),
        watermarks={},
        sequences={},
        index=Index(created_ms=now_ms) if stored is None else stored.index,
    )


def _digest(token: bytes) -> str:
    return sha256(token).hexdigest()


def _seal(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open(text: str) -> str:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except binascii.Error:
        raise ValueError("not base64") from None
