"""Draws the state table of callstate's README from the rules' own table.

`python -m tests.support.state_table` writes it anew; a test says when that is due.
"""

from pathlib import Path
from typing import Any, Final

from services.callstate import moves
from services.callstate.decider import TABLE, Row
from services.callstate.standing import Stage, Standing

README: Final = Path(__file__).parents[2] / "services" / "callstate" / "README.md"
BEGIN: Final = "<!-- table: generated -->"
END: Final = "<!-- end of table -->"
_HEAD: Final = "| event | call is | its agent is | if | rule | then |\n|---|---|---|---|---|---|\n"


def render_table() -> str:
    """The table in Markdown, one line a row, in the order in which rows are tried."""
    return _HEAD + "".join(_line(row) for row in TABLE)


def _line(row: Row) -> str:
    cells = (
        ", ".join(f"`{event_type.removeprefix('call.')}`" for event_type in row.types),
        _names(row.stages, Stage),
        _names(row.standings, Standing),
        "" if row.when is None else _says(row.when),
        f"`{row.rule}`",
        f"*{_says(row.move)}*" if row.move is moves.record else _says(row.move),
    )
    return f"| {' | '.join(cells)} |\n"


def _names(chosen: tuple[Any, ...], everything: Any) -> str:
    if set(chosen) == set(everything):
        return "any"
    return ", ".join(member.value for member in chosen)


def _says(function: Any) -> str:
    sentence = str(function.__doc__).splitlines()[0].removesuffix(".")
    return sentence[0].lower() + sentence[1:]


def drawn(readme: str) -> str:
    """The README with its table drawn anew."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(drawn(README.read_text()))
