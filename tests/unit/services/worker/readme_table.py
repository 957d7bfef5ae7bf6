"""Draws the decision table of the worker's README from the rules' own table.

`python -m tests.unit.services.worker.readme_table` writes it anew; a test says when that is due.
"""

from pathlib import Path
from typing import Final

from services.worker.dispositions import TABLE
from services.worker.model import OUTCOMES, Row

README: Final = Path(__file__).parents[4] / "services" / "worker" / "README.md"
BEGIN: Final = "<!-- table: generated -->"
END: Final = "<!-- end of table -->"
_HEAD: Final = (
    "| for | the agent is | if | rule | outcome | origin | told |\n|---|---|---|---|---|---|---|\n"
)


def render_table() -> str:
    """The table in Markdown, one line a row."""
    return _HEAD + "".join(_line(row) for row in TABLE)


def _line(row: Row) -> str:
    facts = [*row.needs, *(f"not {fact}" for fact in row.lacks)]
    answered = row.given == "request"
    cells = (
        "a request" if answered else "the call",
        " / ".join(row.agent),
        ", ".join(facts).replace("_", " "),
        f"`{row.rule}`",
        f"`{row.problem or OUTCOMES[row.told]}`" if answered else "",
        row.origin and f"`{row.origin}`",
        f"`{row.told}`",
    )
    return f"| {' | '.join(cells)} |\n"


def drawn(readme: str) -> str:
    """The README with its table drawn anew."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(drawn(README.read_text()))
