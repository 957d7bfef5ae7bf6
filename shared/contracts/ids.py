"""Identifiers. One strict pattern is checked before an id reaches a key, a log or a header."""

import re
from typing import Final

from shared.contracts.errors import Poison

ID_PATTERN: Final = r"^[A-Za-z0-9._:-]{1,128}$"
_matches = re.compile(r"[A-Za-z0-9._:-]{1,128}").fullmatch
_tenant_matches = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch


def is_id(text: object) -> bool:
    """Whether the value is a string that may serve as an id."""
    return isinstance(text, str) and _matches(text) is not None


def is_tenant_id(text: object) -> bool:
    """Whether the value may name a tenant; no colon, for the colon ends it in a key."""
    return isinstance(text, str) and _tenant_matches(text) is not None


def call_key(tenant: str, call_id: str) -> str:
    """The key of a call's records and documents: `{tenant}:{call id}`."""
    return f"{tenant}:{call_id}"


def split_key(key: str) -> tuple[str, str]:
    """The tenant and the rest of a key.

    Raises:
        Poison: the key has no tenant or no id, or they break the pattern.
    """
    tenant, colon, rest = key.partition(":")
    if not colon or not is_tenant_id(tenant) or not is_id(rest):
        raise Poison("bad_key", "the record key is not tenant:id")
    return tenant, rest
