"""Chromium without a window: a page as it stands once its scripts have run."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.support.parts import PartMissing

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
SCRIPTS_MS: Final = 20_000  # of the page's own clock, which runs ahead while nothing happens
WITHIN_S: Final = 90.0


def chromium() -> str:
    """The browser.

    Raises:
        PartMissing: there is none.
    """
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise PartMissing("no Chromium: run tests/support/parts.sh")


def page(url: str, folder: Path) -> str:
    """The page's document as HTML. No host but loopback is found; `folder` is the browser's own."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses root otherwise
    done = subprocess.run(
        [
            *(chromium(), "--headless", "--disable-gpu", *sandbox),
            *(f"--user-data-dir={folder}", f"--virtual-time-budget={SCRIPTS_MS}"),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            *("--dump-dom", url),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=WITHIN_S,
    )
    return done.stdout
