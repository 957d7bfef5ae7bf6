"""A build stage of the Dockerfile, done in a folder that stands for the root of its image."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.deploy.checkers import ROOT, run
from tests.deploy.dockerfile import Stage

OURS: Final = re.compile(r"(?<![\w.])/(?=(?:src|wheels|backend|opt/aftercall)\b)")
NOBODY: Final = 10001


def replay(stage: Stage, root: Path) -> None:
    """Run what the stage runs, in order, with this Python for the image's.

    An instruction that is not known here is a KeyError: then this is no replay any more.
    """
    cwd = root
    env = {k: v for k, v in os.environ.items() if not k.startswith("AFTERCALL_")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    for step in stage[1:]:
        match step.name:
            case "ENV":
                env |= step.pairs
                env.pop("PIP_NO_CACHE_DIR", None)  # a layer needs no cache; tests are glad of one
            case "WORKDIR":
                cwd = Path(OURS.sub(f"{root}/", step.value))
                cwd.mkdir(parents=True)
            case "COPY":
                *sources, target = step.words
                _copy(sources, cwd, target)
            case "RUN":
                ran = run("sh", "-c", OURS.sub(f"{root}/", step.value), cwd=cwd, env=env)
                assert ran.returncode == 0, f"{step.value}\n{ran.stdout}{ran.stderr}"
            case _:
                raise KeyError(step.name)


def _copy(sources: Sequence[str], cwd: Path, target: str) -> None:
    for name in sources:
        source = ROOT / name
        to = cwd / target / source.name if target.endswith("/") else cwd / target
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to)


def as_nobody(
    command: Sequence[object], *, cwd: Path, env: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start it as the image's user where that can be, and without leave to write a file.

    The limit of a file's size is 0: whatever is written to a file, fails. Pipes and sockets know
    no such limit. The user is changed by root alone, and where all may reach this Python.
    """
    limited = ["sh", "-c", 'ulimit -f 0 && exec "$@"', "sh", *map(str, command)]
    reached = all(p.stat().st_mode & 0o001 for p in Path(sys.executable).resolve().parents)
    nobody = NOBODY if os.getuid() == 0 and reached else None
    return subprocess.Popen(
        limited,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        user=nobody,
        group=nobody,
        extra_groups=None if nobody is None else [],
        cwd=cwd,
        env=env,
    )
