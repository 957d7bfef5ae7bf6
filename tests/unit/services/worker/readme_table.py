"""Draws the decision tables of the worker's README from the rules' own table.

`python -m tests.unit.services.worker.readme_table` writes it anew; a test says when that is due.
"""

from pathlib import Path
from typing import Final

from services.worker.dispositions import TABLE
from services.worker.model import OUTCOMES, Row
from services.worker.subjects import TABLE as SUBJECTS
from services.worker.subjects import TIMER

README: Final = Path(__file__).parents[4] / "services" / "worker" / "README.md"
BEGIN: Final = "<!-- table: generated -->"
BEGIN_SUBJECTS: Final = "<!-- table of subjects: generated -->"
END: Final = "<!-- end of table -->"
_HEAD: Final = (
    "| for | the agent is | if | rule | outcome | origin | told |\n|---|---|---|---|---|---|---|\n"
)
_GIVEN: Final = {"call": "the call", "request": "a request", "timer": "a callback's timer"}


def render_table() -> str:
    """The table in Markdown, one line a row."""
    return _HEAD + "".join(_line(row) for row in TABLE)


def _line(row: Row) -> str:
    facts = [*row.needs, *(f"not {fact}" for fact in row.lacks)]
    answered = row.given == "request"
    cells = (
        _GIVEN[row.given],
        " / ".join(row.agent),
        ", ".join(facts).replace("_", " "),
        f"`{row.rule}`",
        f"`{row.problem or OUTCOMES[row.told]}`" if answered else "",
        row.origin and f"`{row.origin}`",
        f"`{row.told}`",
    )
    return f"| {' | '.join(cells)} |\n"


def render_subjects() -> str:
    """The same of the subjects' table."""
    head = "| for | the subject is | rule | outcome | told |\n|---|---|---|---|---|\n"
    rows = "".join(
        f"| a {row.given} | {' / '.join(row.subject)} | `{row.rule}` "
        f"| `{row.problem or row.outcome}` | {row.told and f'`{row.told}`'} |\n"
        for row in SUBJECTS
    )
    timer = f"| {_GIVEN['timer']} | {TIMER.subject} | `{TIMER.rule}` |  | `{TIMER.told}` |\n"
    return head + rows + timer


def drawn(readme: str) -> str:
    """The README with its tables drawn anew."""
    for begin, table in ((BEGIN, render_table()), (BEGIN_SUBJECTS, render_subjects())):
        before, _, rest = readme.partition(begin)
        _, _, after = rest.partition(END)
        readme = f"{before}{begin}\n{table}{END}{after}"
    return readme


if __name__ == "__main__":
    README.write_text(drawn(README.read_text()))
