import sqlite3

import pytest

from shared.adapters.embedded.bulk import execute_rows


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 127, 128, 129, 300, 1000])
def test_all_rows_are_written_in_order_and_counted(count: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT)")
    rows = [(str(number),) for number in range(count)]
    assert execute_rows(connection, "INSERT INTO t (b) VALUES {rows}", rows) == count
    written = [b for (b,) in connection.execute("SELECT b FROM t ORDER BY a")]
    assert written == [b for (b,) in rows]
    connection.close()


def test_rows_that_change_nothing_are_not_counted() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    insert = "INSERT INTO t VALUES {rows} ON CONFLICT DO NOTHING"
    assert execute_rows(connection, insert, [(1, "x"), (2, "y")]) == 2
    assert execute_rows(connection, insert, [(2, "z"), (3, "y")]) == 1
    connection.close()
