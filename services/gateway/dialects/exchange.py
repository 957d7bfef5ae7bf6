"""What every dialect needs of HTTP beside the common bodies: one object in, secrets as bytes."""

from typing import Any, Final

from aiohttp import web

from services.gateway.bodies import read_json
from services.gateway.route import Parameter
from shared.contracts.errors import Refused

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
RETRY_SAFE: Final = Parameter(
    IDEMPOTENCY_KEY,
    "makes a retry safe: 1 to 255 printable ASCII characters",
    "header",
    {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
)
SECRET_BYTES_MAX: Final = 1024


async def read_object(request: web.Request) -> dict[str, Any]:
    """The request's JSON object.

    Content types other than JSON are refused rather than guessed: a browser sends a form or plain
    text to another site unasked, JSON it does not.

    Raises:
        Refused: `unsupported_media_type`, `malformed_json`.
        HTTPRequestEntityTooLarge: over the limit.
        RequestPayloadError: it ends early, or breaks its encoding.
    """
    value = await read_json(request)
    if not isinstance(value, dict):
        raise Refused("malformed_json", "the body is not a JSON object")
    return value


def secret_header(request: web.Request, name: str) -> bytes:
    """The bytes of a header that holds a secret; empty when absent, doubled or too long."""
    values = request.headers.getall(name, ())
    if len(values) != 1:
        return b""
    secret = values[0].strip().encode("utf-8", "surrogateescape")
    return secret if len(secret) <= SECRET_BYTES_MAX else b""
