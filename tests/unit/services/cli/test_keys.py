"""A fresh key opens its door once its line stands in the tenants file."""

import json
from pathlib import Path

import pytest
import yaml

from shared.adapters.tenants_file import FileTenantDirectory, read_tenants
from tests.unit.services.cli.typed import typed


@pytest.mark.parametrize(
    ("kind", "name"), [("bearer", None), ("basic", "acme"), ("zipteams", "acme-key")]
)
def test_the_printed_line_lets_the_printed_secret_in(
    kind: str, name: str | None, tmp_path: Path
) -> None:
    named = [] if name is None else ["--name", name]
    scopes = ["--scope", "disposition:write", "--scope", "read"]
    shown = typed("keys", "new", "--tenant", "acme", "--kind", kind, *named, *scopes)
    secret = shown.stdout.splitlines()[0].removeprefix("secret: ")
    line = shown.stdout.splitlines()[-1]
    path = tmp_path / "tenants.yaml"
    path.write_text(
        "tenants:\n  - id: acme\n    codes: [{code: Sale}]\n    credentials:\n" + line + "\n"
    )
    found = FileTenantDirectory(read_tenants(path)).find(kind, secret.encode(), name)
    assert found is not None
    assert found.credential.scopes == ("disposition:write", "read")
    assert found.tenant.id == "acme"


def test_a_secret_has_256_bits_is_shown_once_and_is_never_the_same() -> None:
    shown = [typed("keys", "new", "--tenant", "a", "--scope", "read").stdout for _ in range(20)]
    secrets = {text.splitlines()[0].removeprefix("secret: ") for text in shown}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {43}  # 32 bytes in base64
    assert all(text.count(text.splitlines()[0].removeprefix("secret: ")) == 1 for text in shown)


def test_programs_get_the_entry_as_json() -> None:
    line = ["keys", "new", "--tenant", "acme", "--scope", "read", "--id", "crm", "--json"]
    shown = json.loads(typed(*line).stdout)
    assert shown["tenant"] == "acme"
    assert shown["credential"]["id"] == "crm"
    assert shown["credential"]["scopes"] == ["read"]
    assert shown["secret"] not in yaml.safe_dump(shown["credential"])
