"""A process to be killed: writes for ever, and says on stdout what it was told is durable.

`a {round} {caller} {number}` for an append, `c {caller} {revision}` for a commit.
"""

import asyncio
import os
import sys
from pathlib import Path

from shared.adapters.clock import SystemClock
from shared.adapters.embedded import Embedded, open_embedded
from shared.contracts.envelope import Message
from shared.runtime.ports import Batch, Document, Index, TopicPartition

CALLERS = 8
APPENDED = "telephony.events"
COMMITTED = "calls.changed"


async def nobody_waits() -> None:
    return


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def append(embedded: Embedded, turn: int, caller: int) -> None:
    for number in range(1_000_000):
        line = f"a {turn} {caller} {number}"
        await embedded.log.append([Message(APPENDED, f"demo:{caller}", (), line.encode())])
        say(line)


async def commit(embedded: Embedded, caller: int) -> None:
    key = f"demo:{caller}"
    place = TopicPartition(APPENDED, caller % 4)
    consumer = embedded.log.consumer(f"group-{caller}", [APPENDED])
    found = await embedded.store.load("calls", [key])
    revision = found[key].revision if found else 0
    while True:
        revision += 1
        document = Document(
            collection="calls",
            key=key,
            revision=revision,
            state=b"{}",
            watermarks={},
            sequences={},
            index=Index(created_ms=0),
        )
        told = Message(COMMITTED, key, (), b"%d" % revision)
        await embedded.commit(
            consumer, Batch((document,), (told,), {place: revision}), nobody_waits
        )
        say(f"c {caller} {revision}")


async def main(data_dir: Path, turn: int) -> None:
    embedded = await open_embedded(data_dir, SystemClock())
    await asyncio.gather(
        *(append(embedded, turn, caller) for caller in range(CALLERS)),
        *(commit(embedded, caller) for caller in range(CALLERS)),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
