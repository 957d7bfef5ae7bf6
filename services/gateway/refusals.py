"""What the worker refused, for whoever asked."""

from typing import Final

from shared.contracts.dispositions import Verdict
from shared.contracts.errors import Refused
from shared.contracts.subjects import StatusVerdict

WHY: Final = {
    "unknown_call": "no such call",
    "agent_not_on_call": "the agent has no part in this call",
    "already_disposed": "the agent has already disposed this call",
    "unknown_subject": "no such customer, record or enrolment",
    "subject_in_call": "agents are handling it now",
    "idempotency_conflict": "the same key came before with another body",
}
# Where the rule says more than the problem, whose code older clients know.
WHY_BY_RULE: Final = {
    "correction_refused": "the agent has already disposed this call, and nothing is corrected here",
    "late_refused": "the call is released, and it is too late for a disposition",
}


class RefusedByRule(Refused):
    """The worker refused; `verdict` names the request and the rule."""

    def __init__(self, verdict: Verdict | StatusVerdict) -> None:
        code = verdict.problem or "internal"
        super().__init__(code, WHY_BY_RULE.get(verdict.rule) or WHY.get(code, "refused"))
        self.verdict = verdict
