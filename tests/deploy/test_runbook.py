"""What the runbook names is there: metrics, settings, commands, files, words said at night."""

import re
from typing import Final

import pytest

from services.cli.app import COMMANDS
from services.settings import ADMIN_KEY, CONFIG, PREFIX, Settings
from shared.contracts.topics import TOPICS, dead
from shared.observability.metrics import Metrics
from tests.deploy.checkers import DEPLOY, ROOT

TEXT: Final = (DEPLOY / "README.md").read_text()
CODE: Final = re.findall(r"`([^`\n]+)`", TEXT) + re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def test_every_metric_is_told() -> None:
    told = {family.name for family in Metrics().registry.collect()}
    named = set(re.findall(r"\baftercall_[a-z_]+", TEXT))
    assert named
    assert named <= told | {f"{name}_total" for name in told}


def test_every_setting_is_one() -> None:
    known = {CONFIG, ADMIN_KEY, *(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)}
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+", TEXT))
    assert named
    assert named <= known


def test_every_command_is_one() -> None:
    named = {word for code in CODE for word in re.findall(r"\baftercall ([a-z][a-z-]+)", code)}
    assert {"topics", "verify", "doctor", "gateway"} <= named
    assert named <= COMMANDS.keys()


def test_every_file_is_there() -> None:
    table = re.findall(r"^\| `([^`]+)`", TEXT.split("## Which profile")[0], re.MULTILINE)
    assert "compose.yaml" in table
    for name in table:
        assert (DEPLOY / name).exists(), name
    for name in re.findall(r"\bdeploy/[\w./@-]+\w", TEXT):
        assert (ROOT / name).exists(), name


def test_rights_are_on_topics_that_there_are() -> None:
    rows = TEXT.split("| service | reads |")[1].split("\n\n")[0]
    topics = set(re.findall(r"`([a-z.]+\.[a-z]+)`", rows))
    assert topics >= TOPICS.keys()
    assert topics <= {*TOPICS, *map(dead, TOPICS)}


@pytest.mark.parametrize(
    "said",
    [
        "log not to be had",
        "store not to be had",
        "no topic ",
        "and once ended at",
        "the group stands where the log has nothing",
        "another process of this group is called ",
        "partitions now, and had ",
        "batch_dropped",
        "part_failed",
        "does not fit what has changed",
        "tenant_changed",
        "tenants_not_refreshed",
        "tenant_not_refreshed",
    ],
)
def test_what_it_quotes_is_said(said: str) -> None:
    assert said in TEXT
    sources = [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]
    wanted = said.replace("log not", "{part} not").replace("store not", "{part} not")
    assert any(wanted in path.read_text() for path in sources)
