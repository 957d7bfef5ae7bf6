"""One example of each message: calls of one morning, as their records would tell of them."""

from typing import Any, Final

from msgspec.structs import replace

from shared.contracts.callbacks import CallbackTimer
from shared.contracts.calls import AgentChanged, CallChanged, Change, Phase
from shared.contracts.dispositions import (
    DispositionRequest,
    DispositionTold,
    Origin,
    Outcome,
    Policy,
    Previous,
    SwitchCommand,
)
from shared.contracts.subjects import (
    CallOrigin,
    MessageCommand,
    NamingRequest,
    PreviousStatus,
    StatusOutcome,
    StatusPolicy,
    StatusRequest,
    StatusTold,
)
from shared.contracts.telephony import (
    CALL_RELEASED,
    TIMER_DUE,
    AgentJoined,
    AgentLeft,
    CallAnswered,
    CallDisconnected,
    CallHeld,
    CallReleased,
    CallRetrieved,
    CallStarted,
    DataAttached,
    EventData,
    TimerDue,
    WrapUpExtended,
)

TENANT: Final = "demo"
CALL: Final = "call-4711"
SUBJECT: Final = "customer:77"
AT_MS: Final = 1_795_251_600_000  # 2026-11-21T09:00:00Z
_AT: Final = "2026-11-21T09:00:00.000Z"
_BEFORE: Final = "2026-11-21T08:59:48.000Z"
_CALLBACK: Final = "2026-11-23T14:00:00.000Z"
_CALLBACK_MS: Final = AT_MS + 53 * 3600 * 1000
_AGENT: Final = "agent-1"
_REQUEST: Final = "req-5f0c"
_KEY: Final = "DispositionCode"
_IDS: Final[dict[str, Any]] = {
    "customer_id": "77",
    "campaign_id": "13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf",
    "project_id": "17",
    "record_id": "4711",
}

TELEPHONY: Final[dict[str, EventData]] = {
    "call.started": CallStarted(
        direction="inbound",
        from_="+3120555",
        to="100",
        did="100",
        agent_id=_AGENT,
        user_data={"Segment": "gold"},
        **_IDS,
    ),
    "call.answered": CallAnswered(agent_id=_AGENT),
    "call.agent_joined": AgentJoined(agent_id=_AGENT),
    "call.agent_left": AgentLeft(agent_id=_AGENT, reason="transfer"),
    "call.held": CallHeld(agent_id=_AGENT),
    "call.retrieved": CallRetrieved(agent_id=_AGENT),
    "call.data_attached": DataAttached(user_data={"Order": "A-17"}),
    "call.disconnected": CallDisconnected(by="caller", cause="normal clearing"),
    "call.wrap_up_extended": WrapUpExtended(agent_id=_AGENT, seconds=30),
    CALL_RELEASED: CallReleased(agent_id=_AGENT, segment=1),
    TIMER_DUE: TimerDue(timer="wrap_up", deadline_ms=AT_MS, agent_id=_AGENT),
}

CHANGED: Final = CallChanged(
    tenant=TENANT,
    call_id=CALL,
    version=4,
    phase=Phase.WRAP_UP,
    change=Change(
        kind="event",
        type="call.disconnected",
        rule="disconnected",
        event_id="pbx-1:4711:bye",
        at=_AT,
        time=_BEFORE,
    ),
    direction="inbound",
    started_at="2026-11-21T08:56:10.000Z",
    answered_at="2026-11-21T08:56:19.000Z",
    disconnected_at=_BEFORE,
    by="caller",
    agents=(
        AgentChanged(
            agent_id=_AGENT, phase=Phase.WRAP_UP, wrap_up_ends_at="2026-11-21T09:00:30.000Z"
        ),
    ),
    **_IDS,
)

REQUEST: Final = DispositionRequest(
    request_id=_REQUEST,
    idempotency_key="toolbar-8c1",
    body_hash="9a1f",
    call_id=CALL,
    agent_id=_AGENT,
    code="Callback",
    key=_KEY,
    dialect="native",
    policy=Policy(),
    comment="asks for the new price list",
    callback_ms=_CALLBACK_MS,
)
STATUS_REQUEST: Final = StatusRequest(
    request_id="call-07d1",
    idempotency_key="call-07d1",
    body_hash="call-07d1",
    subject=SUBJECT,
    status="Sale",
    dialect="call",
    policy=StatusPolicy(must_exist=False),
    origin=CallOrigin(call_id=CALL, agent_id=_AGENT),
)
NAMING: Final = NamingRequest(
    request_id="req-1b22",
    idempotency_key="req-1b22",
    body_hash="77e0",
    subject=SUBJECT,
    dialect="zipteams",
    data={"city": "Utrecht"},
)

SAVED: Final = DispositionTold(
    tenant=TENANT,
    call_id=CALL,
    agent_id=_AGENT,
    rule="saved",
    decided_at=_AT,
    call_version=4,
    code="Sale",
    key=_KEY,
    origin=Origin.WRAP_UP,
    outcome=Outcome.SAVED,
    request_id=_REQUEST,
    revision=1,
    **_IDS,
)
_PREVIOUS: Final = Previous(code="Sale", origin=Origin.WRAP_UP, decided_at=_BEFORE)
QUEUED: Final = replace(
    SAVED, rule="queued", call_version=3, origin=None, outcome=Outcome.QUEUED, revision=None
)
CORRECTED: Final = replace(
    SAVED,
    rule="corrected",
    code="Interested",
    origin=Origin.CORRECTION,
    outcome=Outcome.CORRECTED,
    revision=2,
    previous=_PREVIOUS,
)
MISSED: Final = DispositionTold(
    tenant=TENANT,
    call_id=CALL,
    agent_id=_AGENT,
    rule="missed",
    decided_at=_AT,
    call_version=5,
    **_IDS,
)
REFUSED: Final = replace(
    SAVED,
    rule="correction_refused",
    origin=None,
    outcome=Outcome.REFUSED,
    problem="already_disposed",
    revision=None,
)
CALLBACK: Final = replace(SAVED, code="Callback", callback_at=_CALLBACK)
CALLBACK_TIMER: Final = CallbackTimer(deadline_ms=_CALLBACK_MS, revision=1, agent_id=_AGENT)
STATUS_TIMER: Final = CallbackTimer(deadline_ms=_CALLBACK_MS, revision=1)
DUE: Final = replace(CALLBACK, rule="callback_due", decided_at=_CALLBACK, outcome=None)
LATE: Final = replace(
    CORRECTED,
    rule="late",
    call_version=6,
    origin=Origin.LATE,
    outcome=Outcome.USER_EVENT,
    user_data={_KEY: "Interested"},
)

STATUS: Final = StatusTold(
    tenant=TENANT,
    subject=SUBJECT,
    rule="replaced",
    decided_at=_AT,
    dialect="call",
    outcome=StatusOutcome.REPLACED,
    code="Sale",
    request_id="call-07d1",
    revision=2,
    previous=PreviousStatus(code="Interested", decided_at=_BEFORE),
    call_id=CALL,
    agent_id=_AGENT,
    customer_id="77",
)
STATUS_REFUSED: Final = StatusTold(
    tenant=TENANT,
    subject=SUBJECT,
    rule="unknown_status",
    decided_at=_AT,
    dialect="carecycle",
    outcome=StatusOutcome.REFUSED,
    code="Sale",
    problem="unknown_subject",
    request_id="req-1b22",
    customer_id="77",
)
STATUS_CALLBACK: Final = StatusTold(
    tenant=TENANT,
    subject=SUBJECT,
    rule="set",
    decided_at=_AT,
    dialect="vcc_live",
    outcome=StatusOutcome.SET,
    code="Callback",
    request_id="req-1b22",
    revision=1,
    callback_at=_CALLBACK,
    customer_id="77",
)
STATUS_DUE: Final = replace(
    STATUS_CALLBACK, rule="callback_due", decided_at=_CALLBACK, outcome=None
)

ATTACH: Final = SwitchCommand(
    tenant=TENANT,
    call_id=CALL,
    agent_id=_AGENT,
    decided_at=_AT,
    user_data={_KEY: "Sale"},
    request_id=_REQUEST,
)
RELEASE: Final = replace(ATTACH, user_data=None)
PAUSE: Final = replace(RELEASE, reason="break")
SEND: Final = MessageCommand(
    tenant=TENANT,
    subject=SUBJECT,
    code="Sale",
    request_id="req-1b22",
    decided_at=_AT,
    customer_id="77",
)
