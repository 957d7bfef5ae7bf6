"""Credentials of the native API: one bearer key, known by its digest; the tenant comes from it."""

from collections.abc import Sequence
from typing import Final

from services.gateway.route import Scope
from shared.contracts.errors import Refused
from shared.runtime.tenants import Found, TenantDirectory

SECRET_CHARS_MAX: Final = 512
NO_SUCH_KEY: Final = "no such key"
_NO_KEY: Final = "send one header: Authorization: Bearer <key>"


def authenticate(authorizations: Sequence[str], tenants: TenantDirectory, scope: Scope) -> Found:
    """Whose request this is, by its `Authorization` headers.

    Raises:
        Refused: `unauthorized` without exactly one good key, `forbidden` without the scope.
    """
    found = tenants.find("bearer", bearer_secret(authorizations))
    if found is None:
        raise Refused("unauthorized", NO_SUCH_KEY)
    if scope not in found.credential.scopes:
        raise Refused("forbidden", f"the key lacks the scope {scope}")
    return found


def bearer_secret(authorizations: Sequence[str]) -> bytes:
    """The key that the request came with, whosever it is.

    Raises:
        Refused: `unauthorized` without exactly one that could be a key.
    """
    if len(authorizations) != 1:
        raise Refused("unauthorized", _NO_KEY)
    scheme, _, secret = authorizations[0].partition(" ")
    secret = secret.strip(" ")
    if scheme.lower() != "bearer" or not 0 < len(secret) <= SECRET_CHARS_MAX:
        raise Refused("unauthorized", _NO_KEY)
    if not secret.isascii():
        raise Refused("unauthorized", NO_SUCH_KEY)
    return secret.encode("ascii")
