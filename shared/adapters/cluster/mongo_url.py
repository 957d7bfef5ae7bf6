"""What a URL of MongoDB asks for, checked before a client is made.

The drivers warn of an option that they do not know, or of a value that they can't read, and then
go on without it: with `tls=yes` in clear text. Nothing that is said here repeats a value, for a
password may be one.
"""

from typing import Final

from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

from shared.contracts.errors import AftercallError

WHAT: Final = "URL of MongoDB: "
_UNKNOWN: Final = "Unknown option"  # so the driver begins to say


class UrlRefused(AftercallError):
    """It is no URL of MongoDB, or asks for what can't be had: a person has to look."""


def check_options(url: str) -> None:
    """See that every option of a URL is known, and has a value that it may have.

    Raises:
        UrlRefused: one is not, or names a file that can't be read.
    """
    _, _, query = url.rpartition("@")[2].partition("?")
    for option in query.replace(";", "&").split("&"):
        if option:
            _check(option)


def _check(option: str) -> None:
    name = option.partition("=")[0]
    try:
        split_options(option, validate=True, warn=False)
    except OSError as error:
        raise UrlRefused(f"{WHAT}{name}: {error.strerror or error}") from None
    except (PyMongoError, ValueError) as error:
        known = not str(error).startswith(_UNKNOWN)
        wrong = "can't have this value" if known else "is no option"
        raise UrlRefused(f"{WHAT}{name} {wrong}") from None
