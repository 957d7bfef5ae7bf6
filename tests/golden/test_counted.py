"""The README says how many rows there are of each dialect; all of them run on both profiles."""

import subprocess
import sys
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


def test_every_row_runs_on_both_profiles() -> None:
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*collect, str(GOLDEN / "test_golden.py")],
        capture_output=True,
        text=True,
        check=True,
        cwd=GOLDEN.parents[1],
    )
    rows = {f"{path.parent.name}/{path.stem}" for path in GOLDEN.glob("*/*.yaml")}
    ids = [line.partition("[")[2][:-1] for line in done.stdout.splitlines() if "::" in line]
    for profile in ("embedded", "cluster"):
        run = [id_.removeprefix(f"{profile}-") for id_ in ids if id_.startswith(f"{profile}-")]
        assert len(run) == len(rows)
        assert set(run) == rows


def test_no_row_is_left_out() -> None:
    told = (GOLDEN / "test_golden.py").read_text("utf-8")
    assert "skip" not in told
    assert "xfail" not in told
