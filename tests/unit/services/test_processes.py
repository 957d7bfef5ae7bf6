"""How a process ends, and what its exit code says to whoever may start it again."""

import asyncio
import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

import services.gateway.__main__ as gateway
from services import __main__ as together
from services import processes
from services.processes import CANNOT_START, DEMO_TENANTS, FAILED, read_directory, run
from services.settings import Settings, SettingsError
from services.watch import Watch
from shared.contracts.errors import Bug
from shared.observability.metrics import Metrics
from shared.runtime.lifecycle import Part
from shared.runtime.live_tenants import LiveTenantDirectory
from shared.runtime.profile import Profile
from tests.support.memory_profile import memory_profile


@pytest.fixture(autouse=True)
def _nothing_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process sets for its whole life is no business of the tests after."""
    monkeypatch.setattr(processes, "configure_logging", lambda _: None)
    monkeypatch.setattr(processes, "calm_collector", lambda: None)
    monkeypatch.setattr(processes, "_end_now", lambda: None)
    # Beside the threads of a test runner, its loop once waited for ever to be closed.
    monkeypatch.setattr("uvloop.run", asyncio.run)


def end_with(error: Exception, folder: Path) -> int:
    """The exit code where a part ends so, once all has started."""

    async def part(_: asyncio.Event) -> None:
        raise error

    parts: dict[str, Part] = {"part": part}
    settings = Settings(data_dir=folder, port=0, demo_traffic=False)
    return run(settings, ["gateway"], also=lambda *_: parts)


@pytest.mark.parametrize("error", [Bug("ours"), OSError("disk"), TimeoutError()], ids=repr)
def test_a_part_that_fails_is_no_start_that_was_refused(error: Exception, tmp_path: Path) -> None:
    """Whoever is told of the latter does not start it again."""
    assert end_with(error, tmp_path) == FAILED


@pytest.mark.parametrize("loopback", [True, False])
def test_the_public_console_is_told_of_the_admin_port_on_loopback_alone(
    loopback: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int | None, int]] = []

    def also(_: processes.Given, service: processes.Service, admin_port: int) -> dict[str, Part]:
        assert service.beside is not None
        told.append((service.beside.admin_port, admin_port))

        async def end(_: asyncio.Event) -> None:
            raise Bug("over")

        return {"end": end}

    monkeypatch.setattr(processes, "is_loopback", lambda _: loopback)
    run(Settings(data_dir=tmp_path, port=0, demo_traffic=False), ["gateway"], also=also)
    ((said, admin_port),) = told
    assert said == (admin_port if loopback else None)


def test_what_nobody_has_meant_is_one_line_too(tmp_path: Path) -> None:
    with capture_logs() as lines:
        assert end_with(ZeroDivisionError(), tmp_path) == FAILED
    assert lines[-1]["event"] == "broke"


def test_a_port_that_is_taken_is_tried_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as lines:
        port = taken.getsockname()[1]
        assert run(Settings(data_dir=tmp_path, port=port), ["gateway"]) == FAILED
    assert lines[-1]["event"] == "ended"
    assert lines[-1]["error"].startswith(f"can't listen on 127.0.0.1:{port}: address already in us")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_person_at_a_terminal_is_told_in_a_sentence(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with capture_logs() as lines:
        run(cluster(), ["worker"])
    said = capsys.readouterr().err
    assert (said.startswith("aftercall: AFTERCALL_TENANTS_FILE is "), not lines) == (terminal,) * 2


def test_a_setting_that_is_wrong_refuses_the_start_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AFTERCALL_PORT", "65535")
    assert together.main() == CANNOT_START
    assert capsys.readouterr().err.startswith("aftercall: AFTERCALL_PORT is 65535, ")


def test_a_start_that_is_refused_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=0, host="192.0.2.1", allow_demo=True)
    assert run(settings, ["gateway"]) == CANNOT_START


def cluster(**more: object) -> Settings:
    away = {"kafka_bootstrap": "127.0.0.1:1", "mongo_url": "mongodb://127.0.0.1:1"}
    return Settings(profile="cluster", **away, **more)  # type: ignore[arg-type] # by the model


@pytest.mark.parametrize("name", ["gateway", "callstate", "worker"])
def test_a_service_of_the_cluster_serves_no_tenants_that_nobody_has_named(
    name: str,
) -> None:
    with capture_logs() as lines:
        assert run(cluster(), [name]) == CANNOT_START
    (line,) = lines
    assert line["event"] == "cannot_start"
    assert line["error"].startswith("AFTERCALL_TENANTS_FILE is not set, ")


def test_the_demo_tenant_can_be_named_and_stays_on_loopback() -> None:
    named = cluster(tenants_file=DEMO_TENANTS)
    assert [tenant.id for tenant in read_directory(named).all()] == ["demo"]
    with pytest.raises(SettingsError, match="only on loopback"):
        read_directory(cluster(tenants_file=DEMO_TENANTS, host="0.0.0.0"))


def test_all_in_one_process_is_for_trying_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Settings] = []
    monkeypatch.setattr(together, "run", lambda settings, *_, **__: given.append(settings))
    together.run_dev(cluster())
    together.run_dev(cluster(tenants_file=Path("mine.yaml")))
    assert [settings.tenants_file for settings in given] == [DEMO_TENANTS, Path("mine.yaml")]


HANGS = """
import asyncio, sys, time
from pathlib import Path
from services import processes
from services.settings import Settings

processes.STOP_S = 0.5

async def fail(_):
    raise ZeroDivisionError

async def hang(stopping):
    await stopping.wait()
    time.sleep(600)

settings = Settings(data_dir=Path(sys.argv[1]), port=0, demo_traffic=False)
processes.run(settings, ["gateway"], also=lambda *_: {"fail": fail, "hang": hang})
"""


@pytest.mark.slow
def test_whatever_hangs_once_all_is_to_stop_the_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGS, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == FAILED
    assert [json.loads(line) for line in ended.stderr.splitlines()][-1]["event"] == "ended_by_force"


def test_what_is_closed_is_given_its_time_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async def opened(_: Settings) -> Profile:
        return replace(memory_profile(), close=never)

    monkeypatch.setattr(processes, "open_profile", opened)
    monkeypatch.setattr(processes, "CLOSE_S", 0.01)
    with capture_logs() as lines:
        assert end_with(Bug("ours"), tmp_path) == FAILED
    assert "close_cut_short" in [line["event"] for line in lines]


def test_an_admin_port_that_is_sought_is_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several processes on one host the first free one from the default on, up to the last."""
    tried: list[int] = []

    class Taken(gateway.Listener):
        @override
        async def start(self) -> int:
            tried.append(self._port)
            raise gateway.PortTaken

    monkeypatch.setattr(gateway, "Listener", Taken)
    profile = memory_profile()
    settings = cluster(port=65_530)
    tenants = LiveTenantDirectory((), profile.overlays, profile.clock)
    given = processes.Given(settings, profile, tenants, Metrics())
    watch = Watch(profile.log, profile.ping, {}, given.metrics)
    with pytest.raises(gateway.PortTaken):
        asyncio.run(processes._listen(given, watch, None))
    assert tried == [65_531, 65_532, 65_533, 65_534, 65_535]
