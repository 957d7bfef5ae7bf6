"""The codes of close frames and what goes with them."""

import pytest

from services.gateway.problems import PROBLEMS, Problem
from services.gateway.sockets import closing
from services.gateway.sockets.closing import CODES, REASON_BYTES_MAX, Close, close_of
from tests.unit.services.gateway.floor import ROOT

README = ROOT / "services" / "gateway" / "README.md"


def test_every_code_is_in_the_readme() -> None:
    text = README.read_text("utf-8")
    assert [code for code in CODES if f"| {code} |" not in text] == []


@pytest.mark.parametrize("reason", ["", "x" * 200, "é" * 100])
def test_a_reason_fits_its_frame(reason: str) -> None:
    message = Close(4400, reason).message
    assert len(message) <= REASON_BYTES_MAX
    assert reason.startswith(message.decode())


def test_whatever_closes_a_socket_has_a_code_that_is_told() -> None:
    closes = [one for one in vars(closing).values() if isinstance(one, Close)]
    assert {close.code for close in closes} <= CODES.keys()
    assert all(len(close.reason.encode()) <= REASON_BYTES_MAX for close in closes)


@pytest.mark.parametrize(
    ("code", "headers", "close"),
    [
        ("unauthorized", {}, Close(4401, "unauthorized: why")),
        (
            "too_many_requests",
            {"Retry-After": "7"},
            Close(4429, "too_many_requests: why, come back in 7 s"),
        ),
    ],
)
def test_what_http_refuses_is_told_by_its_status(
    code: str, headers: dict[str, str], close: Close
) -> None:
    assert close_of(Problem(code, "why", headers)) == close
    assert close.code == 4000 + PROBLEMS[code].status
