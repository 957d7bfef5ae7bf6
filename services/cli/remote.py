"""The admin routes of a running service, asked over HTTP; whatever goes wrong is one line."""

import json
from collections.abc import Iterator
from http.client import HTTPException
from typing import Annotated, Any, Final, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import typer
from msgspec import Struct
from typing_extensions import override

from services.cli.output import stop

ANSWER_S: Final = 15.0  # a tenant that is made is waited for until every process knows it
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
PAGE: Final = 200
KEY_NAME: Final = "AFTERCALL_ADMIN_KEY"

Url = Annotated[
    str | None,
    typer.Option("--url", help="A gateway's admin port, such as http://127.0.0.1:8081."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar=KEY_NAME,
        help="A key with the scope admin, or the operator's; better in the environment.",
    ),
]


class _Stay(HTTPRedirectHandler):
    """Follows nobody: the key is for the address that was named."""

    @override
    def redirect_request(self, *_: Any) -> None:
        return None


class Remote(Struct, frozen=True):
    """A running service, and which of its admin routes are asked."""

    url: str
    key: str
    routes: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the route answers, None where it answers nothing; ends the command otherwise.

        Args:
            method: of HTTP.
            path: below those routes.
            body: sent as JSON.
        """
        data = None if body is None else json.dumps(body).encode()
        request = Request(  # noqa: S310 - the scheme was checked
            f"{self.url}/v1/admin/{self.routes}{path}",
            data=data,
            method=method,
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            with build_opener(_Stay).open(request, timeout=ANSWER_S) as answer:
                text = answer.read(ANSWER_BYTES_MAX)
            return json.loads(text) if text else None
        except HTTPError as error:
            _told(error)
        except (URLError, OSError, HTTPException) as error:
            said = error.reason if isinstance(error, URLError) else error
            stop(f"{self.url} did not answer: {said}", "name a gateway's admin port with --url")
        except ValueError:
            stop(f"{self.url} answers what is none of ours", "name a gateway's admin port")

    def rows(self, path: str, named: str = "rows") -> Iterator[dict[str, Any]]:
        """Every row of a list, page after page; a page has them by this name."""
        cursor: str | None = None
        while True:
            more = "" if cursor is None else f"&cursor={quote(cursor, safe='')}"
            page = self.ask("GET", f"{path}?limit={PAGE}{more}")
            yield from page[named]
            cursor = page.get("next")
            if cursor is None:
                return


def remote(url: str | None, key: str | None, routes: str = "tenants") -> Remote:
    """The service that was named; ends the command where something of it is missing."""
    if url is None:
        stop("this changes a running service", "name its admin port with --url")
    if not _is_url(url):
        stop(f"{url} is no URL of a service", "name its admin port, as http://127.0.0.1:8081")
    if key is None or not key.isascii() or not key.isprintable():
        stop("a key is missing, or is none", f"set {KEY_NAME}, or give --key")
    return Remote(url.rstrip("/"), key, routes)


def _is_url(text: str) -> bool:
    try:
        split = urlsplit(text)
    except ValueError:
        return False
    return split.scheme in ("http", "https") and bool(split.netloc) and text.isascii()


def part(text: str) -> str:
    """A part of a path, whatever it holds."""
    return quote(text, safe="")


def _told(error: HTTPError) -> NoReturn:
    """End the command with what a problem document says."""
    try:
        problem = json.loads(error.read(ANSWER_BYTES_MAX))
        detail = problem["detail"]
        places = [f"{one['field']}: {one['detail']}" for one in problem.get("errors", [])]
    except (ValueError, KeyError, TypeError):
        stop(f"it answers {error.code}", "name a gateway's admin port with --url")
    fix = {
        401: f"set {KEY_NAME} to a good key",
        403: "take a key that may",
        404: "see what there is with `list` or `show`",
        503: "try again",
    }.get(error.code, "correct it")
    stop("; ".join([detail, *places]), fix)
