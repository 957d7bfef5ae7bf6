"""The yardstick: a bare aiohttp handler that parses and checks the same body, and answers."""

import asyncio
import sys

import uvloop
from aiohttp import web

from services.gateway.bodies import answer, checked, read_json, receive, strict_json
from services.gateway.models import CloudEventBody, DispositionBody


async def handle(request: web.Request) -> web.Response:
    body = checked(DispositionBody, await read_json(request))
    return answer({"outcome": "queued", "agent_id": body.agent_id, "code": body.code})


async def take(request: web.Request) -> web.Response:
    """The same for an event, which the product has also to write to the log."""
    checked(CloudEventBody, strict_json(await receive(request)))
    return answer({"accepted": 1}, status=202)


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/v1/events", take)
    app.router.add_post("/v1/calls/{call_id}/disposition", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
