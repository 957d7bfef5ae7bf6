"""What the doctor finds: one line each, with what to do about it."""

from typing import Literal

from msgspec import Struct

Level = Literal["ok", "warn", "fail"]


class Finding(Struct, frozen=True):
    """One thing looked at. `fix` is empty when nothing needs doing."""

    name: str
    level: Level
    detail: str
    fix: str = ""


def ok(name: str, detail: str) -> Finding:
    """As it should be."""
    return Finding(name, "ok", detail)


def warn(name: str, detail: str, fix: str) -> Finding:
    """It will run, and may surprise."""
    return Finding(name, "warn", detail, fix)


def fail(name: str, detail: str, fix: str) -> Finding:
    """It will not run, or must not."""
    return Finding(name, "fail", detail, fix)
