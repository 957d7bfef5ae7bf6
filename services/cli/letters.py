"""Dead letters of either profile: which there are, and their way back into the topics.

A letter stays where it is when it is put back, so something has to say that it was. Embedded, that
is the record itself: it carries the letter's place in a header, and stands in the same file. On
the broker it is a *receipt* beside the letter, on the dead topic: a record with that header alone.
It is kept as long as the letter, while the topic that the record went back to is kept for less.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from services.cli.output import stop
from shared.contracts.envelope import Message, Record
from shared.runtime.dead_letters import ORIGIN, put_back

if TYPE_CHECKING:
    from services.cli.clustered import Broker

PUT_BACK: Final = "dead_put_back"  # the place of the letter that was
DEAD: Final = ".dead"
CHUNK: Final = 500  # letters that are put back, and then said to be


class Letter(Struct, frozen=True):
    """A dead letter. `place` is `topic/partition/offset`."""

    place: str
    record: Record
    put_back: bool


def header(record: Record, name: str) -> str | None:
    """A header's text."""
    for known, value in record.headers:
        if known == name:
            return value.decode(errors="replace")
    return None


def is_receipt(record: Record) -> bool:
    """Whether a record of a dead topic only says that a letter was put back."""
    names = {name for name, _ in record.headers}
    return PUT_BACK in names and ORIGIN not in names


def message(letter: Letter) -> Message:
    """What goes back: the record as it was, and where its letter is."""
    back = put_back(letter.record)
    kept = tuple(one for one in back.headers if one[0] != PUT_BACK)
    return Message(back.topic, back.key, (*kept, (PUT_BACK, letter.place.encode())), back.value)


def receipt(letter: Letter) -> Message:
    """What stays beside the letter."""
    dead = letter.record
    return Message(dead.topic, dead.key, ((PUT_BACK, letter.place.encode()),), b"")


def _letters(dead: Iterable[Record], returned: set[str | None]) -> list[Letter]:
    """The letters, oldest first."""
    letters = [
        Letter(place, record, place in returned)
        for record in dead
        if not is_receipt(record)
        for place in [f"{record.topic}/{record.partition}/{record.offset}"]
    ]
    return sorted(letters, key=lambda letter: (letter.record.timestamp_ms, letter.place))


def stored_letters(data_dir: Path) -> list[Letter]:
    """Those of the embedded profile; ends the command where nothing can be read."""
    from shared.adapters.embedded import SchemaRefused  # noqa: PLC0415 - not for `--help`
    from shared.adapters.embedded.reading import read_topics  # noqa: PLC0415 - same

    try:
        dead = read_topics(data_dir, DEAD)
        live = read_topics(data_dir, "") if dead else {}
    except FileNotFoundError:
        stop(f"nothing is stored in {data_dir}", "name another by --data-dir or AFTERCALL_DATA_DIR")
    except (SchemaRefused, OSError, sqlite3.Error) as error:
        stop(f"{data_dir} can't be read: {error}", "see `aftercall doctor`")
    returned = {header(record, PUT_BACK) for records in live.values() for record in records}
    return _letters((record for records in dead.values() for record in records), returned)


def put_back_stored(data_dir: Path, letters: Sequence[Letter]) -> None:
    """Append them to the embedded log; ends the command where the service runs."""
    asyncio.run(_append_stored(data_dir, [message(letter) for letter in letters]))


async def _append_stored(data_dir: Path, messages: list[Message]) -> None:
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - not for `--help`
    from shared.adapters.embedded import DataDirLocked, open_embedded  # noqa: PLC0415 - same

    try:
        embedded = await open_embedded(data_dir, SystemClock())
    except DataDirLocked as error:
        stop(str(error), "stop the service, put back, and start it again")
    try:
        await embedded.log.append(messages)
    finally:
        await embedded.close()


async def sent_letters(broker: "Broker") -> list[Letter]:
    """Those on the broker.

    Raises:
        TopicsRefused, Unavailable: as `open_log`.
    """
    from shared.adapters.cluster.log_reading import LogReading  # noqa: PLC0415 - as above
    from shared.adapters.cluster.names import ALL_TOPICS  # noqa: PLC0415 - same
    from shared.adapters.cluster.reading import open_log  # noqa: PLC0415 - same

    async with open_log(broker.bootstrap, broker.prefix) as (asked, names):
        reading = LogReading(asked, names, [name for name in ALL_TOPICS if name.endswith(DEAD)])
        ends = (await reading.look({})).ends
        await reading.read_to(ends)
    dead = [record for records in reading.by_topic(ends).values() for record in records]
    return _letters(dead, {header(record, PUT_BACK) for record in filter(is_receipt, dead)})


async def put_back_sent(broker: "Broker", letters: Sequence[Letter]) -> None:
    """Append them to their topics on the broker, and a receipt for each to its dead topic.

    Raises:
        Unavailable: some of the last `CHUNK` may have been put back, without a receipt.
    """
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - as above
    from shared.adapters.cluster.kafka import open_kafka  # noqa: PLC0415 - same

    kafka = await open_kafka(broker.bootstrap, SystemClock(), prefix=broker.prefix)
    try:
        left = iter(letters)
        while chunk := list(islice(left, CHUNK)):
            await kafka.log.append([message(letter) for letter in chunk])
            await kafka.log.append([receipt(letter) for letter in chunk])
    finally:
        await kafka.close()
