"""What a dialect is: a table of routes under prefixes of its own, and its own shape of errors.

A dialect translates both ways and decides nothing: its handlers read a vendor's request, put it as
`Asked` to the desk, and say the verdict in the vendor's words. It checks its vendor's credentials
itself, through `desk.tenants.find(kind, secret, name)`.
"""

from typing import Protocol

from aiohttp import web

from services.gateway.route import Route


class Dialect(Protocol):
    """One vendor's way to speak.

    Attributes:
        name: stands in `Asked.dialect` and in the history.
        prefixes: path prefixes that belong to it. Below them every answer has its shape, a 404 of
            the router too; the longest prefix wins.
        routes: its rows; `scope` stays None.
    """

    @property
    def name(self) -> str:
        """See above."""
        ...

    @property
    def prefixes(self) -> tuple[str, ...]:
        """See above."""
        ...

    @property
    def routes(self) -> tuple[Route, ...]:
        """See above."""
        ...

    def error(self, status: int, message: str) -> web.Response:
        """What nobody meant to happen, in the vendor's shape.

        Asked for 404, 405, 413, 415 of the router and the body limit, 429 and 503 (the gateway
        adds `Retry-After`), refusals the dialect let through (their usual status), and 500.
        """
        ...
