"""The broker of the cluster profile: reachable, with the topics that there must be, and read."""

from collections.abc import Mapping
from typing import Final

from services.cli.doctor.findings import Finding, fail, ok, warn
from services.watch import LAG_MAX
from shared.adapters.cluster.names import ALL_TOPICS
from shared.adapters.cluster.topics_found import CLEANUP, TIME, TopicFound

PROCESSES: Final = {
    "callstate": "callstate",
    "worker": "worker",
    "history": "worker",
    "letters": "worker",
}
"""By group the command whose processes are its members."""


def brokers(found: list[str]) -> Finding:
    """At least one broker answers."""
    return ok("broker", f"{len(found)} answering: {', '.join(found)}")


def topics(found: Mapping[str, TopicFound], prefix: str, brokers: int) -> Finding:
    """Every topic is there, as `aftercall topics apply` makes it."""
    missing = [prefix + name for name in ALL_TOPICS if name not in found]
    if missing:
        named = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")  # noqa: PLR2004
        return fail("topics", f"missing: {named}", "run `aftercall topics apply`")
    counts = {topic.partitions for topic in found.values()}
    if len(counts) > 1:
        return fail(
            "topics",
            f"partition counts differ: {', '.join(map(str, sorted(counts)))}",
            "they can't be changed: begin anew under another AFTERCALL_TOPIC_PREFIX",
        )
    shown = f"{len(found)} with {counts.pop()} partitions each"
    for name, topic in found.items():
        broken = _topic(prefix + name, topic, brokers)
        if broken is not None:
            return broken
    return ok("topics", shown)


def _topic(name: str, topic: TopicFound, brokers: int) -> Finding | None:
    """The first thing that is wrong with it."""
    if topic.leaderless:
        return fail(
            "topics",
            f"{name}: nobody leads {topic.leaderless} partitions",
            "start the brokers that hold them",
        )
    if topic.settings.get(CLEANUP) != "delete":
        return fail(
            "topics",
            f"{name} has {CLEANUP}={topic.settings.get(CLEANUP)}: it loses records",
            f"set {CLEANUP}=delete with kafka-configs",
        )
    if topic.settings.get(TIME) != "LogAppendTime":
        return warn(
            "topics",
            f"{name} has {TIME}={topic.settings.get(TIME)}: deadlines go by its writers' clocks",
            f"set {TIME}=LogAppendTime with kafka-configs",
        )
    if topic.in_sync < topic.replication:
        return warn(
            "topics",
            f"{name}: {topic.in_sync} of {topic.replication} copies are up to date",
            "see which broker is down, or slow",
        )
    if topic.replication == 1 and brokers > 1:
        return warn(
            "topics",
            f"{name} has one copy on {brokers} brokers: whoever loses a broker loses records",
            "add copies with kafka-reassign-partitions",
        )
    return None


def lag(group: str, members: int, behind: int, partitions: int) -> Finding:
    """Somebody reads for the group, and keeps up."""
    name, command = f"lag {group}", f"`aftercall {PROCESSES.get(group, group)}`"
    processes = "1 process" if members == 1 else f"{members} processes"
    shown = f"{behind:,} records behind, {processes}"
    if behind and not members:
        return warn(name, shown, f"start {command}")
    if behind > LAG_MAX:
        return warn(name, shown, f"start more of {command}, up to {partitions} at work")
    return ok(name, shown)


def length(ends: Mapping[str, int], remembered: Mapping[str, int]) -> Finding:
    """The log is as long as it ever was."""
    for name, end in sorted(ends.items()):
        if end < remembered.get(name, 0):
            return fail(
                "log",
                f"{name} ends at {end}, and once ended at {remembered[name]}",
                "the topic was made anew, or lost records: see deploy/README.md",
            )
    return ok("log", f"{sum(ends.values()):,} records were ever appended")
