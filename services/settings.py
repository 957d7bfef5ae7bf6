"""Settings: the environment, and one TOML file below it. The one reader of both.

A misspelt name would silently mean the default; so a name that starts like ours and is not one of
ours stops the process, with the nearest that is.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shared.contracts.limits import WRAP_UP_S_MAX

PREFIX: Final = "AFTERCALL_"
CONFIG: Final = "AFTERCALL_CONFIG"
CONFIG_FILE: Final = "aftercall.toml"
ADMIN_KEY: Final = "AFTERCALL_ADMIN_KEY"  # of the command line alone: no service needs it
FOREIGN: Final = "AFTERCALL_TEST_"  # the test suite's own switches

PORT_MAX: Final = 65_535
MONGO_SCHEMES: Final = ("mongodb://", "mongodb+srv://")

Port = Annotated[int, Field(ge=0, le=PORT_MAX)]


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what it may be."""


class Settings(BaseSettings):
    """Every setting of the product. In the environment each is prefixed with `AFTERCALL_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        use_attribute_docstrings=True,
    )

    profile: Literal["embedded", "cluster"] = "embedded"
    """`embedded`: SQLite, one process. `cluster`: Kafka and MongoDB, three processes."""
    host: str = "127.0.0.1"
    """Where the gateway listens."""
    port: Port = 8080
    """0 takes a free one."""
    admin_port: Port | None = None
    """Metrics and health, never on the public port; port + 1 by default."""
    data_dir: Path = Path(".aftercall")
    """Embedded state; one process at a time."""
    kafka_bootstrap: str | None = None
    """Cluster profile."""
    mongo_url: Annotated[str | None, Field(repr=False)] = None
    """Cluster profile."""
    mongo_driver: Literal["motor", "pymongo"] = "motor"
    """Cluster profile."""
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    """Cluster profile: before every topic and group name, where several share a broker."""
    topic_partitions: Annotated[int, Field(ge=1, le=1024)] = 12
    """Cluster profile: of every topic, as `aftercall topics apply` makes them; fixed for life."""
    topic_replication: Annotated[int, Field(ge=1, le=9)] = 1
    """Cluster profile: copies of every record, as `aftercall topics apply` makes them."""
    instance: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = None
    """Cluster profile: the name of this process among those of its service. Under the same name a
    restart has its share back at once; two live processes must not have the same."""
    tenants_file: Path | None = None
    """Tenants, agents, codes and credentials as YAML. The demo's by default, but for the services
    of the cluster profile, which have none."""
    operator_sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$", repr=False)] = None
    """SHA-256, in hex, of the operator's key, which makes and removes tenants by admin routes.
    Without one nobody does."""
    allow_demo: bool = False
    """Serve demo tenants on a host that is not loopback; everybody knows their secrets."""
    demo_traffic: bool = True
    """Simulated calls of the demo tenant under `make run`."""
    demo_wrap_up_s: Annotated[int, Field(ge=0, le=WRAP_UP_S_MAX)] | None = None
    """Wrap-up time of demo tenants, in seconds; the tenants file's by default (30)."""
    verdict_timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """How long the gateway waits for a verdict."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged."""

    @field_validator("host")
    @classmethod
    def _name_a_host(cls, host: str) -> str:
        if not host.strip() or any(character.isspace() for character in host):
            raise ValueError("a host name or address")
        return host

    @field_validator("kafka_bootstrap")
    @classmethod
    def _name_brokers(cls, bootstrap: str | None) -> str | None:
        for address in [] if bootstrap is None else bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or "://" in host or not port.isdecimal() or not 1 <= int(port) <= PORT_MAX:
                raise ValueError(f"{address.strip()} is not host:port")
        return bootstrap

    @field_validator("mongo_url")
    @classmethod
    def _name_a_store(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(MONGO_SCHEMES):
            raise ValueError("begins with neither mongodb:// nor mongodb+srv://")  # and not shown
        return url

    @model_validator(mode="after")
    def _know_the_cluster(self) -> "Settings":
        if self.profile == "cluster" and not (self.kafka_bootstrap and self.mongo_url):
            raise ValueError(f"profile cluster needs {PREFIX}KAFKA_BOOTSTRAP and {PREFIX}MONGO_URL")
        return self

    @model_validator(mode="after")
    def _have_two_ports(self) -> "Settings":
        if self.port == PORT_MAX and self.admin_port is None:
            raise ValueError(
                f"{PREFIX}PORT is {PORT_MAX}, and no port is one higher: set {PREFIX}ADMIN_PORT"
            )
        if self.port == self.admin_port != 0:
            raise ValueError(
                f"{PREFIX}ADMIN_PORT is {self.port}, as {PREFIX}PORT: metrics and health need "
                "a port of their own"
            )
        return self

    @property
    def admin(self) -> int:
        """The admin port; 0 (any free one) beside a port that is free to choose."""
        if self.admin_port is not None:
            return self.admin_port
        return 0 if self.port == 0 else self.port + 1

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not one of our sources
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not one of our sources
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file; no dotenv, no secrets directory."""
        path = Path(os.environ.get(CONFIG) or CONFIG_FILE)
        toml = TomlConfigSettingsSource(settings_cls, toml_file=path)
        return init_settings, env_settings, toml


def read_settings(**given: object) -> Settings:
    """The settings of this process.

    Args:
        given: values that win over both sources: command-line options.

    Raises:
        SettingsError: a name is not known, or a value is not allowed.
    """
    _refuse_strangers(os.environ)
    named = os.environ.get(CONFIG)
    if named and not Path(named).is_file():
        raise SettingsError(f"{CONFIG}: there is no file {named}")
    try:
        return Settings(**given)  # type: ignore[arg-type] # names are checked by the model
    except ValidationError as error:
        raise SettingsError("; ".join(_sentences(error))) from None
    except ValueError as error:  # the file is not TOML
        raise SettingsError(f"{named or CONFIG_FILE}: {error}") from None


def _refuse_strangers(names: Iterable[str]) -> None:
    known = [CONFIG, ADMIN_KEY, *(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)]
    for name in sorted(names):
        if name.startswith(PREFIX) and not name.startswith(FOREIGN) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{name} is not a setting{hint}")


def _sentences(error: ValidationError) -> Iterable[str]:
    for row in error.errors(include_url=False, include_input=False):
        said = row["msg"].removeprefix("Value error, ")
        name = "_".join(map(str, row["loc"])).upper()
        if row["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name.lower(), Settings.model_fields, n=1)
            yield f"{name.lower()} is not a setting" + (
                f"; did you mean {near[0]}?" if near else ""
            )
        else:
            yield f"{PREFIX}{name}: {said}" if name else said
