"""The image, as far as it can be had without a container engine: its build is done step by step.

What the stage `build` runs is run here; what comes of it is then started as the image would start
it: as nobody, without leave to write a file.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.deploy.checkers import DEPLOY, ROOT, checker, run
from tests.deploy.composed import image_environment
from tests.deploy.dockerfile import Instruction, lets_through, stages
from tests.deploy.replay import NOBODY, as_nobody, replay
from tests.support.product import Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BUILD, IMAGE = stages(DEPLOY / "Dockerfile").values()
IGNORED: Final = [
    line
    for line in (ROOT / ".dockerignore").read_text().splitlines()
    if line and not line.startswith("#")
]
HADOLINT: Final = "it comes with the locked test tools"


def said(name: str) -> list[Instruction]:
    return [instruction for instruction in IMAGE if instruction.name == name]


def environment(home: Path) -> dict[str, str]:
    """What the image sets, and a home, where a library would keep what it must not keep."""
    return image_environment() | {"PATH": "/usr/bin:/bin", "HOME": str(home)}


def test_the_linter_finds_nothing() -> None:
    linted = run(checker("hadolint", HADOLINT), "--no-color", "-t", "style", DEPLOY / "Dockerfile")
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    loose = tmp_path / "Dockerfile"
    loose.write_text("FROM python:latest\nRUN cd /src && pip install aftercall\n")
    linted = run(checker("hadolint", HADOLINT), "--no-color", "-t", "style", loose)
    assert linted.returncode == 1
    assert "DL3007" in linted.stdout


def test_it_runs_as_a_number_that_is_not_root_and_takes_signals_itself() -> None:
    assert [user.value for user in said("USER")] == [f"{NOBODY}:{NOBODY}"]
    assert [entry.command for entry in said("ENTRYPOINT")] == [["aftercall"]]
    assert [stop.value for stop in said("STOPSIGNAL")] == ["SIGTERM"]


def test_its_base_is_one_version_and_nothing_is_installed_on_it() -> None:
    for stage in (BUILD, IMAGE):
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", stage[0].words[0])
    ran = " ".join(instruction.value for instruction in said("RUN"))
    assert not re.search(r"apt|pip install|curl|wget", ran)
    assert [copied.words[:2] for copied in said("COPY")] == [["--from=build", "/opt/aftercall"]]


def test_what_is_copied_is_let_through() -> None:
    sources = [word for step in BUILD if step.name == "COPY" for word in step.words[:-1]]
    assert "services" in sources
    for source in sources:
        found = [ROOT / source, *(ROOT / source).rglob("*")]
        files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
        assert files, f"{source} is not there"
        for path in files:
            assert lets_through(IGNORED, str(path.relative_to(ROOT))), path


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/bin/python",
        ".env",
        ".aftercall/aftercall.db",
        "deploy/.env",
        "deploy/tenants.yaml",
        "services/__pycache__/profile.cpython-311.pyc",
        "tests/conftest.py",
    ],
)
def test_no_secret_and_no_cache_is_let_through(name: str) -> None:
    assert not lets_through(IGNORED, name)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """The root of the stage `build` when it is done: all may read there, only its maker write."""
    folder = Path(tempfile.mkdtemp(prefix="aftercall-image-"))
    folder.chmod(0o755)
    try:
        replay(BUILD, folder)
        yield folder
    finally:
        shutil.rmtree(folder)


def aftercall(root: Path) -> Path:
    return root / "opt" / "aftercall" / "bin" / "aftercall"


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["config", "show", "--json"],
        ["tenants", "--tenants-file", str(DEPLOY / "demo" / "tenants.yaml")],
    ],
    ids=lambda words: words[0],
)
def test_a_command_runs_as_nobody_and_writes_no_file(
    root: Path, tmp_path: Path, words: list[str]
) -> None:
    process = as_nobody([aftercall(root), *words], cwd=tmp_path, env=environment(tmp_path))
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_whoever_would_write_a_file_would_fail(root: Path, tmp_path: Path) -> None:
    python = aftercall(root).with_name("python")
    code = f"open({str(tmp_path / 'written')!r}, 'w', buffering=1).write('x\\n')"
    process = as_nobody([python, "-c", code], cwd=tmp_path, env=environment(tmp_path))
    assert "Error" in process.communicate(timeout=60)[1]


def test_what_runs_needs_no_tool_that_builds(root: Path) -> None:
    packages = root / "opt" / "aftercall" / "lib" / "python3.11" / "site-packages"
    there = {path.name.split("-")[0] for path in packages.glob("*.dist-info")}
    assert {"aftercall", "aiokafka", "motor", "uvloop"} <= there
    assert not there & {"pip", "setuptools", "wheel", "hatchling", "editables", "pytest"}
    assert (packages / "services" / "__pycache__").is_dir(), "compiled beforehand"


class Installed(Product):
    """The product as it was built, on the embedded profile, which needs no other part."""

    def __init__(self, command: Path, data_dir: Path) -> None:
        super().__init__(data_dir, tenants_file=DEPLOY / "demo" / "tenants.yaml")
        self._command = command

    def spawn(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [self._command, "dev"],
                cwd=self.data_dir.parent,
                env=self.environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
                stdout=log,
                stderr=log,
            )


@pytest.mark.asyncio
async def test_the_wheel_has_all_that_the_product_shows(root: Path, tmp_path: Path) -> None:
    async with (
        Installed(aftercall(root), tmp_path / "data") as product,
        aiohttp.ClientSession() as http,
    ):
        for page in ("/console", "/docs", "/docs/topics", "/openapi.json", "/asyncapi.json"):
            async with http.get(product.url + page) as answer:
                assert answer.status == 200, page
        assert product.stop() == 0
