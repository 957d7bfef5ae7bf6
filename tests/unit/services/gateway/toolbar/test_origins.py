"""Pages of which origins may read what a toolbar is answered, and ask with its token."""

import pytest

from services.gateway.toolbar.origins import VARIES, may_ask, preflight, shared_with
from shared.contracts.tenants import Tenant

CRM = "https://crm.example"
NONE, OURS = Tenant(id="none"), Tenant(id="ours", toolbar_origins=(CRM, "http://[::1]:8000"))


def test_a_listed_origin_is_named_and_never_a_star_nor_credentials() -> None:
    headers = shared_with(CRM, [NONE, OURS])
    assert headers["Access-Control-Allow-Origin"] == CRM
    assert headers["Vary"] == "Origin"
    assert "Date" in headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize(
    "origin", [None, "null", "*", "", "https://crm.example.evil", "http://crm.example", CRM + ":1"]
)
def test_any_other_origin_is_told_nothing(origin: str | None) -> None:
    assert shared_with(origin, [NONE, OURS]) == VARIES
    assert shared_with(origin, []) == VARIES
    assert preflight(origin, ["GET"], [OURS]) == {"Allow": "GET", "Vary": "Origin"}


def test_a_preflight_names_what_a_toolbar_sends() -> None:
    headers = preflight(CRM, ["GET", "HEAD"], [OURS])
    assert headers["Allow"] == "GET,HEAD"
    assert headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    for name in ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"):
        assert name in headers["Access-Control-Allow-Headers"]
    assert headers["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize(
    ("origins", "may"),
    [
        ([], True),
        ([CRM], True),
        (["http://gate.example:8080"], True),
        (["https://GATE.example:8080"], False),
        (["https://gate.example"], False),
        (["https://evil.example"], False),
        (["null"], False),
        ([""], False),
        ([CRM, "https://evil.example"], False),
    ],
)
def test_a_token_comes_from_its_tenants_pages_or_from_ours(origins: list[str], may: bool) -> None:
    assert may_ask(origins, "GATE.example:8080", OURS.toolbar_origins) == may
