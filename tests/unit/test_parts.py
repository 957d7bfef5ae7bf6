"""What the tests stand on: ports that nobody else was given, and parts that die with the run."""

import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from typing_extensions import override

from tests.support.parts import Part
from tests.support.ports import HOST, Ports, free_port, free_ports


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


ASK_AND_STAY = """
from tests.support.ports import free_ports
print(*(port for _ in range(400) for port in free_ports(2)), flush=True)
input()
"""


def test_nor_by_two_processes_that_run_tests_at_the_same_time() -> None:
    with ExitStack() as stack:
        others = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", ASK_AND_STAY],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        given = [port for _ in range(400) for port in free_ports(2)]
        for other in others:
            assert other.stdout is not None
            given += map(int, other.stdout.readline().split())
        for other in others:  # whoever ends gives back what it had
            other.communicate("")
    assert len(given) == 3 * 400 * 2
    assert len(set(given)) == len(given)


def test_a_port_that_somebody_listens_on_is_given_to_nobody_and_neighbours_are_neighbours() -> None:
    ports = Ports()
    try:
        (first,) = ports.take(1)
        with socket.create_server((HOST, first + 2)):
            assert ports.take(2) == [first + 3, first + 4]
    finally:
        for claim in ports._claims:
            claim.close()


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
