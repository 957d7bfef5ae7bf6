"""The balancer's configuration names paths that there are, and waits longer than answers take."""

import re
from typing import Final

from prometheus_client import CollectorRegistry

from services.gateway.__main__ import DIALECTS
from services.gateway.admin import build_admin_app
from services.gateway.push.bayeux.protocol import HELD_S
from services.gateway.subject_desk import VERDICTS_PER_WAIT
from services.settings import Settings
from shared.contracts.limits import VCC_LIVE_ELEMENTS_MAX
from tests.deploy.checkers import DEPLOY

TEXT: Final = (DEPLOY / "haproxy.cfg").read_text()
IN_S: Final = {"s": 1, "m": 60, "h": 3600}


def timeout_s(name: str) -> int:
    (found,) = re.findall(rf"^ *timeout {name} (\d+)([smh])\b", TEXT, re.MULTILINE)
    return int(found[0]) * IN_S[found[1]]


def backend(name: str) -> str:
    return TEXT.partition(f"backend {name}\n")[2].partition("\n\n")[0]


async def ready() -> dict[str, str]:
    return {}


def test_it_asks_the_admin_port_for_what_is_there() -> None:
    (path,) = re.findall(r"option httpchk GET (\S+)", TEXT)
    served = build_admin_app(CollectorRegistry(), ready).router.resources()
    assert path in {resource.canonical for resource in served}
    assert set(re.findall(r"\d:(\d+) check port (\d+)", TEXT)) == {("8080", "8081")}


def test_every_notification_goes_by_its_credential_and_nothing_else_does() -> None:
    (prefix,) = re.findall(r"use_backend notifications if \{ path_beg (\S+) \}", TEXT)
    paths = {route.path for dialect in DIALECTS for route in dialect.routes}
    assert any(path == prefix for path in paths)
    assert all("notifications" in path for path in paths if path.startswith(prefix))
    assert all(path.startswith(prefix) for path in paths if "notifications" in path)
    assert "balance hdr(Authorization)" in backend("notifications")
    assert "Authorization" not in backend("gateways")


def test_both_have_the_same_gateways() -> None:
    servers = [re.findall(r"server .*", backend(name)) for name in ("gateways", "notifications")]
    assert servers[0] == servers[1]
    assert len(servers[0]) == 2


def test_it_waits_longer_than_the_longest_answer_takes() -> None:
    waits = 1 + VCC_LIVE_ELEMENTS_MAX // VERDICTS_PER_WAIT
    batch_s = waits * Settings.model_fields["verdict_timeout_s"].default
    for name in ("client", "server"):
        assert timeout_s(name) > max(HELD_S, batch_s)
    assert timeout_s("tunnel") > HELD_S
