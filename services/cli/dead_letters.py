"""`aftercall dead-letters`: what could not be processed, and the way back for it.

A letter stays where it is when it is put back. What goes back carries the letter's place in a
header, so that nothing is put back twice by accident.
"""

import asyncio
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import Struct

from services.cli.configured import settings
from services.cli.output import show_rows, stop

if TYPE_CHECKING:
    from shared.contracts.envelope import Message, Record

PUT_BACK: Final = "dead_put_back"  # header of a record that was: the place of its letter
COLUMNS: Final = ("letter", "at", "reason", "detail", "origin", "key", "type", "put_back")

DataDir = Annotated[
    Path | None, typer.Option(help="Where data is kept; AFTERCALL_DATA_DIR by default.")
]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="See what could not be processed, and put it back.",
)


class Letter(Struct, frozen=True):
    """A dead letter. `place` is `topic/partition/offset`."""

    place: str
    record: "Record"
    put_back: bool


@app.command("list")
def list_letters(
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the dead letters, oldest first, each with its reason."""
    letters = _letters(data_dir or settings().data_dir)
    show_rows(COLUMNS, [_row(letter) for letter in letters], as_json=as_json)


@app.command("put-back")
def put_back(
    places: Annotated[
        list[str] | None, typer.Argument(help="Which: topic/partition/offset, as listed.")
    ] = None,
    data_dir: DataDir = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All that were not put back before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only say what would be.")] = False,
) -> None:
    """Append dead letters to the topics they came from, as they were. The service must be stopped.

    What is still wrong with them makes them dead letters again.
    """
    if everything == bool(places):
        stop("it is not clear which letters", "name their places, or give --all")
    where = data_dir or settings().data_dir
    chosen = _choose(_letters(where), places or [])
    for letter in chosen:
        typer.echo(f"{letter.place} -> {letter.record.topic.removesuffix('.dead')}")
    if not yes:
        typer.echo(f"{len(chosen):,} would be put back; add --yes to do it")
        return
    if chosen:
        asyncio.run(_append(where, [_message(letter) for letter in chosen]))
    typer.echo(f"{len(chosen):,} put back; start the service to process them")


def _choose(letters: list[Letter], places: list[str]) -> list[Letter]:
    """The letters at these places; without any, all that were not put back before."""
    if not places:
        return [letter for letter in letters if not letter.put_back]
    known = {letter.place: letter for letter in letters}
    for place in places:
        if place not in known:
            stop(f"there is no dead letter {place}", "see `aftercall dead-letters list`")
    return [known[place] for place in dict.fromkeys(places)]


def _letters(data_dir: Path) -> list[Letter]:
    """Every letter, oldest first; ends the command where nothing can be read."""
    from shared.adapters.embedded import SchemaRefused  # noqa: PLC0415 - not for `--help`
    from shared.adapters.embedded.reading import read_topics  # noqa: PLC0415 - same

    try:
        dead = read_topics(data_dir, ".dead")
        live = read_topics(data_dir, "") if dead else {}
    except FileNotFoundError:
        stop(f"nothing is stored in {data_dir}", "name another by --data-dir or AFTERCALL_DATA_DIR")
    except (SchemaRefused, OSError, sqlite3.Error) as error:
        stop(f"{data_dir} can't be read: {error}", "see `aftercall doctor`")
    returned = {_header(record, PUT_BACK) for records in live.values() for record in records}
    letters = [
        Letter(place, record, place in returned)
        for records in dead.values()
        for record in records
        for place in [f"{record.topic}/{record.partition}/{record.offset}"]
    ]
    return sorted(letters, key=lambda letter: (letter.record.timestamp_ms, letter.place))


def _row(letter: Letter) -> dict[str, object]:
    from shared.contracts.instants import to_wire  # noqa: PLC0415 - not for `--help`
    from shared.runtime.dead_letters import DETAIL, ORIGIN, REASON  # noqa: PLC0415 - same

    record = letter.record
    return {
        "letter": letter.place,
        "at": to_wire(record.timestamp_ms),
        "reason": _header(record, REASON),
        "detail": _header(record, DETAIL),
        "origin": _header(record, ORIGIN),
        "key": record.key,
        "type": _header(record, "ce_type"),
        "put_back": letter.put_back,
    }


def _header(record: "Record", name: str) -> str | None:
    for known, value in record.headers:
        if known == name:
            return value.decode(errors="replace")
    return None


def _message(letter: Letter) -> "Message":
    from shared.contracts.envelope import Message  # noqa: PLC0415 - not for `--help`
    from shared.runtime.dead_letters import put_back  # noqa: PLC0415 - same

    message = put_back(letter.record)
    kept = tuple(header for header in message.headers if header[0] != PUT_BACK)
    headers = (*kept, (PUT_BACK, letter.place.encode()))
    return Message(message.topic, message.key, headers, message.value)


async def _append(data_dir: Path, messages: "list[Message]") -> None:
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
