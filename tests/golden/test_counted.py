"""The README says how many rows there are of each dialect."""

from pathlib import Path
from typing import Final

GOLDEN: Final = Path(__file__).parent
ROWS: Final = {
    "native": "native",
    "Ozonetel CloudAgent": "ozonetel",
    "Genesys Web Services": "genesys",
    "VCC Live": "vcc_live",
    "CareCycle": "carecycle",
    "Zipteams": "zipteams",
}


def test_the_rows_are_as_many_as_the_readme_says() -> None:
    readme = (GOLDEN.parents[1] / "README.md").read_text("utf-8").splitlines()
    told = {
        name: int(line.rsplit("|", 2)[1])
        for name in ROWS
        for line in readme
        if line.startswith(f"| {name} | `")
    }
    assert told == {name: len(list((GOLDEN / of).glob("*.yaml"))) for name, of in ROWS.items()}
    assert {path.name for path in GOLDEN.iterdir() if any(path.glob("*.yaml"))} == set(
        ROWS.values()
    )
