"""Our Dockerfile, read: stages and their instructions, and what `.dockerignore` lets through."""

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction of a stage, its lines joined and `${NAME}` of build arguments filled in."""

    name: str
    value: str

    @property
    def words(self) -> list[str]:
        return self.value.split()

    @property
    def command(self) -> list[str]:
        """Of the exec form; anything else is a ValueError."""
        read: list[str] = json.loads(self.value)
        return read

    @property
    def pairs(self) -> dict[str, str]:
        """Of ENV and LABEL."""
        found = re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S+))', self.value)
        return {name: quoted or bare for name, quoted, bare in found}


Stage = list[Instruction]


def stages(path: Path) -> dict[str, Stage]:
    """By name; the last one, which has none, under its image's."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    arguments: dict[str, str] = {}
    found: dict[str, Stage] = {}
    for line in lines:
        name, value = line.split(maxsplit=1)
        for argument, default in arguments.items():
            value = value.replace(f"${{{argument}}}", default)
        if name == "ARG":
            argument, _, default = value.partition("=")
            arguments[argument] = default
        elif name == "FROM":
            found[value.split()[-1]] = [Instruction(name, value)]
        else:
            list(found.values())[-1].append(Instruction(name, " ".join(value.split())))
    return found


def lets_through(ignored: Sequence[str], path: str) -> bool:
    """Whether `.dockerignore` leaves this file in the build's context: the last match decides."""
    through = True
    names = PurePosixPath(path).parts
    for line in ignored:
        pattern = line.removeprefix("!")
        if any(_matches(pattern, "/".join(names[:deep])) for deep in range(1, len(names) + 1)):
            through = line.startswith("!")
    return through


def _matches(pattern: str, path: str) -> bool:
    pieces = re.split(r"(\*\*/|\*)", pattern)
    known = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.fullmatch("".join(known.get(p, re.escape(p)) for p in pieces), path) is not None
