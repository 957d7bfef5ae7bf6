"""Which pages of other origins may read answers (CORS), by their tenants' lists. Pure.

Only the routes that a toolbar uses are shared; there are no cookies, so credentials are never
allowed. Source: WHATWG Fetch, section 3.3 "CORS protocol".
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from shared.contracts.tenants import Tenant

PREFLIGHT_KEPT_S: Final = 600
VARIES: Final = {"Vary": "Origin"}
_EXPOSED: Final = "Date, Location, Retry-After"
_TAKEN: Final = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"


def shared_with(origin: str | None, tenants: Iterable[Tenant]) -> dict[str, str]:
    """The headers of an answer to a page of this origin; of an answer to nobody's, `Vary`.

    A refusal is read before it is known whose the page is, so any tenant's list counts here.
    """
    if origin is None or not any(origin in tenant.toolbar_origins for tenant in tenants):
        return VARIES
    return {
        **VARIES,
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": _EXPOSED,
    }


def preflight(
    origin: str | None, methods: Sequence[str], tenants: Iterable[Tenant]
) -> dict[str, str]:
    """The headers of an answer to OPTIONS, which names nobody; the request itself is checked."""
    allowed = {"Allow": ",".join(methods), **shared_with(origin, tenants)}
    if "Access-Control-Allow-Origin" not in allowed:
        return allowed
    return {
        **allowed,
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": _TAKEN,
        "Access-Control-Max-Age": str(PREFLIGHT_KEPT_S),
    }


def may_ask(origins: Sequence[str], host: str, listed: Collection[str]) -> bool:
    """Whether a credential may come from there.

    Args:
        origins: as the browser says it; none: no browser, or a page of ours that only reads.
        host: what the request was sent to; a page of ours has it as its own.
        listed: other origins that may: of a token its tenant's `toolbar_origins`.
    """
    return all(origin in listed or origin.partition("://")[2] == host.lower() for origin in origins)
