"""What the three services share, in five layers; imports run downwards only.

adapters, observability: SQLite, clock, logs, metrics: the only code that touches the world
runtime:                 the processor and its ports: how a decision becomes durable
kernel:                  Decision and effects: what a rule gives back
contracts:               the wire language: ids, time, envelope, topics, calls, dispositions
"""
