"""Whether the settings of the cluster profile make sense; nothing is connected to."""

from collections.abc import Iterator
from typing import Final

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from services.settings import Settings, SettingsError
from shared.adapters.cluster.mongo_client import DATABASE
from shared.adapters.cluster.mongo_url import WHAT, UrlRefused, check_options

BY_NAME: Final = "mongodb+srv://"  # looked up in the DNS, so only a connection tells


def database(configured: Settings) -> str:
    """The database that is meant, where it can be told from the settings.

    Raises:
        SettingsError: it can't.
    """
    url = configured.mongo_url or ""
    try:
        check_options(url)
    except UrlRefused as error:
        said = str(error).removeprefix(WHAT)
        raise SettingsError(f"AFTERCALL_MONGO_URL: {said}") from None
    if url.startswith(BY_NAME):
        return url.removeprefix(BY_NAME).partition("/")[2].partition("?")[0] or DATABASE
    try:
        parsed = parse_uri(url, warn=False)
    except (PyMongoError, ValueError) as error:  # its text may hold a part of the password
        raise SettingsError(f"AFTERCALL_MONGO_URL is no URL: {type(error).__name__}") from None
    if parsed["options"].get("directConnection"):
        raise SettingsError(
            "AFTERCALL_MONGO_URL: directConnection asks one server alone, primary or not"
        )
    return parsed["database"] or DATABASE


def notes(configured: Settings) -> Iterator[str]:
    """What works, and may surprise."""
    if configured.topic_replication == 1:
        yield (
            "AFTERCALL_TOPIC_REPLICATION=1: one copy of every record; who loses the broker's disk "
            "loses what is on it. Three brokers and 3 copies survive one."
        )
