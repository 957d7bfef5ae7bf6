"""Netstrings, `5:hello,`, out of a stream that comes in pieces of any size. No I/O.

Source: D. J. Bernstein, "Netstrings", 1997; what Kamailio's evapi frames its messages with.
"""

from typing import Final

from shared.contracts.errors import Poison

NETSTRING_BYTES_MAX: Final = 64 * 1024
_DIGITS_MAX: Final = len(str(NETSTRING_BYTES_MAX))


class Netstrings:
    """Remembers the piece of a netstring that has come so far; never more than one at its limit."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> tuple[list[bytes], Poison | None]:
        """The netstrings that this chunk completes, and what is wrong behind them, if anything.

        After something was wrong nothing further can be told from that stream.
        """
        rest = self._rest + chunk
        found: list[bytes] = []
        try:
            while (end := _end_of_first(rest)) is not None:
                found.append(rest[rest.index(b":") + 1 : end])
                rest = rest[end + 1 :]
        except Poison as wrong:
            return found, wrong
        self._rest = rest
        return found, None


def _end_of_first(stream: bytes) -> int | None:
    """Where the comma of the first netstring stands; None while it is still to come."""
    digits, colon, _ = stream[: _DIGITS_MAX + 1].partition(b":")
    if digits and not digits.isdigit():
        raise Poison("bad_netstring", "a length is not a number")
    if not colon:
        if len(digits) > _DIGITS_MAX:
            raise Poison("bad_netstring", "a length has too many digits")
        return None
    if not digits or int(digits) > NETSTRING_BYTES_MAX:
        raise Poison("bad_netstring", f"a length is missing or over {NETSTRING_BYTES_MAX}")
    end = len(digits) + 1 + int(digits)
    if len(stream) <= end:
        return None
    if stream[end : end + 1] != b",":
        raise Poison("bad_netstring", "the comma behind a message is missing")
    return end
