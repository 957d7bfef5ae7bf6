"""Orders to a process under test: at which point of its work, at the how-manieth time, do what.

An order is a file named after the process. The harness writes it; the process looks for it at each
point, and renames it before it obeys, so that the harness sees that it was obeyed, also where
nothing of the process is left to say so, and so that its next life does not obey again.
"""

import os
import signal
import time
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

Action = Literal["kill", "stop", "block", "fail", "late"]
"""`kill`, `stop`: SIGKILL, SIGSTOP to itself. `block`: nothing else runs, but threads. `fail`: say
that log or store did not answer, having done it all the same. `late`: say so, and do it later."""

BATCH: Final = (
    "polled",
    "saving",
    "half saved",
    "saved",
    "publishing",
    "half published",
    "published",
    "advanced",
)
HISTORY: Final = ("history polled", "history half written", "history written", "history advanced")
TIMERS: Final = ("sweeping", "swept")
REBALANCE: Final = ("revoking", "assigned")
GATEWAY: Final = ("asking", "asked")


class Order(Struct, frozen=True):
    """What to do at the nth time that a point is reached; `seconds` for `block` and `late`."""

    point: str
    action: Action
    nth: int = 1
    seconds: float = 0.0


class Desk:
    """Where orders are given: the harness's side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, process: str) -> Path:
        return self._folder / f"{process}.order"

    def give(self, process: str, order: Order) -> None:
        """From now on; a process has one order at a time."""
        draft = self._folder / f"{process}.draft"
        draft.write_bytes(msgspec.json.encode(order))
        _obeyed(self.path(process)).unlink(missing_ok=True)
        draft.rename(self.path(process))

    def obeyed(self, process: str) -> bool:
        """Whether its last order has been obeyed, or is being obeyed."""
        return _obeyed(self.path(process)).exists()

    def withdraw(self, process: str) -> bool:
        """Take the order back; False if it was obeyed in the meantime."""
        self.path(process).unlink(missing_ok=True)
        return not self.obeyed(process)


class Orders:
    """The process's side."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._times = 0
        self._read: Order | None = None

    def due(self, *points: str) -> Order | None:
        """The order that falls due at one of these points, taken; whoever takes it obeys it."""
        if self._path is None or not self._path.exists():
            return None
        try:
            order = msgspec.json.decode(self._path.read_bytes(), type=Order)
            if order.point not in points:
                return None
            self._times = self._times + 1 if order == self._read else 1
            self._read = order
            if self._times < order.nth:
                return None
            self._path.rename(_obeyed(self._path))
        except FileNotFoundError:  # withdrawn just now
            return None
        self._read = None
        return order

    def reach(self, *points: str) -> Order | None:
        """The same; to die or to stop is obeyed here and now."""
        return obey(self.due(*points))


def obey(order: Order | None) -> Order | None:
    """Die, stop until continued, or block, where that is the order."""
    if order is not None and order.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if order is not None and order.action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if order is not None and order.action == "block":
        time.sleep(order.seconds)
    return order


def _obeyed(path: Path) -> Path:
    return path.with_suffix(".obeyed")
