"""The command line from outside: help, versions, one clear line for each mistake."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from services.cli import main
from services.cli.app import COMMANDS
from tests.support.product import DEMO_TENANTS
from tests.unit.services.cli.typed import typed

pytestmark = pytest.mark.slow

TENANTS = """
tenants:
  - id: acme
    codes: [{code: Sale}, {code: Folder, children: [{code: Lost}, {code: Won}]}]
    agents: [{agent_id: ann}, {agent_id: bob}]
    wrap_up: {seconds: 20, mode: mandatory}
    credentials:
      - {id: one, kind: bearer, sha256: %s, scopes: [read, admin]}
""" % ("ab" * 32)


@pytest.fixture
def tenants_file(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.yaml"
    path.write_text(TENANTS)
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_says_what_it_does(name: str) -> None:
    shown = typed(name, "--help")
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: aftercall {name}")


def test_help_lists_every_command() -> None:
    listed = typed("--help").output.partition("Commands:")[2]
    assert [line.split()[0] for line in listed.strip().splitlines()] == list(COMMANDS)


@pytest.mark.parametrize(
    "line", ["--version", "verify --version", "keys new --version", "doctor --json --version"]
)
def test_the_version_is_told_everywhere(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["aftercall", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"aftercall {version('aftercall')}\n"


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["--version"], {"typer", "rich", "aiohttp"}),
        *(
            ([*line.split(), "--help"], {"rich", "aiohttp", "aiokafka", "pymongo", "motor"})
            for line in (
                "verify",
                "doctor",
                "topics apply",
                "dead-letters put-back",
                "config check",
            )
        ),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_wanted(
    arguments: list[str], loaded: set[str]
) -> None:
    code = (
        "import sys, services.cli\n"
        f"sys.argv = ['aftercall', *{arguments!r}]\n"
        "try: services.cli.main()\n"
        f"finally: sys.stderr.write(' '.join({loaded!r} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == ""


def test_a_server_that_imports_the_package_does_not_import_typer() -> None:
    code = "import sys, services.cli, services.__main__; print('typer' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


AWAY = {
    "AFTERCALL_PROFILE": "cluster",
    "AFTERCALL_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "AFTERCALL_MONGO_URL": "mongodb://127.0.0.1:1/aftercall",
}
NAMED = AWAY | {"AFTERCALL_TENANTS_FILE": str(DEMO_TENANTS)}

# what was typed, with which settings, what is said on standard error
MISTAKES = [
    ("gateway", {}, "aftercall: gateway runs alone with AFTERCALL_PROFILE=cluster only; set"),
    ("callstate", {}, "aftercall: callstate runs alone with AFTERCALL_PROFILE=cluster only; set"),
    ("worker", {}, "aftercall: worker runs alone with AFTERCALL_PROFILE=cluster only; set"),
    ("topics apply", {}, "aftercall: topics apply needs the broker of the cluster profile; set"),
    ("topics list", {}, "aftercall: topics list needs the broker of the cluster profile; set"),
    ("topics list", AWAY, "aftercall: the broker at 127.0.0.1:1 did not answer: "),
    ("verify", AWAY, "aftercall: the broker at 127.0.0.1:1 did not answer: "),
    ("config show", {"AFTERCALL_PROT": "1"}, "aftercall: AFTERCALL_PROT is not a setting; did"),
    ("doctor", {"AFTERCALL_PORT": "many"}, "aftercall: AFTERCALL_PORT: "),
    ("verify --data-dir nowhere", {}, "aftercall: nothing is stored in nowhere; "),
    ("dead-letters list --data-dir nowhere", {}, "aftercall: nothing is stored in nowhere; "),
    ("tenants --tenants-file nowhere", {}, "aftercall: nowhere does not exist; "),
    ("keys list", {"AFTERCALL_TENANTS_FILE": "nowhere"}, "aftercall: nowhere does not exist; "),
    ("config check", AWAY, "aftercall: AFTERCALL_TENANTS_FILE is not set, and with AFTERCALL_PROF"),
    ("tenants", AWAY, "aftercall: AFTERCALL_TENANTS_FILE is not set, and with AFTERCALL_PROFILE=c"),
    ("keys list", AWAY, "aftercall: AFTERCALL_TENANTS_FILE is not set, and with AFTERCALL_PROFILE"),
    (
        "config check",
        {"AFTERCALL_TENANTS_FILE": "nowhere"},
        "aftercall: AFTERCALL_TENANTS_FILE nowhere: No such file or directory; ",
    ),
    (
        "config check",
        {"AFTERCALL_TENANTS_FILE": "/dev/null"},
        "aftercall: AFTERCALL_TENANTS_FILE /dev/null: Expected `object`, got `null`; ",
    ),
    (
        "config check",
        AWAY | {"AFTERCALL_KAFKA_BOOTSTRAP": "one:9092,two"},
        "aftercall: AFTERCALL_KAFKA_BOOTSTRAP: two is not host:port; ",
    ),
    (
        "config check",
        AWAY | {"AFTERCALL_KAFKA_BOOTSTRAP": "one:70000"},
        "aftercall: AFTERCALL_KAFKA_BOOTSTRAP: one:70000 is not host:port; ",
    ),
    (
        "worker",
        AWAY | {"AFTERCALL_KAFKA_BOOTSTRAP": "one:port"},
        "aftercall: AFTERCALL_KAFKA_BOOTSTRAP: one:port is not host:port; ",
    ),
    (
        "topics apply",
        AWAY | {"AFTERCALL_KAFKA_BOOTSTRAP": "kafka://one:9092"},
        "aftercall: AFTERCALL_KAFKA_BOOTSTRAP: kafka://one:9092 is not host:port; ",
    ),
    (
        "callstate",
        AWAY | {"AFTERCALL_MONGO_URL": "me:hunter2@there"},
        "aftercall: AFTERCALL_MONGO_URL: begins with neither mongodb:// nor mongodb+srv://; ",
    ),
    (
        "config check",
        NAMED | {"AFTERCALL_MONGO_URL": "mongodb://me:hun:ter2@there"},
        "aftercall: AFTERCALL_MONGO_URL is no URL: InvalidURI; ",
    ),
    (
        "config check",
        NAMED | {"AFTERCALL_MONGO_URL": "mongodb://there/?directConnection=true"},
        "aftercall: AFTERCALL_MONGO_URL: directConnection asks one server alone",
    ),
    (
        "config check",
        NAMED | {"AFTERCALL_MONGO_URL": "mongodb://there/?replicaSett=rs0"},
        "aftercall: AFTERCALL_MONGO_URL: replicaSett is no option; correct it, then check again",
    ),
    (
        "config check",
        NAMED | {"AFTERCALL_MONGO_URL": "mongodb+srv://there/?tls=yes"},
        "aftercall: AFTERCALL_MONGO_URL: tls can't have this value; correct it, th",
    ),
    (
        "config check",
        NAMED | {"AFTERCALL_MONGO_URL": "mongodb://there/?tls=true&tlsCAFile=nowhere.pem"},
        "aftercall: AFTERCALL_MONGO_URL: tlsCAFile: No such file or directory; cor",
    ),
    ("config check", {"AFTERCALL_PORT": "many"}, "aftercall: AFTERCALL_PORT: "),
    (
        "config check",
        {"AFTERCALL_PORT": "65535"},
        "aftercall: AFTERCALL_PORT is 65535, and no port",
    ),
    (
        "gateway",
        NAMED | {"AFTERCALL_PORT": "7070", "AFTERCALL_ADMIN_PORT": "7070"},
        "aftercall: AFTERCALL_ADMIN_PORT is 7070, as AFTERCALL_PORT: metrics and health need a por",
    ),
    ("dead-letters list", AWAY, "aftercall: the broker at 127.0.0.1:1 did not answer: "),
    ("dead-letters show a/0/1 --data-dir nowhere", {}, "aftercall: nothing is stored in nowhere;"),
    ("config check", {"AFTERCALL_HOST": "0.0.0.0"}, "aftercall: AFTERCALL_TENANTS_FILE "),
    ("keys new --tenant a --scope write", {}, "aftercall: scope write is not known; take one of"),
    ("keys new --tenant a --scope read --kind odd", {}, "aftercall: kind odd is not known; take"),
    ("dead-letters put-back", {}, "aftercall: it is not clear which letters; "),
    ("dead-letters put-back --all a/0/1", {}, "aftercall: it is not clear which letters; "),
]


@pytest.mark.parametrize(("line", "settings", "said"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_line_with_what_to_do(
    line: str, settings: dict[str, str], said: str
) -> None:
    ended = typed(*line.split(), **settings)
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(said)
    assert ended.stderr.count("\n") == 1


def test_a_command_that_does_not_exist_is_a_mistake() -> None:
    ended = typed("nope")
    assert ended.exit_code == 2
    assert "No such command 'nope'" in ended.stderr


def test_tenants_are_counted(tenants_file: Path) -> None:
    shown = typed("tenants", "--tenants-file", str(tenants_file), "--json")
    assert json.loads(shown.stdout) == [
        {
            "tenant": "acme",
            "name": "",
            "agents": 2,
            "codes": 3,
            "credentials": 1,
            "wrap_up_s": 20,
            "mode": "mandatory",
            "demo": False,
        }
    ]


def test_a_table_is_aligned_text_for_whoever_reads_it(tenants_file: Path) -> None:
    shown = typed("keys", "list", AFTERCALL_TENANTS_FILE=str(tenants_file))
    assert shown.stdout == (
        "tenant  id   kind    name  scopes\nacme    one  bearer  -     read, admin\n"
    )


def test_keys_are_listed_without_their_secrets_or_digests(tenants_file: Path) -> None:
    shown = typed("keys", "list", "--tenants-file", str(tenants_file), "--json")
    assert json.loads(shown.stdout) == [
        {
            "tenant": "acme",
            "id": "one",
            "kind": "bearer",
            "name": None,
            "scopes": ["read", "admin"],
        }
    ]


def test_settings_are_shown_with_where_they_differ_and_without_secrets() -> None:
    shown = typed(
        "config",
        "show",
        "--json",
        AFTERCALL_PORT="9000",
        AFTERCALL_MONGO_URL="mongodb://me:hunter2@there",
        AFTERCALL_ALLOW_DEMO="1",
    )
    rows = {row["name"]: row for row in json.loads(shown.stdout)}
    assert (rows["AFTERCALL_PORT"]["value"], rows["AFTERCALL_PORT"]["default"]) == ("9000", "8080")
    assert rows["AFTERCALL_MONGO_URL"]["value"] == "***"
    assert rows["AFTERCALL_ALLOW_DEMO"]["value"] == "1"
    assert "hunter2" not in shown.output
    assert all(row["meaning"] for row in rows.values())


def test_settings_that_make_sense_pass_the_check(tenants_file: Path) -> None:
    shown = typed("config", "check", AFTERCALL_TENANTS_FILE=str(tenants_file))
    assert (shown.exit_code, shown.stdout) == (0, "ok: profile embedded, 1 tenants\n")


# the store's URL, the database that is meant
DATABASES = [
    ("mongodb://one,two:27018/mine?replicaSet=rs0", "mine"),
    ("mongodb://me:hunter2@one/?replicaSet=rs0", "aftercall"),
    ("mongodb+srv://me:hunter2@cluster.example.com/mine?w=1", "mine"),
    ("mongodb+srv://cluster.example.com", "aftercall"),
]


@pytest.mark.parametrize(("url", "database"), DATABASES)
def test_settings_of_the_cluster_say_what_they_mean(
    url: str, database: str, tenants_file: Path
) -> None:
    settings = AWAY | {
        "AFTERCALL_MONGO_URL": url,
        "AFTERCALL_TENANTS_FILE": str(tenants_file),
        "AFTERCALL_TOPIC_PREFIX": "p.",
    }
    shown = typed("config", "check", **settings)
    assert shown.exit_code == 0, shown.stderr
    lines = shown.stdout.splitlines()
    meant = f"topics p.* with 12 partitions, database {database}"
    assert lines[0] == f"ok: profile cluster, 1 tenants, {meant}"
    assert lines[1].startswith("note: AFTERCALL_TOPIC_REPLICATION=1: one copy of every record")
    three = typed("config", "check", **settings, AFTERCALL_TOPIC_REPLICATION="3")
    assert len(three.stdout.splitlines()) == 1
    assert "hunter2" not in shown.output


def test_verify_says_clean_and_what_it_counted(data_dir: Path) -> None:
    shown = typed("verify", AFTERCALL_DATA_DIR=str(data_dir))
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[-1] == "clean"
    assert "outcomes             17 outcomes, 0 violations" in lines


def test_verify_tells_programs_the_same(data_dir: Path) -> None:
    shown = json.loads(typed("verify", "--data-dir", str(data_dir), "--json").stdout)
    assert shown["clean"] is True
    (missed,) = (check for check in shown["checks"] if check["name"] == "missed")
    assert (missed["violations"], missed["counted"]) == (0, 1)


def test_verify_shows_what_is_broken_and_fails(broken_dir: Path) -> None:
    shown = typed("verify", "--data-dir", str(broken_dir))
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    assert any(line.endswith("told records, 7 violations") for line in lines)
    assert any(line.startswith("envelopes: calls.changed/") for line in lines)
    assert any(line.startswith("calls refold: call demo:two changed 7 times") for line in lines)
    assert lines[-1].endswith(" violations")
    assert (
        json.loads(typed("verify", "--data-dir", str(broken_dir), "--json").stdout)["clean"]
        is False
    )


def test_a_check_does_not_send_anybody_to_itself() -> None:
    broken = typed("config", "check", AFTERCALL_PORT="many")
    assert broken.stderr.endswith("; correct it, then check again\n")
    assert typed("doctor", AFTERCALL_PORT="many").stderr.endswith(
        "; see `aftercall config check`\n"
    )


def test_help_says_that_all_in_one_process_runs_on_either_profile() -> None:
    assert "AFTERCALL_PROFILE" in typed("dev", "--help").stdout
