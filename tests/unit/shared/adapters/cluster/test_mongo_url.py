"""A URL that would be half ignored is refused, and nothing secret is repeated."""

from pathlib import Path

import pytest

from shared.adapters.cluster.mongo_client import Connection, MongoDriver
from shared.adapters.cluster.mongo_url import UrlRefused, check_options

SECRET = "hunter2"

# the end of a URL, what is said of it
REFUSED = [
    ("/?frobnicate=hunter2", "frobnicate is no option"),
    ("/mine?w=1;frobnicate=1", "frobnicate is no option"),
    ("/?replicaSet=rs0&tls=hunter2", "tls can't have this value"),
    ("/?timeoutMS=hunter2", "timeoutMS can't have this value"),
    ("/?tls=true&tlsCAFile=/nowhere", "tlsCAFile: No such file or directory"),
    ("/?frobnicate", "frobnicate can't have this value"),
]
TAKEN = ["", "/", "/mine", "/mine?", "/?replicaSet=rs0&w=majority&readConcernLevel=local"]


@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
@pytest.mark.parametrize(("rest", "said"), REFUSED)
def test_an_option_that_would_be_ignored_is_refused(scheme: str, rest: str, said: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        check_options(f"{scheme}://me:{SECRET}?odd={SECRET}@there{rest}")
    assert str(refused.value) == f"URL of MongoDB: {said}"


@pytest.mark.parametrize("rest", TAKEN)
def test_what_is_known_is_taken(rest: str) -> None:
    check_options(f"mongodb://me:{SECRET}@there:27017{rest}")


@pytest.mark.asyncio
@pytest.mark.parametrize("driver", ["motor", "pymongo"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mongodb://there/?frobnicate=1", "URL of MongoDB: frobnicate is no option"),
        ("mongodb://me:hunter2:x@there", "not a URL of MongoDB: InvalidURI"),
        ("mongodb://there/?tls=true&tlsCAFile={file}", "URL of MongoDB: TLS as it says can't be "),
    ],
)
async def test_no_client_is_made_of_it(
    url: str, said: str, driver: MongoDriver, tmp_path: Path
) -> None:
    file = tmp_path / "no.pem"
    file.write_text("no certificate")
    with pytest.raises(UrlRefused) as refused:
        Connection(url.format(file=file), driver)
    assert str(refused.value).startswith(said)
    assert SECRET not in str(refused.value)
