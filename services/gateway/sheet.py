"""Rows as CSV (RFC 4180) that a spreadsheet may open: no value is a formula there."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Final

FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - some take the wide forms too
"""How what a spreadsheet would calculate begins.

Source: OWASP, CSV Injection."""
TEXT: Final = "'"
"""Before a value it says to a spreadsheet: this is text."""


def sheet(head: Sequence[str], rows: Iterable[tuple[Sequence[str], int]]) -> str:
    """The head, then each row's texts and its number."""
    out = StringIO()
    written = csv.writer(out)
    written.writerow(head)
    written.writerows([*map(_text, texts), number] for texts, number in rows)
    return out.getvalue()


def _text(value: str) -> str:
    return TEXT + value if value.startswith(FORMULA) else value
