"""The `sources:` of a tenant in the tenants file: switches to connect to."""

from pathlib import Path

import pytest

from shared.adapters.tenants_file import read_tenants
from shared.contracts.tenants import Source


def read(tmp_path: Path, sources: str) -> tuple[Source, ...]:
    path = tmp_path / "tenants.yaml"
    path.write_text(
        f"tenants:\n  - id: acme\n    codes: [{{code: Sale}}]\n    sources: {sources}\n"
    )
    (tenant,) = read_tenants(path)
    return tenant.sources


def test_a_tenant_without_sources_has_none(tmp_path: Path) -> None:
    assert read(tmp_path, "[]") == ()


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    assert read(tmp_path, "[{kind: kamailio, host: sip, port: 8448}]") == (
        Source(host="sip", port=8448, kind="kamailio", name="kam", dialogs=None),
    )


def test_two_switches_need_two_names(tmp_path: Path) -> None:
    one = "{kind: kamailio, host: a, port: 1, dialogs: 'http://a:8449/dialogs', name: east}"
    assert [s.name for s in read(tmp_path, f"[{one}, {one.replace('east', 'west')}]")] == [
        "east",
        "west",
    ]
    with pytest.raises(ValueError, match="source east stands twice"):
        read(tmp_path, f"[{one}, {one}]")


@pytest.mark.parametrize(
    "wrong",
    [
        "kind: asterisk",
        "port: 0",
        "port: 65536",
        "name: 'with:colon'",
        "name: seventeen-letters",
        "name: ''",
        "dialogs: /run/kamailio.sock",
        "dialog: 'http://a/dialogs'",
    ],
)
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, wrong: str) -> None:
    fields = {"kind": "kamailio", "host": "sip", "port": "8448"}
    name, _, value = wrong.partition(": ")
    entry = ", ".join(f"{key}: {text}" for key, text in (fields | {name: value}).items())
    with pytest.raises(ValueError, match=r"tenants\[0\].sources\[0\]|\$\.tenants"):
        read(tmp_path, f"[{{{entry}}}]")
