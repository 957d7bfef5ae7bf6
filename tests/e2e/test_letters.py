"""What nobody understands is listed by the service that runs, goes back, and is marked so."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from shared.adapters.clock import SystemClock
from shared.adapters.embedded import open_embedded
from shared.adapters.embedded.reading import read_contents
from shared.contracts.envelope import Message
from shared.contracts.topics import TELEPHONY_EVENTS, dead
from shared.runtime.letters import LetterRow
from tests.support.product import ROOT, Product

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio]

SHOWN_S: Final = 30.0  # at once by design; the machine may be busy


async def poison(data_dir: Path) -> None:
    """A writer that is no switch of ours."""
    embedded = await open_embedded(data_dir, SystemClock())
    await embedded.log.append([Message(TELEPHONY_EVENTS, "demo:one", (("x", b"y"),), b"what?")])
    await embedded.close()


async def letters(product: Product, wanted: Callable[[list[LetterRow]], bool]) -> list[LetterRow]:
    """The letters in the store, oldest first, once they are as wanted."""
    async with asyncio.timeout(SHOWN_S):
        while True:
            found = (await asyncio.to_thread(read_contents, product.data_dir)).letters
            found.sort(key=lambda letter: letter.at_ms)
            if wanted(found):
                return found
            await asyncio.sleep(0.1)


def typed(product: Product, *words: str) -> str:
    command = [sys.executable, "-m", "services.cli", *words, "--data-dir", str(product.data_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_a_letter_is_listed_goes_back_and_is_marked(tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    await poison(product.data_dir)
    async with product:
        (letter,) = await letters(product, lambda found: len(found) == 1)
        assert letter.place.startswith(f"{dead(TELEPHONY_EVENTS)}/")
        assert (letter.tenant, letter.topic) == ("demo", TELEPHONY_EVENTS)
        assert (letter.reason, letter.value) == ("bad_envelope", b"what?")
        assert letter.put_back_ms is None
        product.kill()  # what the store has need not be shown twice
        assert "1 put back" in typed(product, "dead-letters", "put-back", letter.place, "--yes")
        await product.start()
        first, again = await letters(product, lambda found: len(found) == 2)  # the receipt is older
        assert (first.place, first.put_back_ms is not None) == (letter.place, True)
        assert (again.put_back_ms, again.value, again.headers[0]) == (None, b"what?", ("x", b"y"))
        assert product.stop() == 0
        assert typed(product, "verify").endswith("\nclean\n")
