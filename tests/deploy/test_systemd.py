"""The units, as systemd itself reads them: no misspelt key, and little that a unit may do."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from services.settings import PREFIX, read_settings
from tests.deploy.checkers import DEPLOY, checker, run

pytestmark = pytest.mark.e2e

UNITS: Final = DEPLOY / "systemd"
SERVICES: Final = (
    "aftercall-gateway.service",
    "aftercall-callstate@.service",
    "aftercall-worker@.service",
)
EXPOSURE_MAX: Final = 12  # of 100; what is left is the network, which is the point of them
INSTALLED: Final = "/opt/aftercall/bin/aftercall"


@pytest.fixture
def analyze() -> str:
    return checker("systemd-analyze", "it comes with the package systemd")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A copy that starts this checkout's program, for one that is not there is an error, too."""
    copy = tmp_path / "units"
    shutil.copytree(UNITS, copy)
    for unit in copy.glob("*.service"):
        program = Path(sys.executable).with_name("aftercall")
        unit.write_text(unit.read_text().replace(INSTALLED, str(program)))
    return copy


def verify(analyze: str, units: Path) -> str:
    """What there is to say against them: unknown keys are only told, by no code."""
    names = sorted(unit.name for unit in units.iterdir() if unit.is_file())
    read = [units / name for name in names if name.endswith((".service", ".target"))]
    assert [path.name for path in read] == sorted([*SERVICES, "aftercall.target"])
    verified = run(analyze, "verify", "--man=no", "--generators=no", *read)
    return verified.stdout + verified.stderr + "failed" * verified.returncode


def test_systemd_finds_nothing_to_say(analyze: str, units: Path) -> None:
    assert verify(analyze, units) == ""


@pytest.mark.parametrize("file", ["aftercall-worker@.service", "aftercall-.service.d/shared.conf"])
def test_a_misspelt_key_would_be_told(analyze: str, units: Path, file: str) -> None:
    unit = units / file
    unit.write_text(unit.read_text().replace("[Service]", "[Service]\nProtectSystm=strict"))
    assert "ProtectSystm" in verify(analyze, units)


def test_a_program_that_is_not_there_would_be_told(analyze: str, units: Path) -> None:
    shutil.copy(UNITS / "aftercall-gateway.service", units)
    if not Path(INSTALLED).exists():
        assert "not executable" in verify(analyze, units)


@pytest.mark.parametrize("service", SERVICES)
def test_a_unit_may_do_little(analyze: str, units: Path, service: str) -> None:
    offline = [analyze, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}"]
    reviewed = run(*offline, units / service)
    assert reviewed.returncode == 0, reviewed.stdout[-200:]
    reviewed = run(*offline, "--json=short", units / service)
    rows: list[dict[str, Any]] = json.loads(reviewed.stdout)
    left = {
        row["name"] for row in rows if row["exposure"] not in (None, "", "0.0") and not row["set"]
    }
    assert left <= {
        "RootDirectory=/RootImage=",
        "PrivateNetwork=",
        "IPAddressDeny=",
        "RestrictAddressFamilies=~AF_UNIX",
        "RestrictAddressFamilies=~AF_(INET|INET6)",
        "DeviceAllow=",
    }


def test_without_what_they_share_a_unit_might_do_more(analyze: str, units: Path) -> None:
    shutil.rmtree(units / "aftercall-.service.d")
    threshold = f"--threshold={EXPOSURE_MAX}"
    reviewed = run(analyze, "security", "--offline=true", threshold, units / SERVICES[0])
    assert reviewed.returncode != 0


def lines(name: str) -> list[str]:
    return (UNITS / name).read_text().splitlines()


def test_a_failure_is_started_again_and_a_wrong_setting_is_not() -> None:
    shared = lines("aftercall-.service.d/shared.conf")
    assert {"Restart=always", "RestartPreventExitStatus=2", "StartLimitIntervalSec=0"} <= {*shared}
    assert {"KillSignal=SIGTERM", "TimeoutStopSec=30"} <= {*shared}


def test_each_of_several_has_a_name_of_its_own_and_the_gateway_needs_none() -> None:
    for service in SERVICES:
        named = "Environment=AFTERCALL_INSTANCE=%l-%i" in lines(service)
        assert named == ("@" in service)


def test_the_example_of_settings_is_taken_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [line for line in lines("aftercall.env.example") if line and not line.startswith("#")]
    for line in given:
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(f"{PREFIX}INSTANCE", "some-host-1")
    settings = read_settings()
    assert settings.profile == "cluster"
    assert settings.topic_replication == 3
