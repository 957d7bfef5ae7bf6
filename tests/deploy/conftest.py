"""compose.yaml as Compose itself reads it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.checkers import checker, run
from tests.deploy.composed import FILE, Service
from tests.support.parts import skip_or_fail

LOADER: Final = Path(__file__).parent / "compose"


@pytest.fixture(scope="session")
def loader() -> Iterator[Path]:
    """Compose's own reader, built from its library."""
    go = checker("go", "Go 1.24 or newer, whose modules carry Compose's own library")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "compose"
        built = run(go, "build", "-o", program, ".", cwd=LOADER)
        if built.returncode != 0:
            skip_or_fail(f"the reader of Compose files can't be built: {built.stderr}")
        yield program


@pytest.fixture(scope="session")
def project(loader: Path) -> Any:
    """The file as it stands, without a variable."""
    read = run(loader, FILE)
    assert (read.returncode, read.stderr) == (0, "")
    return json.loads(read.stdout)


@pytest.fixture(scope="session")
def services(project: Any) -> dict[str, Service]:
    """What it says of each service."""
    found: dict[str, Service] = project["services"]
    return found
