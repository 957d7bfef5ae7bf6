"""compose.yaml as Compose itself reads it, and what its commands and health checks come to."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from services.cli.app import COMMANDS
from services.processes import STOP_S, read_directory
from services.settings import PREFIX, SettingsError, read_settings
from tests.deploy.checkers import DEPLOY, run
from tests.deploy.composed import FILE, Service, image_environment, look
from tests.support.parts import KafkaBroker, or_skipped
from tests.support.ports import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

OURS: Final = ("gateway", "callstate", "worker", "topics")
DATA: Final = {"kafka": "/var/lib/kafka/data", "mongo": "/data/db"}
WRITABLE_ROOT: Final = {"kafka"}  # its start script writes the broker's configuration


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("    healthcheck:", "    helthcheck:", "helthcheck"),
        ("{ condition: service_healthy }", "{ condition: service_well }", "condition"),
        ("${PARTITIONS:-12}", "${PARTITIONS}", "PARTITIONS"),
        ("networks: [inside]", "networks: [insde]", "insde"),
    ],
)
def test_a_mistake_would_be_told(
    loader: Path, tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    text = FILE.read_text()
    assert right in text
    mistaken = tmp_path / "compose.yaml"
    mistaken.write_text(text.replace(right, wrong))
    read = run(loader, mistaken)
    assert read.returncode == 1
    assert told in read.stderr


def test_what_may_be_given_from_outside_arrives(loader: Path) -> None:
    given = {
        "TAG": "1.2.3",
        "PUBLISH": "127.0.0.1:9999",
        "TENANTS": "/srv/tenants.yaml",
        "ALLOW_DEMO": "0",
        "OPERATOR": "ab" * 32,
        "PARTITIONS": "48",
    }
    text = FILE.read_text()
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) == given.keys()
    assert set(re.findall(r"^#   ([A-Z_]+) ", text, re.MULTILINE)) == given.keys(), "explained"
    read = run(loader, FILE, *(f"{name}={value}" for name, value in given.items()))
    gateway = json.loads(read.stdout)["services"]["gateway"]
    assert gateway["image"] == "aftercall:1.2.3"
    assert gateway["ports"][0]["published"] == "9999"
    assert gateway["volumes"][0]["source"] == "/srv/tenants.yaml"
    assert gateway["environment"][f"{PREFIX}ALLOW_DEMO"] == "0"
    assert gateway["environment"][f"{PREFIX}OPERATOR_SHA256"] == "ab" * 32
    assert gateway["environment"][f"{PREFIX}TOPIC_PARTITIONS"] == "48"


def test_it_is_these_services(services: dict[str, Service]) -> None:
    assert services.keys() == {*OURS, *DATA}


def test_every_service_says_whether_it_is_well_or_ends_by_itself(
    services: dict[str, Service],
) -> None:
    once = {
        name
        for service in services.values()
        for name, how in (service.get("depends_on") or {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert once == {"topics"}
    for name, service in services.items():
        looked_after = bool(service["healthcheck"].get("test"))
        assert looked_after == (name not in once), name
        assert service["restart"].startswith("on-failure" if name in once else "unless-stopped")


def test_every_image_is_of_one_version(services: dict[str, Service]) -> None:
    for service in services.values():
        assert re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+", service["image"])


def test_no_service_may_more_than_it_must(services: dict[str, Service]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only", False) == (name not in WRITABLE_ROOT), name
        more = {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"}
        assert not service.keys() & more, name
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}, name


def test_data_outlives_its_container_and_nothing_else_is_kept(
    project: Any, services: dict[str, Service]
) -> None:
    assert project["volumes"].keys() == DATA.keys()
    for name, service in services.items():
        (volume,) = service["volumes"]
        kept = {"type": "volume", "source": name, "target": DATA.get(name)}
        if name in DATA:
            assert volume.items() >= kept.items()
        else:
            assert (volume["type"], volume["read_only"]) == ("bind", True)
            assert Path(volume["source"]) == DEPLOY / "demo" / "tenants.yaml"
    assert services["kafka"]["environment"]["KAFKA_LOG_DIRS"] == DATA["kafka"]


def test_only_the_gateway_is_reached_and_only_from_this_machine(
    project: Any, services: dict[str, Service]
) -> None:
    (published,) = services["gateway"]["ports"]
    assert (published["host_ip"], published["target"]) == ("127.0.0.1", 8080)
    assert project["networks"]["inside"]["internal"] is True
    for name, service in services.items():
        if name != "gateway":
            assert "ports" not in service, name
            assert service["networks"].keys() == {"inside"}, name


def test_services_wait_for_broker_store_and_topics_and_may_take_their_time_to_drain(
    services: dict[str, Service],
) -> None:
    for name in ("gateway", "callstate", "worker"):
        waits = {other: how["condition"] for other, how in services[name]["depends_on"].items()}
        assert waits == {
            "kafka": "service_healthy",
            "mongo": "service_healthy",
            "topics": "service_completed_successfully",
        }
        grace = re.fullmatch(r"(\d+)s", services[name]["stop_grace_period"])
        assert grace is not None
        assert int(grace[1]) > STOP_S


def test_there_may_be_several_of_a_service(services: dict[str, Service]) -> None:
    for name in ("callstate", "worker"):
        assert not services[name].keys() & {"container_name", "ports", "hostname"}, name
        assert f"{PREFIX}INSTANCE" not in services[name]["environment"], "copies would share it"


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_a_command_under_settings_that_are_taken(
    services: dict[str, Service], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services[name]["command"][0] in COMMANDS
    for setting, value in (image_environment() | services[name]["environment"]).items():
        if setting.startswith(PREFIX):
            monkeypatch.setenv(setting, value)
    (volume,) = services[name]["volumes"]
    assert volume["target"] == services[name]["environment"][f"{PREFIX}TENANTS_FILE"]
    settings = read_settings(tenants_file=volume["source"])
    assert (settings.profile, settings.host) == ("cluster", "0.0.0.0")
    assert [tenant.id for tenant in read_directory(settings).all()] == ["demo"]
    with pytest.raises(SettingsError, match="demo"):
        read_directory(read_settings(tenants_file=volume["source"], allow_demo=False))


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of somebody who answers every question like this."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/readyz"
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("name", ["gateway", "callstate", "worker"])
def test_a_service_is_well_when_it_says_that_it_is_ready(
    services: dict[str, Service], name: str
) -> None:
    with answering(200) as port:
        assert look(services[name], port) == 0
    with answering(503) as port:
        assert look(services[name], port) != 0
    assert look(services[name], free_ports(1)[0]) != 0, "nobody there"


def properties(service: Service) -> dict[str, str]:
    """The broker's properties, as its image makes them of the environment."""
    kept = {k: v for k, v in service["environment"].items() if k != "KAFKA_HEAP_OPTS"}
    names = {k: k.removeprefix("KAFKA_").lower().replace("_", ".") for k in kept}
    return {names[k]: v for k, v in kept.items() if k.startswith("KAFKA_")}


async def topics(bootstrap: str) -> list[str]:
    """Asked over the address that the broker advertises."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found: list[str] = await admin.list_topics()
        return found
    finally:
        await admin.close()


@pytest.mark.cluster
def test_a_real_broker_starts_on_the_settings_of_compose(
    services: dict[str, Service], tmp_path: Path
) -> None:
    service = services["kafka"]
    with or_skipped():
        broker = KafkaBroker(tmp_path)
    (controller,) = free_ports(1)
    here = {":9092": f":{broker.port}", ":9093": f":{controller}", "kafka:": "127.0.0.1:"}
    lines = []
    for name, value in properties(service).items():
        for there, ours in here.items():
            value = value.replace(there, ours)  # noqa: PLW2901 - one place after another
        lines.append(f"{name}={tmp_path / 'data' if name == 'log.dirs' else value}")
    broker._config.write_text("\n".join(lines).replace("//:", "//127.0.0.1:"))
    format_data = ["kafka.tools.StorageTool", "format", "-t", service["environment"]["CLUSTER_ID"]]
    formatted = run(*broker._java("256m"), *format_data, "-c", broker._config)
    assert formatted.returncode == 0, formatted.stdout + formatted.stderr
    kind, *words = service["healthcheck"]["test"]
    assert kind == "CMD"
    asked = [word.replace("/9092", f"/{broker.port}") for word in words]
    assert asked != words
    assert run(*asked).returncode != 0
    try:
        broker.start()
        assert run(*asked).returncode == 0
        assert asyncio.run(topics(broker.bootstrap)) == []
    finally:
        broker.end()
