"""A CRM: a page of another origin that embeds the toolbar in three lines, and its backend.

The page is as strict as one can be: nothing but its own and the gateway's scripts and requests, no
markup made by scripts.
"""

from typing import Final, Self

import aiohttp
from aiohttp import web

from tests.support.ports import free_port

PAGE: Final = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8"><title>A CRM</title>
<link rel="icon" href="data:,"><script type="module" src="{gateway}/toolbar/aftercall-toolbar.js">
</script></head><body><main><h1>Customer</h1><label>Note <input id="note"></label>
<aftercall-toolbar></aftercall-toolbar>
<script type="module" src="/crm.js"></script></main></body></html>"""
SCRIPT: Final = """
window.asked = [];
document.querySelector("aftercall-toolbar").addEventListener("token-needed", async (event) => {
  window.asked.push(event.detail.reason);
  const answer = await fetch("/token" + location.search);
  if (answer.ok) event.target.token = await answer.text();
});
"""


class Crm:
    """Listens on a port of its own from `__aenter__` on. `/?agent=..&lang=..&ttl_s=..&key=..`"""

    def __init__(self) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.gateway = ""
        self._http: aiohttp.ClientSession
        self._runner: web.AppRunner

    def address(self, agent: str, **more: object) -> str:
        return f"{self.origin}/?agent={agent}" + "".join(f"&{k}={v}" for k, v in more.items())

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/crm.js", self._script),
                web.get("/token", self._token),
            ]
        )
        self._http = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()
        await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        policy = (
            f"default-src 'none'; script-src 'self' {self.gateway}; connect-src 'self' "
            f"{self.gateway}; img-src data:; require-trusted-types-for 'script'; trusted-types"
        )
        page = PAGE.format(gateway=self.gateway, lang=request.query.get("lang", "en"))
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _script(self, _: web.Request) -> web.Response:
        return web.Response(text=SCRIPT, content_type="text/javascript")

    async def _token(self, request: web.Request) -> web.Response:
        body = {
            "agent_id": request.query["agent"],
            "ttl_s": int(request.query.get("ttl_s", "900")),
        }
        url = f"{self.gateway}/v1/toolbar-tokens"
        headers = {"Authorization": f"Bearer {request.query.get('key', 'demo-key')}"}
        try:
            async with self._http.post(url, json=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                return web.Response(text=(await answer.json())["token"])
        except aiohttp.ClientError:
            return web.Response(status=502)
