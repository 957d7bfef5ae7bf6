"""Callstate: the only writer of calls.

Consumes: `telephony.events`, what switches and timers say of calls.
Produces: `calls.changed`, the call after each change; `call.timer_due` for deadlines that passed.
Owns: the documents of collection `calls`, phases of calls and agents, every deadline.
Promises: any order, repetition or loss of events ends in a released call, each step on record.
"""
