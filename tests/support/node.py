"""Node.js, for what the tests have from npm (tests/support/parts.sh)."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.parts import PartMissing

NODE_MIN: Final = 20


def node_for(packages: Path, what: str) -> str:
    """The interpreter, once these packages are there as well.

    Raises:
        PartMissing: one of them is not.
    """
    found = shutil.which("node")
    if found is None:
        raise PartMissing(f"no node: {what} is a program for Node.js")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    major = said.removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) < NODE_MIN:
        raise PartMissing(f"node is {said.strip()}: {what} needs {NODE_MIN}")
    if not (packages / "made-of.json").is_file():
        raise PartMissing(f"{what} is missing: run tests/support/parts.sh")
    return found
