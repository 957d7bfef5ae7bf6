"""What the tests stand on: ports that nobody else was given, and parts that die with the run."""

import threading
from pathlib import Path

import pytest
from typing_extensions import override

from tests.support.parts import Part, free_ports
from tests.support.product import free_port


class Sleeper(Part):
    @override
    def command(self) -> list[str]:
        return ["sleep", "60"]


def test_nobody_is_given_a_port_that_somebody_else_was_and_has_not_used_yet() -> None:
    given = [port for _ in range(20) for port in free_ports(2)]
    for _ in range(20):
        port = free_port()
        given += [port, port + 1]
    assert len(set(given)) == len(given)


def test_a_part_dies_with_the_thread_that_starts_it_so_only_the_main_one_may(
    tmp_path: Path,
) -> None:
    part = Sleeper("sleeper", tmp_path)
    told: list[Exception] = []

    def start() -> None:
        try:
            part.spawn()
        except RuntimeError as error:
            told.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    part.end()
    assert len(told) == 1
    with pytest.raises(AssertionError):
        part.freeze()  # none was started
    part.spawn()
    assert part.process is not None
    assert part.process.poll() is None
    part.end()
