"""The admin port of a gateway to talk to, and its public port beside it, over stores in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from services.gateway.__main__ import DIALECTS
from services.gateway.admin import build_admin_app
from services.gateway.administration import Administration, Operated
from services.gateway.app import build_app
from shared.runtime.live_tenants import LiveTenantDirectory
from tests.support.memory_letters import MemoryLetterStore
from tests.support.memory_overlays import MemoryOverlayStore
from tests.unit.services.gateway.floor import DEMO, Client, Floor

OPERATOR = {"Authorization": "Bearer the-operators-own-key"}
OPERATOR_SHA256 = sha256(b"the-operators-own-key").hexdigest()
HOME = "/v1/admin/tenants/demo"


class Office(Floor):
    """A floor whose tenants can be changed; `other` is a second gateway's directory."""

    def __init__(self, overlays: MemoryOverlayStore | None = None) -> None:
        super().__init__()
        self.overlays = overlays or MemoryOverlayStore()
        self.letters = MemoryLetterStore()
        self.directory = self.opened()
        self.other = self.opened()
        self.desk.__dict__["tenants"] = self.directory
        self.admin: Client

    def opened(self) -> LiveTenantDirectory:
        return LiveTenantDirectory(DEMO, self.overlays, self.clock, refresh_s=0.01)

    def operated(self, operator: str | None = OPERATOR_SHA256) -> Operated:
        administration = Administration(self.directory, self.clock)
        return Operated(administration, self.desk, self.letters, operator)

    async def ask(self, method: str, path: str, who: Any, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer; `path` below the demo tenant's, or absolute."""
        url = path if path.startswith("/v1/") else f"{HOME}{path}"
        async with self.admin.request(method, url, headers=who, json=body) as answer:
            text = await answer.read()
            return answer.status, (await answer.json(content_type=None)) if text else None

    @property
    def unchanged(self) -> bool:
        return not self.overlays.rows


@asynccontextmanager
async def open_office(
    overlays: MemoryOverlayStore | None = None, *, operator: str | None = OPERATOR_SHA256
) -> AsyncIterator[Office]:
    office = Office(overlays)

    async def ready() -> dict[str, str]:
        return {}

    private = build_admin_app(CollectorRegistry(), ready, office.operated(operator))
    public: web.Application = build_app(office.desk, dialects=DIALECTS)
    async with TestClient(TestServer(private)) as admin, TestClient(TestServer(public)) as client:
        office.admin, office.client = admin, client
        yield office
