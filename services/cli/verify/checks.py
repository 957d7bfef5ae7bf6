"""Every check, one table, in the order in which they are shown.

A check is a pure function of the history; its docstring's first line is the promise it holds us to.
"""

from collections.abc import Callable
from typing import Final

from services.cli.verify import (
    call_checks,
    callback_checks,
    disposition_checks,
    document_checks,
    letter_checks,
    log_checks,
    projection_checks,
    refold_checks,
    request_checks,
    subject_checks,
    writer_checks,
)
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History

Check = Callable[[History], Result]

CHECKS: Final[dict[str, Check]] = {
    "offsets": log_checks.offsets,
    "positions": log_checks.positions,
    "sequences": log_checks.sequences,
    "envelopes": log_checks.envelopes,
    "dead letters": log_checks.dead_letters,
    "places": writer_checks.places,
    "writers": writer_checks.writers,
    "tenants": writer_checks.tenants,
    "calls refold": call_checks.calls_refold,
    "call versions": call_checks.call_versions,
    "phases": call_checks.phases,
    "timers": call_checks.timers,
    "decisions": writer_checks.decisions,
    "dispositions refold": refold_checks.dispositions_refold,
    "verdicts": request_checks.verdicts,
    "verdicts told": request_checks.verdicts_told,
    "answers": request_checks.answers,
    "queued": disposition_checks.queued,
    "revisions": disposition_checks.revisions,
    "stored dispositions": disposition_checks.stored,
    "missed": disposition_checks.missed,
    "releases": disposition_checks.releases,
    "callbacks": callback_checks.callbacks,
    "subjects refold": subject_checks.subjects_refold,
    "statuses asked": subject_checks.statuses_asked,
    "quiescence": document_checks.quiescence,
    "outbox": document_checks.outbox,
    "history entries": projection_checks.entries,
    "outcomes": projection_checks.outcomes,
    "letters": letter_checks.letters,
}


def promise(check: Check) -> str:
    """What a check holds us to, in one line."""
    return (check.__doc__ or "").strip().splitlines()[0]
