"""The official AsyncAPI parser (Node.js): what it has to say of a document."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from tests.support.node import node_for

PACKAGES: Final = Path(__file__).parents[2] / ".cache" / "asyncapi"
PROGRAM: Final = Path(__file__).parent / "asyncapi" / "parse.mjs"
WITHIN_S: Final = 100.0
NEWER_EXISTS: Final = "asyncapi-latest-version"  # than 3.0, which more tools read


class Parsed(Struct, frozen=True):
    """What it made of one document.

    Attributes:
        said: each a complaint: `code`, `severity` (0: error), `message`, `path`.
        channels: their addresses; None of a document that it can't read.
    """

    said: tuple[dict[str, Any], ...]
    channels: tuple[str, ...] | None


def node() -> str:
    """The interpreter, once the parser is there as well.

    Raises:
        PartMissing: one of them is not.
    """
    return node_for(PACKAGES, "the AsyncAPI parser")


def parse(documents: Sequence[dict[str, Any]]) -> list[Parsed]:
    """Have each of them parsed."""
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    done = subprocess.run(
        [node(), str(PROGRAM), str(PACKAGES)],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
        timeout=WITHIN_S,
    )
    return [_parsed(**json.loads(line)) for line in done.stdout.splitlines()]


def _parsed(said: list[dict[str, Any]], channels: list[str] | None) -> Parsed:
    kept = tuple(one for one in said if one["code"] != NEWER_EXISTS)
    return Parsed(kept, None if channels is None else tuple(channels))
