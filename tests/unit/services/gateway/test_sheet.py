"""CSV for people with spreadsheets: read back it is what was written, and nothing is calculated."""

import csv
from io import StringIO

import pytest

from services.gateway.sheet import sheet

HOSTILE = [
    '=HYPERLINK("http://127.0.0.1/?"&A1,"Sale")',
    "=1+1",
    "+1 555 0100",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",  # noqa: RUF001
    "＋1",  # noqa: RUF001
    "－1",  # noqa: RUF001
    "＠SUM(A1)",  # noqa: RUF001
]


@pytest.mark.parametrize("value", HOSTILE)
def test_what_a_spreadsheet_would_calculate_is_text(value: str) -> None:
    ((told, count),) = list(
        csv.reader(StringIO(sheet(["a", "count"], [([value], 1)]), newline=""))
    )[1:]
    assert (told, count) == ("'" + value, "1")


@pytest.mark.parametrize(
    "value", ["", "Sale", "a=1", "it's", "'=1", 'say "yes"', "a,b", "a;b", " x ", "a\r\nb", "Łódź"]
)
def test_any_other_value_is_itself(value: str) -> None:
    text = sheet(["a", "b", "count"], [([value, "x"], 7)])
    assert list(csv.reader(StringIO(text, newline=""))) == [["a", "b", "count"], [value, "x", "7"]]


def test_lines_and_quotes_are_those_of_the_standard() -> None:
    text = sheet(["code", "count"], [(['a "b", c'], 2), (["d"], 1)])
    assert text == 'code,count\r\n"a ""b"", c",2\r\nd,1\r\n'
