"""The store of the cluster profile: a replica set with a primary, and data of this version."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from services.cli.doctor.findings import Finding, fail, ok, warn
from services.cli.doctor.machine import CLOCK_BEHIND_MS
from shared.adapters.cluster.mongo_schema import VERSION
from shared.contracts.instants import from_datetime, to_wire

MEMBERS_WISE: Final = 3


def server(hello: Mapping[str, Any], version: str) -> Finding:
    """It is the primary of a replica set."""
    shown = f"MongoDB {version}"
    if hello.get("msg") == "isdbgrid":
        return ok("store", f"{shown}, by a mongos")
    if "setName" not in hello:
        return fail(
            "store",
            f"{shown}, no replica set: there is no majority to vouch for a write",
            "start mongod with --replSet, and rs.initiate() it once",
        )
    members = len(hello.get("hosts", ()))
    shown = f"{shown}, replica set {hello['setName']} of {members}"
    if not hello.get("isWritablePrimary"):
        return fail("store", f"{shown}, and this one is not the primary", "name the whole set")
    if 1 < members < MEMBERS_WISE:
        return warn("store", f"{shown}: one of them down, and nothing is written", "add a third")
    return ok("store", shown)


def schema(stored: Mapping[str, Any] | None) -> Finding:
    """What is stored can be read by this version."""
    if stored is None:
        return ok("data", "nothing stored yet")
    if stored.get("version") != VERSION:
        return fail(
            "data",
            f"the data has schema {stored.get('version')}, this version knows {VERSION}",
            "use the version that wrote it, or another database",
        )
    return ok("data", f"schema {VERSION}")


def server_ms(hello: Mapping[str, Any]) -> int | None:
    """What the server's clock shows."""
    shown = hello.get("localTime")
    if not isinstance(shown, datetime):
        return None
    return from_datetime(shown if shown.tzinfo else shown.replace(tzinfo=UTC))


def clocks(now_ms: int, stored_ms: int | None, newest_ms: int | None) -> Finding:
    """This machine, the store and the broker agree on the time.

    The broker is only asked by what it has stamped: its newest record must not be of the future.
    """
    shown = [f"{to_wire(now_ms)} here"]
    if stored_ms is not None:
        shown.append(f"{(stored_ms - now_ms) / 1000:+.1f} s at the store")
    if newest_ms is not None:
        shown.append(f"newest record of {to_wire(newest_ms)}")
    detail = ", ".join(shown)
    apart = stored_ms is not None and abs(stored_ms - now_ms) > CLOCK_BEHIND_MS
    ahead = newest_ms is not None and newest_ms > now_ms + CLOCK_BEHIND_MS
    if apart or ahead:
        return warn("clocks", detail, "let NTP keep every machine's clock: deadlines go by them")
    return ok("clocks", detail)
