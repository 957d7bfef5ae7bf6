"""What compose.yaml and the image say of one service, put to use outside of a container."""

import sys
from typing import Any, Final

from tests.deploy.checkers import DEPLOY, run
from tests.deploy.dockerfile import stages

FILE: Final = DEPLOY / "compose.yaml"
READY: Final = ":8081/"

Service = dict[str, Any]


def image_environment() -> dict[str, str]:
    """What the image sets."""
    *_, last = stages(DEPLOY / "Dockerfile").values()
    found: dict[str, str] = {}
    for step in last:
        if step.name == "ENV":
            found |= step.pairs
    return found


def look(service: Service, port: int) -> int:
    """The code of the health check, asked of this port."""
    kind, python, *words = service["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python")
    asked = [word.replace(READY, f":{port}/") for word in words]
    assert asked != words
    return run(sys.executable, *asked).returncode
