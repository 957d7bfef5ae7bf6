"""The tenants file: the demo as documented, and each mistake told by its place."""

from hashlib import sha256
from pathlib import Path

import pytest

from shared.adapters.tenants_file import FileTenantDirectory, read_tenants, refuse_demo
from shared.contracts import limits
from shared.contracts.calls import WrapUpMode
from shared.contracts.tenants import RateLimits, Rates, Tenant

DEMO = Path(__file__).parents[4] / "deploy" / "demo" / "tenants.yaml"
DIGEST = sha256(b"key").hexdigest()

WHOLE = f"""
tenants:
  - id: centre
    wrap_up: {{ seconds: 0, mode: timeout_code, timeout_code: Sale }}
    agents: [{{ agent_id: a, user_id: 1, password_sha256: {DIGEST} }}]
    codes:
      - {{ code: Sale, id: 1 }}
      - {{ code: Folder, children: [{{ code: Later, id: 2, needs_callback: true }}] }}
    credentials: [{{ id: k, kind: bearer, sha256: {DIGEST}, scopes: [read] }}]
"""


def write(directory: Path, text: str) -> Path:
    path = directory / "tenants.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_demo_tenant_is_as_documented() -> None:
    (demo,) = read_tenants(DEMO)
    assert (demo.id, demo.demo, demo.disposition_key) == ("demo", True, "DispositionCode")
    assert [(agent.agent_id, agent.user_id) for agent in demo.agents] == [
        (f"agent-{n}", n) for n in range(1, 11)
    ]
    assert [(code.id, code.code) for code in demo.leaves()] == [
        (1, "Sale"),
        (2, "Interested"),
        (3, "NotInterested"),
        (4, "Callback"),
        (5, "WrongNumber"),
        (6, "DoNotCall"),
        (7, "Referred"),
    ]
    assert [code.code for code in demo.leaves() if code.needs_callback] == ["Callback"]
    assert demo.project_ids == ("17",)
    assert demo.campaign_ids == ("13f8bf6d-dc27-4a04-bffe-6e5b13c19ddf",)
    assert demo.wrap_up.seconds == 30


DOORS: list[tuple[str, bytes, str | None, tuple[str, ...]]] = [
    ("bearer", b"demo-key", None, ("disposition:write", "read")),
    ("bearer", b"demo-switch-key", None, ("events:write", "read")),
    ("bearer", b"demo-admin-key", None, ("admin", "read")),
    ("ozonetel", b"demo-key", "demo", ("disposition:write", "read")),
    ("basic", b"demo-key", "demo", ("disposition:write", "read")),
    ("carecycle", b"cc_demo_key", None, ("disposition:write", "read")),
    ("zipteams", b"demo-secret", "demo-key", ("disposition:write", "read")),
    ("genesys", b"demo", "agent-1", ("disposition:write", "read")),
    ("genesys", b"demo", "agent-10", ("disposition:write", "read")),
]


@pytest.mark.parametrize(("kind", "secret", "name", "scopes"), DOORS)
def test_each_demo_credential_opens_its_door(
    kind: str, secret: bytes, name: str | None, scopes: tuple[str, ...]
) -> None:
    directory = FileTenantDirectory(read_tenants(DEMO))
    found = directory.find(kind, secret, name)
    assert found is not None
    assert (found.tenant.id, found.credential.scopes) == ("demo", scopes)
    assert directory.find(kind, secret + b"x", name) is None
    assert directory.find(kind, secret, "somebody") is None
    assert directory.find("other", secret, name) is None


@pytest.mark.parametrize(
    "secret", [b"", b"\x00", b"\xff\xfe", "schlüssel".encode(), b"x" * 1_000_000]
)
def test_odd_secrets_open_nothing(secret: bytes) -> None:
    assert FileTenantDirectory(read_tenants(DEMO)).find("bearer", secret) is None
    assert FileTenantDirectory(read_tenants(DEMO)).find("bearer", b"demo-key", "\ud800") is None


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    directory = FileTenantDirectory(read_tenants(write(tmp_path, WHOLE)))
    (tenant,) = directory.all()
    assert directory.get("centre") is tenant
    assert directory.get("other") is None
    assert (tenant.wrap_up.mode, tenant.wrap_up.timeout_code) == (WrapUpMode.TIMEOUT_CODE, "Sale")
    assert tenant.wrap_up.disposition_key == tenant.disposition_key
    assert [code.code for code in tenant.leaves()] == ["Sale", "Later"]
    found = directory.find("bearer", b"key")
    assert found is not None
    assert found.credential.id == "k"


def test_a_project_may_have_a_time_zone_of_its_own(tmp_path: Path) -> None:
    zones = """id: centre
    time_zone: Europe/Berlin
    project_ids: ['17', '18']
    project_time_zones: {'17': Asia/Kolkata}"""
    (tenant,) = read_tenants(write(tmp_path, WHOLE.replace("id: centre", zones, 1)))
    assert [tenant.zone_of(one) for one in ("17", "18")] == ["Asia/Kolkata", "Europe/Berlin"]


def test_origins_of_toolbars_are_as_browsers_write_them(tmp_path: Path) -> None:
    listed = ["https://crm.example", "http://10.0.0.7:8080", "http://[::1]:3000"]
    origins = f"id: centre\n    toolbar_origins: {listed}"
    (tenant,) = read_tenants(write(tmp_path, WHOLE.replace("id: centre", origins, 1)))
    assert tenant.toolbar_origins == tuple(listed)


def test_rates_are_the_vendors_where_the_file_says_nothing_else(tmp_path: Path) -> None:
    said = """id: centre
    rate_limits:
      credential: { carecycle: 30, zipteams: null }
      tenant: { native: 6000 }"""
    (tenant,) = read_tenants(write(tmp_path, WHOLE.replace("id: centre", said, 1)))
    assert tenant.rate_limits == RateLimits(
        credential=Rates(carecycle=30, zipteams=None, ozonetel_tokens=10),
        tenant=Rates(native=6000),
    )
    (silent,) = read_tenants(write(tmp_path, WHOLE))
    assert silent.rate_limits == RateLimits(
        credential=Rates(carecycle=60, zipteams=120, ozonetel_tokens=10), tenant=Rates()
    )


def test_every_rate_there_is_can_be_set(tmp_path: Path) -> None:
    names = Rates.__struct_fields__
    rates = ", ".join(f"{name}: {limits.RATE_MAX}" for name in names)
    said = f"id: centre\n    rate_limits: {{ credential: {{ {rates} }}, tenant: {{ {rates} }} }}"
    (tenant,) = read_tenants(write(tmp_path, WHOLE.replace("id: centre", said, 1)))
    most = Rates(**dict.fromkeys(names, limits.RATE_MAX))
    assert tenant.rate_limits == RateLimits(credential=most, tenant=most)


ORIGIN = r"\$.tenants\[0\].toolbar_origins\[0\]"
MISTAKES: list[tuple[str, str, str]] = [
    ("id: centre", "id: centre\n    colour: red", r"unknown field `colour` - at `\$.tenants\[0\]`"),
    ("user_id: 1", "user: 1", r"unknown field `user` - at `\$.tenants\[0\].agents\[0\]`"),
    ("user_id: 1", "user_id: one", r"\$.tenants\[0\].agents\[0\].user_id"),
    ("seconds: 0", "seconds: -1", r"\$.tenants\[0\].wrap_up.seconds"),
    ("seconds: 0", "seconds: 86401", r"\$.tenants\[0\].wrap_up.seconds"),
    ("mode: timeout_code", "mode: sometimes", r"\$.tenants\[0\].wrap_up.mode"),
    ("mode: timeout_code", "mode: optional", "timeout_code belongs to mode timeout_code"),
    ("timeout_code: Sale", "timeout_code: Nope", "timeout_code is not in the catalogue"),
    ("timeout_code: Sale", "timeout_code: Folder", "timeout_code is not in the catalogue"),
    (", timeout_code: Sale", "", "timeout_code belongs to mode timeout_code"),
    ("id: 2", "id: 1", "tenant centre: code id 1 stands twice"),
    ("code: Later", "code: Sale", "tenant centre: code Sale stands twice"),
    ("id: centre", "id: 'a:b'", "not a tenant id"),
    ("id: centre", "id: ''", r"\$.tenants\[0\].id"),
    ("agent_id: a,", "agent_id: 'a b',", "agent a b: not an id"),
    ("scopes: [read]", "scopes: [write]", r"\$.tenants\[0\].credentials\[0\].scopes\[0\]"),
    ("kind: bearer", "kind: magic", r"\$.tenants\[0\].credentials\[0\].kind"),
    (f"sha256: {DIGEST}, scopes", "scopes", "credential k: a sha256 is missing"),
    (f"sha256: {DIGEST}, scopes", "secret: key, scopes", "belongs into a demo tenant"),
    (f"password_sha256: {DIGEST}", "password: key", "agent a: a secret in clear belongs"),
    (f" sha256: {DIGEST}", " sha256: abc", r"\$.tenants\[0\].credentials\[0\].sha256"),
    ("id: centre", "id: centre\n    time_zone: Mars/Olympus", "time_zone Mars/Olympus"),
    ("id: centre", "id: centre\n    time_zone: ../../etc/passwd", "time_zone ../../etc/passwd"),
    (
        "id: centre",
        "id: centre\n    project_ids: ['17']\n    project_time_zones: {'17': Mars/Olympus}",
        "project_time_zones Mars/Olympus is not known",
    ),
    (
        "id: centre",
        "id: centre\n    project_ids: ['17']\n    project_time_zones: {'18': UTC}",
        "18 is no project of it",
    ),
    *(
        ("id: centre", f"id: centre\n    toolbar_origins: ['{origin}']", ORIGIN)
        for origin in (
            *("*", "null", "", "https://", "https://crm.example/", "https://CRM.example"),
            *("crm.example", "ftp://crm.example", "https://crm.example:123456", "https://a@b"),
        )
    ),
    ("id: centre", "id: centre\n    project_ids: ['1/7']", "project_ids: 1/7: not an id"),
    ("id: centre", "id: centre\n    campaign_ids: [ok, 'a b']", "campaign_ids: a b: not an id"),
    ("id: centre", "id: centre\n    subtenant_ids: [é]", "subtenant_ids: é: not an id"),
    (
        "id: centre",
        "id: centre\n    rate_limits: { tenant: { zipteam: 1 } }",
        r"unknown field `zipteam` - at `\$.tenants\[0\].rate_limits.tenant`",
    ),
    (
        "id: centre",
        "id: centre\n    rate_limits: { zipteams: 1 }",
        r"unknown field `zipteams` - at `\$.tenants\[0\].rate_limits`",
    ),
    (
        "id: centre",
        "id: centre\n    rate_limits: { tenant: { native: 0 } }",
        r"\$.tenants\[0\].rate_limits.tenant.native",
    ),
    (
        "id: centre",
        f"id: centre\n    rate_limits: {{ credential: {{ native: {limits.RATE_MAX + 1} }} }}",
        r"\$.tenants\[0\].rate_limits.credential.native",
    ),
    ("id: centre", "id: centre\n    disposition_key: $set", "disposition_key"),
    ("id: centre", "id: centre\n    disposition_key: __proto__", "a key is empty, too long"),
    ("id: centre", "id: centre\n    id: again", "line 3: id stands twice"),
    ("tenants:", "x: 1\ntenants:", "unknown field `x`"),
    ("id: k", "id: [", "flow"),
    ("code: Sale, id: 1", "code: !!python/object:os.system Sale, id: 1", "python/object"),
]


@pytest.mark.parametrize(("before", "after", "told"), MISTAKES)
def test_a_mistake_is_told_by_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in WHOLE
    path = write(tmp_path, WHOLE.replace(before, after, 1))
    with pytest.raises(ValueError, match=told) as error:
        read_tenants(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("text", ["", "[]", "tenants: []", "tenants: {}", "a text", "\x00"])
def test_a_file_without_tenants_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"tenants\.yaml: "):
        read_tenants(write(tmp_path, text))


def test_tenants_twice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tenant centre stands twice"):
        read_tenants(write(tmp_path, WHOLE + WHOLE.replace("\ntenants:\n", "")))


def test_one_key_for_two_tenants_is_refused(tmp_path: Path) -> None:
    two = WHOLE + WHOLE.replace("\ntenants:\n", "").replace("centre", "other")
    with pytest.raises(ValueError, match="k of other opens the same door as k of centre"):
        FileTenantDirectory(read_tenants(write(tmp_path, two)))


def test_two_live_keys_of_one_tenant() -> None:
    (demo,) = read_tenants(DEMO)
    directory = FileTenantDirectory([demo])
    both = [directory.find("bearer", key) for key in (b"demo-key", b"demo-admin-key")]
    assert [found.credential.id for found in both if found] == ["native", "admin"]


def test_the_wrap_up_time_of_demo_tenants_can_be_set(tmp_path: Path) -> None:
    (demo,) = read_tenants(DEMO, demo_wrap_up_s=3)
    assert demo.wrap_up.seconds == 3
    (own,) = read_tenants(write(tmp_path, WHOLE), demo_wrap_up_s=3)
    assert own.wrap_up.seconds == 0


@pytest.mark.parametrize(
    ("host", "demo", "force", "served"),
    [
        ("127.0.0.1", True, False, True),
        ("127.0.0.2", True, False, True),
        ("::1", True, False, True),
        ("localhost", True, False, True),
        ("0.0.0.0", True, False, False),
        ("::", True, False, False),
        ("", True, False, False),
        ("10.0.0.1", True, False, False),
        ("127.evil.example", True, False, False),
        ("0.0.0.0", True, True, True),
        ("0.0.0.0", False, False, True),
    ],
)
def test_a_demo_is_served_on_loopback_only(
    host: str, *, demo: bool, force: bool, served: bool
) -> None:
    tenants = [Tenant(id="a"), Tenant(id="b", demo=demo)]
    if served:
        refuse_demo(tenants, host, force=force)
    else:
        with pytest.raises(ValueError, match="tenant b is a demo"):
            refuse_demo(tenants, host, force=force)
