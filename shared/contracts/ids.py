"""Identifiers. One strict pattern is checked before an id reaches a key, a log or a header."""

import re
from typing import Final

from shared.contracts.errors import Poison

ID_PATTERN: Final = r"^[A-Za-z0-9._:-]{1,128}$"
SUBJECT_KINDS: Final = ("customer", "record", "enrolment")
_ID: Final = r"[A-Za-z0-9._:-]{1,128}"
_matches = re.compile(_ID).fullmatch
_tenant_matches = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_subject_matches = re.compile(rf"(customer|record):({_ID}/)?{_ID}|enrolment:{_ID}/{_ID}").fullmatch
_SUBJECTS_OWN: Final = tuple(f"{kind}:" for kind in SUBJECT_KINDS)


def is_id(text: object) -> bool:
    """Whether the value is a string that may serve as an id."""
    return isinstance(text, str) and _matches(text) is not None


def is_call_id(text: object) -> bool:
    """Whether the value may name a call.

    Calls and subjects share topics, and each counts its own records there: a call must not have
    the key of a subject.
    """
    return isinstance(text, str) and is_id(text) and not text.startswith(_SUBJECTS_OWN)


def is_subject_name(text: object) -> bool:
    """Whether the value names a customer, a record or an enrolment; see `subjects.Subject`."""
    return isinstance(text, str) and _subject_matches(text) is not None


def is_tenant_id(text: object) -> bool:
    """Whether the value may name a tenant; no colon, for the colon ends it in a key."""
    return isinstance(text, str) and _tenant_matches(text) is not None


def call_key(tenant: str, call_id: str) -> str:
    """The key of a call's records and documents: `{tenant}:{call id}`; of a subject's likewise."""
    return f"{tenant}:{call_id}"


def split_key(key: str) -> tuple[str, str]:
    """The tenant and the rest of a key: a call id, or the name of a subject.

    Raises:
        Poison: the key has no tenant or no id, or they break the pattern.
    """
    tenant, colon, rest = key.partition(":")
    if not colon or not is_tenant_id(tenant) or not (is_call_id(rest) or is_subject_name(rest)):
        raise Poison("bad_key", "the record key is not tenant:id")
    return tenant, rest
