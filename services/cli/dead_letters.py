"""`aftercall dead-letters`: what could not be processed, and the way back for it.

Without `--url` they are those of the store or the broker itself; with it, of a running service.
"""

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, TypeVar

import typer
from msgspec import Struct

from services.cli.configured import settings
from services.cli.output import show_json, show_rows, stop
from services.cli.remote import Key, Url, remote

if TYPE_CHECKING:
    from services.cli.clustered import Broker
    from shared.runtime.letters import LetterLine, LetterRow

COLUMNS: Final = ("letter", "at", "reason", "detail", "origin", "key", "type", "put_back")

Line = TypeVar("Line", bound="LetterLine")

DataDir = Annotated[
    Path | None,
    typer.Option(help="An embedded store; what is configured by default."),
]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="See what could not be processed, and put it back.",
)


class Letters(Protocol[Line]):
    """Where letters are. What can't be done ends the command."""

    def letters(self) -> list[Line]:
        """Every letter, oldest first."""
        ...

    def letter(self, place: str) -> "LetterRow":
        """One letter whole."""
        ...

    def put_back(self, letters: Sequence[Line], *, again: bool) -> None:
        """Append them to the topics they came from; `again`: also where they were before."""
        ...

    @property
    def then(self) -> str:
        """What happens to those that were put back."""
        ...


class Source(Struct, frozen=True):
    """`Letters` on the broker, or in a file."""

    broker: "Broker | None"
    data_dir: Path

    def letters(self) -> "list[LetterRow]":
        """See `Letters`."""
        from services.cli.clustered import run  # noqa: PLC0415 - not for `--help`
        from services.cli.letters import sent_letters, stored_letters  # noqa: PLC0415 - same

        if self.broker is not None:
            return run(sent_letters(self.broker))
        return stored_letters(self.data_dir)

    def letter(self, place: str) -> "LetterRow":
        """See `Letters`."""
        return _choose(self.letters(), [place], again=True)[0]

    def put_back(self, letters: "Sequence[LetterRow]", *, again: bool) -> None:
        """See `Letters`."""
        from services.cli.clustered import run  # noqa: PLC0415 - not for `--help`
        from services.cli.letters import put_back_sent, put_back_stored  # noqa: PLC0415 - same

        del again  # only those that may go are given
        if self.broker is not None:
            run(put_back_sent(self.broker, letters))
        else:
            put_back_stored(self.data_dir, letters)

    @property
    def then(self) -> str:
        """See `Letters`."""
        return "start the service to process them" if self.broker is None else "they are read now"


def _source(data_dir: Path | None, url: str | None, key: str | None) -> "Letters[Any]":
    from services.cli.asked_letters import ROUTES, AskedLetters  # noqa: PLC0415 - not for `--help`
    from services.cli.clustered import broker_of  # noqa: PLC0415 - same

    if url is not None:
        return AskedLetters(remote(url, key, ROUTES))
    configured = settings()
    if data_dir is None and configured.profile == "cluster":
        return Source(broker_of(configured, "dead-letters"), configured.data_dir)
    return Source(None, data_dir or configured.data_dir)


@app.command("list")
def list_letters(
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the dead letters, oldest first, each with its reason."""
    rows = [_row(letter) for letter in _source(data_dir, url, key).letters()]
    show_rows(COLUMNS, rows, as_json=as_json)


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="Which: topic/partition/offset, as listed.")],
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one letter whole, with its headers and its value as they came.

    It may hold what is personal: it is what somebody sent.
    """
    letter = _source(data_dir, url, key).letter(place)
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
    url: Url = None,
    key: Key = None,
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
    embedded service must be stopped, or be named with --url; those of a cluster may run.
    """
    if everything == bool(places):
        stop("it is not clear which letters", "name their places, or give --all")
    source = _source(data_dir, url, key)
    chosen = _choose(source.letters(), places or [], again=again)
    for letter in chosen:
        typer.echo(f"{letter.place} -> {letter.topic}")
    if not yes:
        typer.echo(f"{len(chosen):,} would be put back; add --yes to do it")
        return
    if chosen:
        source.put_back(chosen, again=again)
    typer.echo(f"{len(chosen):,} put back; {source.then}")


def _choose(letters: "list[Line]", places: list[str], *, again: bool) -> "list[Line]":
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


def _row(letter: "LetterLine") -> dict[str, object]:
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
