"""CSV or JSON: what a client says in `Accept`."""

import pytest

from services.gateway.accepting import rather


@pytest.mark.parametrize(
    ("accept", "csv"),
    [
        ([], False),
        ([""], False),
        (["*/*"], False),
        (["text/csv"], True),
        (["TEXT/CSV"], True),
        (["text/*"], True),
        (["text/html, text/*;q=0.8, application/*;q=0.7"], True),
        (["application/json"], False),
        (["text/csv, application/json"], False),
        (["application/json", "text/csv"], False),
        (["text/csv, application/json;q=0.9"], True),
        (["application/json;q=0.9", "text/csv"], True),
        (["text/csv;q=0.5, application/json"], False),
        (["text/csv;q=0.5, application/json;q=0.4"], True),
        (["text/csv;q=0.123, application/json;q=0.122"], True),
        (["text/csv; q=0.9, */*; q=0.1"], True),
        (["text/csv ; q = 0.9 , */* ; q = 0.1"], True),
        (["text/csv;q=0.1, */*"], False),
        (["text/csv;q=0, */*;q=0"], False),
        (["text/csv;q=0"], False),
        (["text/csv;q=1.000"], True),
        (["text/csv;header=present;q=0.9, application/json;q=0.8"], True),
        (["text/csv;q=0.9;header=present, application/json;q=0.8"], True),
        (["text/csv;q=2"], False),
        (["text/csv;q=0.1234"], False),
        (["text/csv;q=-1"], False),
        (["text/csv;q="], False),
        (["text/csvx"], False),
        ([",,;q=1,text/csv,"], True),
        (["*/*;q=0.1, text/*;q=0.2, text/csv;q=0"], False),
    ],
)
def test_the_weight_of_the_closest_range_decides(accept: list[str], csv: bool) -> None:
    assert rather(accept, "text/csv", "application/json") is csv
