"""`aftercall dead-letters`: what could not be processed, and the way back for it."""

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import Struct

from services.cli.configured import settings
from services.cli.output import show_json, show_rows, stop

if TYPE_CHECKING:
    from services.cli.clustered import Broker
    from shared.runtime.letters import LetterRow

COLUMNS: Final = ("letter", "at", "reason", "detail", "origin", "key", "type", "put_back")

DataDir = Annotated[
    Path | None,
    typer.Option(help="An embedded store; what is configured by default."),
]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="See what could not be processed, and put it back.",
)


class Source(Struct, frozen=True):
    """Where the letters are: on the broker, or in a file."""

    broker: "Broker | None"
    data_dir: Path

    def letters(self) -> "list[LetterRow]":
        """Every letter, oldest first; ends the command where nothing can be read."""
        from services.cli.clustered import run  # noqa: PLC0415 - not for `--help`
        from services.cli.letters import sent_letters, stored_letters  # noqa: PLC0415 - same

        if self.broker is not None:
            return run(sent_letters(self.broker))
        return stored_letters(self.data_dir)

    def put_back(self, letters: "list[LetterRow]") -> None:
        """Append them to the topics they came from."""
        from services.cli.clustered import run  # noqa: PLC0415 - not for `--help`
        from services.cli.letters import put_back_sent, put_back_stored  # noqa: PLC0415 - same

        if self.broker is not None:
            run(put_back_sent(self.broker, letters))
        else:
            put_back_stored(self.data_dir, letters)


def _source(data_dir: Path | None) -> Source:
    from services.cli.clustered import broker_of  # noqa: PLC0415 - not for `--help`

    configured = settings()
    if data_dir is None and configured.profile == "cluster":
        return Source(broker_of(configured, "dead-letters"), configured.data_dir)
    return Source(None, data_dir or configured.data_dir)


@app.command("list")
def list_letters(
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the dead letters, oldest first, each with its reason."""
    rows = [_row(letter) for letter in _source(data_dir).letters()]
    show_rows(COLUMNS, rows, as_json=as_json)


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="Which: topic/partition/offset, as listed.")],
    data_dir: DataDir = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one letter whole, with its headers and its value as they came.

    It may hold what is personal: it is what somebody sent.
    """
    (letter,) = _choose(_source(data_dir).letters(), [place], again=True)
    shown = _row(letter) | {
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers},
        **_value(letter.value),
    }
    if as_json:
        show_json(shown)
        return
    for name, value in shown.items():
        typer.echo(f"{name}: {value}")


def _value(value: bytes) -> dict[str, str]:
    """As text where it is text."""
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"value_base64": b64encode(value).decode()}


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
    again: Annotated[
        bool, typer.Option("--again", help="Also where it was put back before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only say what would be.")] = False,
) -> None:
    """Append dead letters to the topics they came from, as they were.

    What is still wrong with them makes them dead letters again. Each is remembered as put back, and
    not put back once more unless you say --again. (A crash of this very command may leave letters
    put back and not remembered: an event or a request that comes twice changes nothing.) The
    embedded service must be stopped; with the cluster profile services may run.
    """
    if everything == bool(places):
        stop("it is not clear which letters", "name their places, or give --all")
    source = _source(data_dir)
    chosen = _choose(source.letters(), places or [], again=again)
    for letter in chosen:
        typer.echo(f"{letter.place} -> {letter.topic}")
    if not yes:
        typer.echo(f"{len(chosen):,} would be put back; add --yes to do it")
        return
    if chosen:
        source.put_back(chosen)
    then = "start the service to process them" if source.broker is None else "they are read now"
    typer.echo(f"{len(chosen):,} put back; {then}")


def _choose(letters: "list[LetterRow]", places: list[str], *, again: bool) -> "list[LetterRow]":
    """The letters at these places; without any, all that were not put back before."""
    if not places:
        return [letter for letter in letters if again or letter.put_back_ms is None]
    known = {letter.place: letter for letter in letters}
    for place in places:
        if place not in known:
            stop(f"there is no dead letter {place}", "see `aftercall dead-letters list`")
        if known[place].put_back_ms is not None and not again:
            stop(f"{place} was put back before", "add --again if it is to go once more")
    return [known[place] for place in dict.fromkeys(places)]


def _row(letter: "LetterRow") -> dict[str, object]:
    from shared.contracts.instants import to_wire  # noqa: PLC0415 - not for `--help`

    return {
        "letter": letter.place,
        "at": to_wire(letter.at_ms),
        "reason": letter.reason,
        "detail": letter.detail,
        "origin": letter.origin,
        "key": letter.key,
        "type": letter.type,
        "put_back": letter.put_back_ms is not None,
    }
