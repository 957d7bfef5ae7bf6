"""The admin port: metrics, health, and on gateways the admin routes.

It binds an address of its own, never the public port.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from services.gateway.administration import Operated, serve_administration
from services.gateway.bodies import answer
from services.gateway.problems import explain
from shared.contracts.limits import BODY_BYTES_MAX

Readiness = Callable[[], Awaitable[Mapping[str, str]]]
"""By part: `ok`, or why it is not."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OK: Final = "ok"


def build_admin_app(
    registry: CollectorRegistry, readiness: Readiness, administration: Operated | None = None
) -> web.Application:
    """The application of the admin port.

    Args:
        registry: whose metrics `/metrics` shows.
        readiness: asked by `/readyz`; a part that raises is not ready, and says so.
        administration: what the admin routes ask; only gateways have them.
    """

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = _encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return answer({"status": OK})

    async def readyz(_: web.Request) -> web.Response:
        try:
            parts = dict(await readiness())
        except Exception as error:  # noqa: BLE001 - whatever it is, this process is not ready
            parts = {"readiness": type(error).__name__}
        ready = all(why == OK for why in parts.values())
        document = {"status": OK if ready else "not ready", "parts": parts}
        return web.Response(
            body=orjson.dumps(document),
            status=200 if ready else 503,
            content_type="application/json",
        )

    app = web.Application(middlewares=[_in_our_shape], client_max_size=BODY_BYTES_MAX)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    if administration is not None:
        serve_administration(app, administration)
    return app


@web.middleware
async def _in_our_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What is not here, or not by this method, is a problem document as on the public port."""
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return explain(error).response()


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """How to write the metrics; the plain way for who asks for a version that is none."""
    try:
        return choose_encoder(accept if accept.isascii() else "")
    except (TypeError, ValueError):
        return choose_encoder("")
