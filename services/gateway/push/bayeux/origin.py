"""Whether a browser asks for a page of another site.

A browser sends an agent's Basic credentials along with whatever another site's page asks for, a
WebSocket and a script of `callback-polling` included, and such a page may read both. Browsers say
where the page is from; clients that are none say nothing.
Source: RFC 6455, section 10.2; W3C Fetch Metadata.
"""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

_SITE: Final = "Sec-Fetch-Site"
_OURS: Final = ("same-origin", "none")


def is_of_another_site(request: web.Request) -> bool:
    """Whether a browser says so."""
    sites = request.headers.getall(_SITE, ())
    origins = request.headers.getall(hdrs.ORIGIN, ())
    return any(site not in _OURS for site in sites) or any(
        _host(origin) != request.host.lower() for origin in origins
    )


def _host(origin: str) -> str | None:
    """Host and port as they stand; None: it has none, as the `null` origin."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
