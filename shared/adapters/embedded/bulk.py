"""Many rows by few statements.

At each step of a statement sqlite3 lets go of the interpreter's lock, and must then wait for it
again: up to a switch interval (5 ms) whenever the event loop is busy. A statement per row waits
once per row; a statement of many rows waits once for all, on the writer and on the readers.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

ROWS: Final = "{rows}"
_SIZES: Final = (128, 32, 8, 1)  # few shapes, so that each is prepared once and stays cached

Row = Sequence[object]


def execute_rows(connection: sqlite3.Connection, sql: str, rows: Sequence[Row]) -> int:
    """Run a statement in which `{rows}` stands for `(?, ...), (?, ...)`, in the rows' order.

    Returns:
        How many rows of the table were changed.
    """
    changed = 0
    for some in _cut(rows):
        statement = _written(sql, len(some), len(some[0]))
        changed += connection.execute(statement, [value for row in some for value in row]).rowcount
    return changed


def _cut(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


@lru_cache(maxsize=64)
def _written(sql: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return sql.replace(ROWS, ", ".join([row] * rows))
