"""Dead letters of either profile: which there are, and their way back into the topics."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.cli.output import stop
from shared.contracts.topics import dead
from shared.runtime.dead_letters import all_letters, put_back
from shared.runtime.letters import LetterRow

if TYPE_CHECKING:
    from services.cli.clustered import Broker

DEAD: Final = dead("")


def stored_letters(data_dir: Path) -> list[LetterRow]:
    """Those of the embedded profile; ends the command where nothing can be read."""
    from shared.adapters.embedded import SchemaRefused  # noqa: PLC0415 - not for `--help`
    from shared.adapters.embedded.reading import read_topics  # noqa: PLC0415 - same

    try:
        found = read_topics(data_dir, DEAD)
    except FileNotFoundError:
        stop(f"nothing is stored in {data_dir}", "name another by --data-dir or AFTERCALL_DATA_DIR")
    except (SchemaRefused, OSError, sqlite3.Error) as error:
        stop(f"{data_dir} can't be read: {error}", "see `aftercall doctor`")
    return all_letters(record for records in found.values() for record in records)


def put_back_stored(data_dir: Path, letters: Sequence[LetterRow]) -> None:
    """Append them to the embedded log; ends the command where the service runs."""
    asyncio.run(_append_stored(data_dir, letters))


async def _append_stored(data_dir: Path, letters: Sequence[LetterRow]) -> None:
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - not for `--help`
    from shared.adapters.embedded import DataDirLocked, open_embedded  # noqa: PLC0415 - same

    try:
        embedded = await open_embedded(data_dir, SystemClock())
    except DataDirLocked as error:
        stop(str(error), "while it runs, name its admin port by --url")
    try:
        await put_back(embedded.log, letters)
    finally:
        await embedded.close()


async def sent_letters(broker: "Broker") -> list[LetterRow]:
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
    by_topic = reading.by_topic(ends)
    return all_letters(record for records in by_topic.values() for record in records)


async def put_back_sent(broker: "Broker", letters: Sequence[LetterRow]) -> None:
    """Append them to their topics on the broker.

    Raises:
        Unavailable: as `put_back`.
    """
    from shared.adapters.clock import SystemClock  # noqa: PLC0415 - as above
    from shared.adapters.cluster.kafka import open_kafka  # noqa: PLC0415 - same

    kafka = await open_kafka(broker.bootstrap, SystemClock(), prefix=broker.prefix)
    try:
        await put_back(kafka.log, letters)
    finally:
        await kafka.close()
