"""Bodies in and out: strict JSON, checked against a model, and the words of what is wrong."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from services.gateway.problems import Invalid
from services.gateway.route import JSON
from shared.contracts import limits
from shared.contracts.errors import Refused
from shared.contracts.limits import IDEMPOTENCY_KEY_CHARS_MAX
from shared.contracts.values import parse_json

Model = TypeVar("Model", bound=BaseModel)

KEY_HEADER: Final = "Idempotency-Key"
FIELD_CHARS_MAX: Final = 200
ERRORS_MAX: Final = 32

_key_matches: Final = re.compile(rf"[\x20-\x7e]{{1,{IDEMPOTENCY_KEY_CHARS_MAX}}}").fullmatch


async def read_json(request: web.Request) -> Any:
    """The JSON of the request's body.

    Raises:
        Refused: `unsupported_media_type`, `malformed_json`, `too_slow`.
        HTTPRequestEntityTooLarge: over the limit.
    """
    if request.content_type != JSON:
        raise Refused("unsupported_media_type", f"send {JSON}")
    return strict_json(await receive(request))


async def receive(request: web.Request) -> bytes:
    """The request's body, which has only so long to arrive.

    Raises:
        Refused: `too_slow`.
        HTTPRequestEntityTooLarge: over the limit.
    """
    announced = request.content_length or 0
    if announced > request.client_max_size:  # not waited for
        raise web.HTTPRequestEntityTooLarge(request.client_max_size, announced)
    if request.content.is_eof():  # it came with the head, as small ones do
        return await request.read()
    try:
        async with asyncio.timeout(limits.BODY_RECEIPT_S):
            return await request.read()
    except TimeoutError:
        seconds = limits.BODY_RECEIPT_S
        raise Refused("too_slow", f"the body was not there in {seconds} s") from None


def strict_json(body: bytes) -> Any:
    """`parse_json`, refusing as a problem.

    Raises:
        Refused: `malformed_json`.
    """
    try:
        return parse_json(body)
    except ValueError as error:
        raise Refused("malformed_json", str(error)) from None


def checked(model: type[Model], value: Any) -> Model:
    """The value as the model knows it.

    Raises:
        Invalid: with every field that breaks its rule; never with the values themselves.
    """
    try:
        return model.model_validate(value, strict=True)
    except ValidationError as error:
        raise Invalid(
            "the body breaks its shape",
            [
                {"field": ".".join(map(str, row["loc"]))[:FIELD_CHARS_MAX], "detail": row["msg"]}
                for row in error.errors(include_url=False, include_input=False)[:ERRORS_MAX]
            ],
        ) from None


def answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=orjson.dumps(value), status=status, content_type=JSON, headers=headers)


def idempotency_key(request: web.Request) -> str | None:
    """The client's own key of this request, if it sent one.

    Raises:
        Invalid: more than one, or not 1 to 255 printable ASCII characters.
    """
    return checked_key(request.headers.getall(KEY_HEADER, ()))


def checked_key(keys: Sequence[str]) -> str | None:
    """The same, of whatever stands in its place.

    Raises:
        Invalid: as `idempotency_key`.
    """
    if not keys:
        return None
    if len(keys) > 1 or _key_matches(keys[0]) is None:
        raise Invalid(
            f"Idempotency-Key: one, of 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters",
            [{"field": KEY_HEADER, "detail": "breaks its shape"}],
        )
    return keys[0]
