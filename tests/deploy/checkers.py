"""The programs that check what is in deploy/: found, or the test says what is missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.parts import skip_or_fail

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
RUN_S: Final = 240.0


def checker(name: str, how: str) -> str:
    """The path of a program; without it the test is skipped, and with CI=true it fails.

    Args:
        name: of the program, beside this Python or anywhere on the path.
        how: where it comes from.
    """
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        skip_or_fail(f"no {name}: {how}")
    return found


def run(
    *command: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run to the end; the caller looks at the code."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S,
        cwd=cwd,
        env=env,
    )
