"""Worker: decides every disposition, and tells what came of it.

Consumes: `disposition.requests`, `calls.changed`; reads the call documents, never writes one.
Produces: `disposition.events`, `user.events`, `switch.commands`, `gateway.replies`,
    `call.released` on `telephony.events`, and its own timers on `disposition.requests`.
Owns: the dispositions document of each call; history and reports, a projection of the topics.
Promises: each request has one verdict, the same for every retry under its key; what was queued is
    saved once its agent has left, whoever sees that first; a miss is told once, if at all; and a
    callback once, when its time has come, if nothing has taken its place by then.
"""
