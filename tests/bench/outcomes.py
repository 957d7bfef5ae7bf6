"""A million outcomes: one large centre with thirty days of them, and many small ones."""

from collections.abc import Iterator
from random import Random
from typing import Final

import orjson

from shared.contracts.instants import to_wire
from shared.runtime.history import Entry, OutcomeRow

ROWS: Final = 1_000_000
LARGE: Final = "large"
LARGE_SHARE: Final = 0.7
SMALL_TENANTS: Final = 20
DAYS: Final = 30
DAY_MS: Final = 24 * 3_600_000
FROM_MS: Final = 1_793_491_200_000  # 2026-11-01T00:00Z
TO_MS: Final = FROM_MS + DAYS * DAY_MS
AGENTS: Final = 200
CODES: Final = 30
CAMPAIGNS: Final = 12

_SHIFT_MS: Final = (6 * 3_600_000, 18 * 3_600_000)  # of the day, when people are at work
_ORIGINS: Final = ("queue", "wrap_up", "late", "default")
_OFTEN: Final = tuple(1 / (place + 1) for place in range(CODES))  # the last: one in 120


def outcomes(count: int, seed: int = 1) -> Iterator[OutcomeRow]:
    """So many, in the order in which they were decided; calls' ids are in none."""
    random = Random(seed)
    for number in range(count):
        day = FROM_MS + number * DAYS // count * DAY_MS
        tenant = (
            LARGE if random.random() < LARGE_SHARE else f"small-{random.randrange(SMALL_TENANTS)}"
        )
        yield _outcome(random, tenant, day + random.randrange(*_SHIFT_MS))


def corrected(row: OutcomeRow, random: Random) -> OutcomeRow:
    """The same call and agent with another code, a little later."""
    (code,) = random.choices(range(CODES), _OFTEN)
    fields = {name: getattr(row, name) for name in row.__struct_fields__}
    decided_ms = row.decided_ms + random.randrange(60_000)
    later = {"revision": row.revision + 1, "code": f"code-{code:02}", "decided_ms": decided_ms}
    return OutcomeRow(**{**fields, **later})


def entry_of(row: OutcomeRow) -> Entry:
    """What stands in the history beside it."""
    return Entry(
        id=f"disposition.events:{row.call_id}-{row.agent_id}-{row.revision}",
        tenant=row.tenant,
        call_id=row.call_id,
        at_ms=row.decided_ms,
        rank=2,
        sequence=row.revision,
        request_id=f"r-{row.call_id}-{row.revision}",
        body=row.body,
    )


def _outcome(random: Random, tenant: str, decided_ms: int) -> OutcomeRow:
    call_id = f"{random.getrandbits(96):024x}"
    agent_id = f"agent-{random.randrange(AGENTS):03}"
    (code,) = random.choices(range(CODES), _OFTEN)
    campaign_id = f"campaign-{random.randrange(CAMPAIGNS)}" if random.random() < 0.8 else None
    body = {
        "call_id": call_id,
        "agent_id": agent_id,
        "code": f"code-{code:02}",
        "origin": random.choice(_ORIGINS),
        "decided_at": to_wire(decided_ms),
        "revision": 1,
        "comment": "asked to be told again about the offer, will decide with family" * 2,
        "campaign_id": campaign_id,
        "customer_id": f"customer-{random.randrange(500_000)}",
    }
    return OutcomeRow(
        tenant=tenant,
        call_id=call_id,
        agent_id=agent_id,
        revision=1,
        code=f"code-{code:02}",
        origin=str(body["origin"]),
        decided_ms=decided_ms,
        campaign_id=campaign_id,
        project_id=f"project-{random.randrange(3)}",
        body=orjson.dumps(body),
    )
