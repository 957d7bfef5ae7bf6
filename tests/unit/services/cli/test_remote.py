"""Commands that change a running service: typed here, answered by its admin port."""

import asyncio
import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
import structlog
from typer.testing import Result

from tests.unit.services.cli.typed import typed
from tests.unit.services.gateway.administration.office import Office, open_office

ADMIN = "demo-admin-key"
OPERATOR = "the-operators-own-key"


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An admin port that answers on a thread of its own; it has its log elsewhere."""
    for module in ("edge", "administration.desk", "administration.letters"):
        monkeypatch.setattr(f"services.gateway.{module}.log", structlog.ReturnLogger())
    loop = asyncio.new_event_loop()
    opened: list[Office] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with open_office() as office:
            opened.append(office)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield opened[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def ask(office: Office, *line: str, key: str = ADMIN) -> Result:
    url = str(office.admin.make_url("/"))
    return typed(*line, "--url", url, AFTERCALL_ADMIN_KEY=key)


def asked(office: Office, *line: str, key: str = ADMIN) -> Any:
    shown = ask(office, *line, "--json", key=key)
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


def known(office: Office, secret: str) -> bool:
    return office.directory.find("bearer", secret.encode()) is not None


def test_a_key_is_made_listed_rotated_and_revoked(office: Office) -> None:
    made = asked(office, "keys", "new", "--tenant", "demo", "--scope", "read", "--id", "crm")
    assert known(office, made["secret"])
    of_key = ("--tenant", "demo", "--id", "crm")
    fresh = asked(office, "keys", "rotate", *of_key, "--grace-s", "60")
    assert known(office, made["secret"])
    again = ask(office, "keys", "rotate", *of_key)
    assert (again.exit_code, "two secrets are live" in again.stderr) == (2, True)
    last = asked(office, "keys", "rotate", *of_key, "--ends", "newer", "--grace-s", "0")
    assert [known(office, one["secret"]) for one in (made, fresh, last)] == [False, False, True]
    assert ask(office, "keys", "revoke", *of_key).exit_code == 0
    assert not known(office, last["secret"])
    listed = asked(office, "keys", "list")
    (row,) = [row for row in listed if row["id"] == "crm"]
    assert row["revoked_at"] is not None
    assert last["secret"] not in json.dumps(listed)


def test_a_person_sees_the_secret_once_and_until_when_the_old_one_is_good(office: Office) -> None:
    shown = ask(office, "keys", "rotate", "--tenant", "demo", "--id", "native")
    lines = shown.stdout.splitlines()
    assert known(office, lines[0].removeprefix("secret: "))
    assert "Key native, kind bearer." in lines[1]
    assert lines[2].startswith("The secret so far is good until ")


def test_a_tenant_is_made_filled_shown_and_removed(office: Office) -> None:
    made = ask(office, "tenants", "make", "acme", "--set", "name=Acme", key=OPERATOR)
    assert json.loads(made.stdout)["settings"]["name"] == "Acme"
    ask(office, "tenants", "put", "acme", "codes", "Sold/in full", "--set", "id=7", key=OPERATOR)
    rows = asked(office, "tenants", "show", "acme", "codes", key=OPERATOR)
    assert [(row["code"], row["id"]) for row in rows] == [("Sold/in full", 7)]
    ask(office, "tenants", "set", "acme", "--set", 'wrap_up={"seconds":45}', key=OPERATOR)
    listed = asked(office, "tenants", key=OPERATOR)
    assert (listed[0]["tenant"], listed[0]["wrap_up_s"]) == ("acme", 45)
    ask(office, "tenants", "drop", "acme", "codes", "Sold/in full", key=OPERATOR)
    assert asked(office, "tenants", "show", "acme", "codes", key=OPERATOR) == []
    assert ask(office, "tenants", "remove", "acme", key=OPERATOR).exit_code == 0
    assert office.directory.get("acme") is None


def test_lists_go_on_page_after_page(office: Office) -> None:
    for number in range(3):
        ask(office, "tenants", "put", "demo", "campaigns", f"c{number}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("services.cli.remote.PAGE", 2)
        rows = asked(office, "tenants", "show", "demo", "campaigns")
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ("keys list", "nobody", "no such key; set AFTERCALL_ADMIN_KEY"),
        ("keys list", "demo-key", "the key lacks the scope admin; "),
        ("tenants show acme codes", ADMIN, "no such tenant; "),
        ("tenants make acme", ADMIN, "no such tenant; "),
        ("tenants show demo keys", ADMIN, "keys is nothing of a tenant; "),
        ("tenants put demo codes Later --set id", ADMIN, "--set id has no value; "),
        ("tenants put demo codes Later --set id=many", ADMIN, "the body breaks its shape; id: "),
        ("keys new --tenant demo --scope root", ADMIN, "scope root is not known; "),
        ("keys list", "", "a key is missing, or is none; set AFTERCALL_ADMIN_KEY"),
        ("keys list", "ä", "a key is missing, or is none; set AFTERCALL_ADMIN_KEY"),
    ],
)
def test_what_goes_wrong_is_one_line(office: Office, line: str, key: str, said: str) -> None:
    shown = ask(office, *line.split(), key=key)
    assert shown.exit_code == 2
    assert shown.stderr.startswith(f"aftercall: {said}"), shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert office.unchanged


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1 did not answer: "),
        ("127.0.0.1:8081", "127.0.0.1:8081 is no URL of a service; "),
        ("file:///etc/passwd", "file:///etc/passwd is no URL of a service; "),
        ("http://[::1", "http://[::1 is no URL of a service; "),
    ],
)
def test_a_url_that_leads_nowhere(url: str, said: str) -> None:
    shown = typed("keys", "list", "--url", url, "--key", "some-key")
    assert (shown.exit_code, shown.stderr.startswith(f"aftercall: {said}")) == (2, True), (
        shown.stderr
    )


def test_the_public_port_is_told_from_the_admin_port(office: Office) -> None:
    url = str(office.client.make_url("/"))
    shown = typed("keys", "list", "--url", url, "--key", ADMIN)
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)


def test_rotating_needs_a_running_service() -> None:
    shown = typed("keys", "rotate", "--tenant", "demo", "--id", "native")
    assert shown.stderr.startswith("aftercall: this changes a running service; name its admin port")


def test_the_key_of_the_command_line_is_no_misspelt_setting() -> None:
    assert typed("config", "show", AFTERCALL_ADMIN_KEY="some-key").exit_code == 0


def test_an_operators_key_comes_with_its_setting() -> None:
    lines = typed("keys", "operator").stdout.splitlines()
    secret = lines[0].removeprefix("secret: ")
    assert lines[-1] == f"AFTERCALL_OPERATOR_SHA256={sha256(secret.encode()).hexdigest()}"
