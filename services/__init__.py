"""The three services and how they meet: on topics, never in each other's code.

     toolbars, CRMs ──HTTP──▶ gateway ──disposition.requests──▶ worker ──disposition.events──▶ all
                                 │ ▲                             ▲ │ └────user.events────────▶
                telephony.events │ │ verdicts                    │ │
     switches ──────────────────▶│ └──────gateway.replies────────│─┤
        ▲                        ▼                               │ └─switch.commands──▶ switches
        │                    callstate ──────calls.changed───────┘
        └─ sources (sockets)     ▲
                 timers ─────────┘ call.timer_due
                 timers ──disposition.requests──▶ worker (callback.timer_due)

Who owns what: callstate writes calls, worker writes dispositions, nobody else writes either. The
gateway writes nothing but records. The worker reads calls (never copies of them) and never writes
one. History and reports are a projection of the topics, and can be rebuilt from them.

Reading order, an hour: `shared/contracts/topics.py`, `shared/kernel/decision.py`,
`callstate/decider.py`, `worker/dispositions.py`, `gateway/admission.py`, `shared/runtime/ports.py`,
`shared/runtime/processor.py`, and `__main__.py`, where everything is put together.
"""
