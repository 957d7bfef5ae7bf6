"""Requests checked as the vendor checks them: by class-validator, whose words its errors are.

Source: the request bodies on the pages. Of each field the first rule that it breaks is told. Fields
that are not known are passed over, as on the page, whose example has two of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from services.gateway.dialects.zipteams.answers import Issue, NotValid, issue
from shared.contracts import limits
from shared.contracts.ids import is_call_id, is_id
from shared.contracts.instants import from_wire, is_rfc_3339

ISSUES_MAX: Final = 100
NAME_CHARS_MAX: Final = 255
URL_CHARS_MAX: Final = 2_000
_URL: Final = re.compile(r"https?://[\x21-\x7e]+")
_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@.\x00-\x1f]+(\.[^\s@.\x00-\x1f]+)+")
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_UTC: Final = re.compile(r".*([Zz]|[+-]00:00)")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a text must be. `words` stand behind the field's name where it does not fit."""

    required: bool = True
    chars_max: int = limits.TEXT_CHARS_MAX
    fits: Callable[[str], bool] = bool
    words: str = ""


def _is_url(text: str) -> bool:
    if _URL.fullmatch(text) is None:
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def _is_moment(text: str) -> bool:
    if not is_rfc_3339(text) or _UTC.fullmatch(text) is None:
        return False
    try:
        from_wire(text.upper())
    except ValueError:
        return False
    return True


_AS_AN_ID: Final = "must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
CUSTOMER_ID: Final = Rule()
STATUS: Final = Rule(required=False)
CALL_ID: Final = Rule(fits=is_call_id, words=f"{_AS_AN_ID}, and not begin as a customer")
KNOWN_ID: Final = Rule(fits=is_id, words=_AS_AN_ID)
AGENT_ID: Final = Rule(chars_max=NAME_CHARS_MAX)
NAME: Final = Rule(required=False, chars_max=NAME_CHARS_MAX)
EMAIL: Final = Rule(
    required=False,
    chars_max=NAME_CHARS_MAX,
    fits=lambda text: _EMAIL.fullmatch(text) is not None,
    words="must be an email",
)
URL: Final = Rule(chars_max=URL_CHARS_MAX, fits=_is_url, words="must be a URL address")
CALLBACK_URL: Final = Rule(
    required=False,
    chars_max=URL_CHARS_MAX,
    fits=lambda text: text.startswith("https://") and _is_url(text),
    words="must be a URL address that starts with https://",
)
MOMENT: Final = Rule(fits=_is_moment, words="must be a valid ISO 8601 date string in UTC")
PHONE: Final = Rule(
    fits=lambda text: _E164.fullmatch(text) is not None, words="must be a valid phone number"
)


class Issues:
    """What was found wrong so far."""

    def __init__(self) -> None:
        self.found: list[Issue] = []

    def add(self, at: str, name: str, words: str) -> None:
        """`at` is where the field's object stands: `data[0].call.`; empty for the body itself."""
        self.found.append(issue(f"{at}{name}", f"{name} {words}"))

    def text(self, holder: Mapping[str, Any] | None, at: str, name: str, rule: Rule) -> str:
        """The field's text; empty where there is none, none that counts, or no object to ask."""
        if holder is None:
            return ""
        value = holder.get(name)
        if value is None or value == "":
            if rule.required:
                self.add(at, name, "should not be empty")
        elif not isinstance(value, str):
            self.add(at, name, "must be a string")
        elif len(value) > rule.chars_max:
            self.add(at, name, f"must be shorter than or equal to {rule.chars_max} characters")
        elif not rule.fits(value):
            self.add(at, name, rule.words)
        else:
            return value
        return ""

    def object(self, holder: Mapping[str, Any], at: str, name: str) -> Mapping[str, Any] | None:
        """The field's object; None, once told, where there is none."""
        value = holder.get(name)
        if isinstance(value, Mapping):
            return value
        self.add(at, name, "should not be empty" if value is None else "must be an object")
        return None

    def stop(self) -> None:
        """Go on only if nothing was found.

        Raises:
            NotValid: with what was found, up to a bound.
        """
        if self.found:
            raise NotValid(self.found[:ISSUES_MAX])


class Wish(Struct, frozen=True):
    """The body of a request for a status. `status` None: the one there is is taken away."""

    customer_id: str
    status: str | None


def read_wish(value: Any) -> Wish:
    """The body, checked.

    Raises:
        NotValid: with every field that breaks its rule.
    """
    body, issues = body_object(value), Issues()
    customer_id = issues.text(body, "", "customer_id", CUSTOMER_ID)
    status = issues.text(body, "", "disposition_status", STATUS)
    issues.stop()
    return Wish(customer_id, status or None)


def body_object(value: Any) -> Mapping[str, Any]:
    """The body as an object.

    Raises:
        NotValid: it is none.
    """
    if isinstance(value, Mapping):
        return value
    raise NotValid([issue("body", "body must be an object")])
