"""Settings: defaults, the environment over the file, and every misspelt name found."""

from pathlib import Path
from typing import Any

import pytest

from services.settings import Settings, SettingsError, read_settings


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONFIG", *Settings.model_fields):
        monkeypatch.delenv(f"AFTERCALL_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_those_of_the_contract() -> None:
    settings = read_settings()
    assert (settings.profile, settings.host, settings.port) == ("embedded", "127.0.0.1", 8080)
    assert (settings.admin, settings.data_dir) == (8081, Path(".aftercall"))
    assert (settings.mongo_driver, settings.verdict_timeout_s) == ("motor", 2.0)
    assert (settings.kafka_bootstrap, settings.mongo_url, settings.tenants_file) == (None,) * 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"port": 9000}, 9001),
        ({"port": 0}, 0),
        ({"port": 9000, "admin_port": 7000}, 7000),
        ({"port": 9000, "admin_port": 0}, 0),
        ({"port": 0, "admin_port": 0}, 0),
        ({"port": 65534}, 65535),
        ({"port": 65535, "admin_port": 65534}, 65534),
        ({"port": 65535, "admin_port": 0}, 0),
    ],
)
def test_the_admin_port_follows_the_port(given: dict[str, Any], expected: int) -> None:
    assert read_settings(**given).admin == expected


def test_the_environment_wins_over_the_file_and_options_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "aftercall.toml").write_text('port = 1\nhost = "::1"\nverdict_timeout_s = 9\n')
    monkeypatch.setenv("AFTERCALL_PORT", "2")
    monkeypatch.setenv("AFTERCALL_VERDICT_TIMEOUT_S", "3")
    settings = read_settings(verdict_timeout_s=4)
    assert (settings.host, settings.port, settings.verdict_timeout_s) == ("::1", 2, 4.0)


def test_a_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("port = 5\n")
    monkeypatch.setenv("AFTERCALL_CONFIG", str(path))
    assert read_settings().port == 5


def test_an_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFTERCALL_PORT", "")
    assert read_settings().port == 8080


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AFTERCALL_PROT", "1", "did you mean AFTERCALL_PORT?"),
        ("AFTERCALL_TENANT_FILE", "x", "did you mean AFTERCALL_TENANTS_FILE?"),
        ("AFTERCALL_port", "1", "AFTERCALL_port is not a setting"),
        ("AFTERCALL_", "1", "AFTERCALL_ is not a setting"),
        ("AFTERCALL_PORT", "x", "AFTERCALL_PORT: "),
        ("AFTERCALL_PORT", "65536", "AFTERCALL_PORT: "),
        ("AFTERCALL_PORT", "-1", "AFTERCALL_PORT: "),
        ("AFTERCALL_PORT", "65535", "no port is one higher: set AFTERCALL_ADMIN_PORT"),
        ("AFTERCALL_ADMIN_PORT", "8080", "AFTERCALL_ADMIN_PORT is 8080, as AFTERCALL_PORT: "),
        ("AFTERCALL_PROFILE", "cloud", "AFTERCALL_PROFILE: "),
        ("AFTERCALL_PROFILE", "cluster", "profile cluster needs AFTERCALL_KAFKA_BOOTSTRAP and "),
        ("AFTERCALL_HOST", "a b", "AFTERCALL_HOST: "),
        ("AFTERCALL_HOST", " ", "AFTERCALL_HOST: "),
        ("AFTERCALL_VERDICT_TIMEOUT_S", "0", "AFTERCALL_VERDICT_TIMEOUT_S: "),
        ("AFTERCALL_VERDICT_TIMEOUT_S", "nan", "AFTERCALL_VERDICT_TIMEOUT_S: "),
        ("AFTERCALL_DEMO_WRAP_UP_S", "86401", "AFTERCALL_DEMO_WRAP_UP_S: "),
        ("AFTERCALL_DEMO_TRAFFIC", "maybe", "AFTERCALL_DEMO_TRAFFIC: "),
        ("AFTERCALL_CONFIG", "gone.toml", "AFTERCALL_CONFIG: there is no file gone.toml"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        read_settings()
    assert told in str(error.value)
    assert "Value error" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "prot is not a setting; did you mean port?"),
        ("[gateway]\nport = 1", "gateway is not a setting"),
        ("port = ", "aftercall.toml: "),
        ('port = "x"', "AFTERCALL_PORT: "),
    ],
)
def test_a_wrong_line_of_the_file(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "aftercall.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        read_settings()
    assert told in str(error.value)


def test_the_secret_in_an_address_is_not_printed() -> None:
    assert "secret" not in repr(read_settings(mongo_url="mongodb://u:secret@host"))
