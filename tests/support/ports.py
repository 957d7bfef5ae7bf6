"""Ports for what tests start: each is given once, whichever of the processes that run tests asks.

They are below those that the system takes for outgoing connections: while a part is down, no
client's own connection may sit on its port.
"""

import socket
from typing import Final

HOST: Final = "127.0.0.1"
LOWEST, HIGHEST = 15_000, 32_000
BLOCK: Final = 500


class Ports:
    """Ports in blocks of this process alone: it sits on the first of each as long as it runs."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._left = iter(range(0))

    def take(self, count: int) -> list[int]:
        """As many neighbours; they are free now, and given to nobody else."""
        found: list[int] = []
        while len(found) < count:
            port = next(self._left, None)
            if port is None:
                found, self._left = [], iter(self._claim())
            elif _is_free(port):
                found.append(port)
            else:
                found = []
        return found

    def _claim(self) -> range:
        for first in range(LOWEST, HIGHEST, BLOCK):
            claim = socket.socket()
            try:
                claim.bind((HOST, first))
            except OSError:
                claim.close()
                continue
            self._claims.append(claim)
            return range(first + 1, first + BLOCK)
        raise RuntimeError("no ports are left")


def _is_free(port: int) -> bool:
    with (
        socket.socket() as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        try:
            stream.bind((HOST, port))
            datagrams.bind((HOST, port))
        except OSError:
            return False
    return True


_PORTS: Final = Ports()


def free_ports(count: int) -> list[int]:
    """Neighbouring ports, see `Ports.take`."""
    return _PORTS.take(count)


def free_port() -> int:
    """A port for a service; its successor is free, too: the admin port is one higher."""
    return free_ports(2)[0]
