"""What every test of the suite stands on: a cluster whose processes take orders."""

from itertools import count
from pathlib import Path
from typing import Final, Self

from typing_extensions import override

from shared.contracts.ids import call_key
from tests.fault.network import DistantBroker, Network
from tests.fault.orders import Desk
from tests.fault.switch import home
from tests.support.cluster_product import Cluster, ServiceProcess
from tests.support.parts import MongoServer
from tests.support.ports import free_port

SESSION_MS: Final = 4000  # shorter than the product's, for a member that died is waited for


class Stage(Cluster):
    """A cluster of processes that take orders at `orders`."""

    def __init__(
        self, parts: tuple[DistantBroker, MongoServer], folder: Path, **settings: object
    ) -> None:
        broker, mongod = parts
        given = {"demo_wrap_up_s": 1, "test_session_ms": SESSION_MS, **settings}
        super().__init__(broker, mongod, folder, main=("tests.fault.process",), **given)
        self.orders = Desk(folder)
        mongod_far = free_port()
        self.to_broker = Network(broker.far, broker.inner)
        self.to_mongod = Network(mongod_far, mongod.port)
        self.far_from_broker = {"kafka_bootstrap": f"127.0.0.1:{broker.far}"}
        near_url = self.environment()["AFTERCALL_MONGO_URL"]
        far_url = near_url.replace(f":{mongod.port}/", f":{mongod_far}/")
        direct = far_url.replace("replicaSet=rs0", "directConnection=true")
        self.far_from_mongod = {"mongo_url": direct}  # a set would tell where it really is

    @override
    def add(self, name: str, role: str, **settings: object) -> ServiceProcess:
        return super().add(name, role, test_orders=self.orders.path(name), **settings)

    @override
    async def __aenter__(self) -> Self:
        await self.to_broker.__aenter__()
        await self.to_mongod.__aenter__()
        return await super().__aenter__()

    @override
    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        await self.to_broker.__aexit__(*error)
        await self.to_mongod.__aexit__(*error)

    def gateway(self) -> ServiceProcess:
        """The one that always is."""
        return self.processes["gateway"]


def usual(stage: Stage, seed: int) -> list[ServiceProcess]:
    """A gateway, two callstates and two workers.

    Of each pair one has a name, and is far from mongod; the other is far from the broker.
    """
    odd = {"test_choppy": seed, "instance": "first", **stage.far_from_mongod}
    even = {"test_choppy": seed, "mongo_driver": "pymongo", **stage.far_from_broker}
    return [
        stage.add("gateway", "gateway", **stage.far_from_broker),
        stage.add("callstate-1", "callstate", **odd),
        stage.add("callstate-2", "callstate", **even),
        stage.add("worker-1", "worker", **odd),
        stage.add("worker-2", "worker", **even),
    ]


def call_on(partition: int, name: str) -> str:
    """A call id whose records stand in this partition."""
    for number in count():
        call = f"{name}-{number}"
        if home(call_key("demo", call)) == partition:
            return call
    raise AssertionError("there are numbers enough")
