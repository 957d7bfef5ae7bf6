"""Keys: made, listed, rotated, revoked. A secret is made here, and shown in one answer, once."""

import secrets
from hashlib import sha256
from typing import Any, Final

from aiohttp import web

from services.gateway.administration import changes
from services.gateway.administration.changes import Secret, Seen
from services.gateway.administration.models import (
    KeyBody,
    KeyView,
    NewKeyBody,
    RotateBody,
    SecretView,
)
from services.gateway.administration.models import Page as AnyPage
from services.gateway.administration.requests import (
    CHANGES,
    READS,
    changed,
    gone,
    newest,
    nothing,
    page,
    read,
    told,
)
from services.gateway.administration.tenants import PATH
from services.gateway.desk import Desk
from services.gateway.queries import CURSOR, LIMIT
from services.gateway.route import Body, Route
from shared.contracts.instants import to_wire_or_none
from shared.contracts.overlays import Overlay, keys_of
from shared.contracts.tenants import Credential

SECRET_BYTES: Final = 32
PREFIXES: Final = {"carecycle": "cc_"}  # by which the dialect knows its keys


class KeysPage(AnyPage):
    """One page of keys, by id."""

    rows: list[KeyView]  # type: ignore[assignment] # said more closely


def fresh_secret(kind: str) -> str:
    """A secret of 256 bits, in the shape of its kind."""
    return PREFIXES.get(kind, "") + secrets.token_urlsafe(SECRET_BYTES)


async def list_keys(request: web.Request, _: Desk) -> web.Response:
    """Every key, those revoked too; without secrets."""
    seen = await newest(request)
    now_ms = seen.now_ms
    rows = {key.id: view(key, now_ms) for key in keys_of(seen.base, seen.overlay)}
    return page(request, rows)


async def show_key(request: web.Request, _: Desk) -> web.Response:
    """One key, without its secret."""
    seen = await newest(request)
    return told(_shown(seen, request.match_info["id"]))


async def post_key(request: web.Request, _: Desk) -> web.Response:
    """Make a key."""
    body = await read(request, NewKeyBody)
    key_id = body.id or f"{body.kind}-{secrets.token_hex(4)}"
    key, secret = _fresh(key_id, body)
    _before, after = await changed(
        request, lambda seen: changes.make_key(seen, _at(key, seen)), f"key {key_id}"
    )
    return told({**_shown(after, key_id), "secret": secret}, made=True)


async def put_key(request: web.Request, _: Desk) -> web.Response:
    """Make a key of this id; or, where there is one, change what it may do, but not its secret."""
    body, key_id = await read(request, KeyBody), request.match_info["id"]
    key, secret = _fresh(key_id, body)

    def change(seen: Seen) -> Overlay:
        if changes.key_of(seen, key_id) is None:
            return changes.make_key(seen, _at(key, seen))
        return changes.change_key(seen, key_id, body.kind, body.name, tuple(body.scopes))

    before, after = await changed(request, change, f"key {key_id}")
    shown = _shown(after, key_id)
    if changes.key_of(before, key_id) is not None:
        return told(shown)
    return told({**shown, "secret": secret}, made=True)


async def rotate_key(request: web.Request, _: Desk) -> web.Response:
    """Give a key a fresh secret; the one so far stays good for as long as is asked."""
    body, key_id = await read(request, RotateBody), request.match_info["id"]
    made: list[str] = []

    def change(seen: Seen) -> Overlay:
        standing = changes.key_of(seen, key_id)
        made[:] = [fresh_secret("" if standing is None else standing.kind)]
        return changes.rotate_key(seen, key_id, _digest(made[0]), body.grace_s, body.ends)

    _before, after = await changed(request, change, f"key {key_id} rotated")
    return told({**_shown(after, key_id), "secret": made[0]})


async def delete_key(request: web.Request, _: Desk) -> web.Response:
    """Revoke a key."""
    key_id = request.match_info["id"]
    await changed(request, lambda seen: changes.revoke_key(seen, key_id), f"key {key_id} revoked")
    return gone()


def view(key: Credential, now_ms: int) -> dict[str, Any]:
    """A key as the routes show it."""
    two = key.older_until_ms is not None and key.older_until_ms > now_ms
    return {
        "id": key.id,
        "kind": key.kind,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": to_wire_or_none(key.created_ms),
        "older_until": to_wire_or_none(key.older_until_ms) if two else None,
        "revoked_at": to_wire_or_none(key.revoked_ms),
    }


def _fresh(key_id: str, body: KeyBody) -> tuple[Credential, str]:
    secret, name = fresh_secret(body.kind), body.name
    if body.kind == "zipteams" and name is None:
        name = f"zt_{secrets.token_hex(12)}"
    changes.check_name(body.kind, name)
    digest = _digest(secret).sha256
    scopes = tuple(dict.fromkeys(body.scopes))
    return Credential(id=key_id, sha256=digest, kind=body.kind, name=name, scopes=scopes), secret


def _at(key: Credential, seen: Seen) -> Credential:
    return Credential(
        id=key.id,
        sha256=key.sha256,
        kind=key.kind,
        name=key.name,
        scopes=key.scopes,
        created_ms=seen.now_ms,
    )


def _digest(secret: str) -> Secret:
    return Secret(sha256(secret.encode()).hexdigest())


def _shown(seen: Seen, key_id: str) -> dict[str, Any]:
    key = changes.key_of(seen, key_id)
    if key is None:
        raise nothing("key")
    return view(key, seen.now_ms)


_KEYS: Final = PATH + "/{tenant}/keys"
_KEY: Final = _KEYS + "/{id}"
ROUTES: Final = (
    Route(
        method="GET",
        path=_KEYS,
        handler=list_keys,
        operation_id="listKeys",
        summary="A tenant's keys, without their secrets",
        scope="admin",
        tag="keys",
        refuses=READS,
        parameters=(CURSOR, LIMIT),
        responses={200: Body("One page, by id", KeysPage)},
    ),
    Route(
        method="POST",
        path=_KEYS,
        handler=post_key,
        operation_id="makeKey",
        summary="Make a key; the answer alone shows its secret",
        scope="admin",
        tag="keys",
        refuses=CHANGES,
        request=NewKeyBody,
        responses={201: Body("The key with its secret", SecretView)},
    ),
    Route(
        method="GET",
        path=_KEY,
        handler=show_key,
        operation_id="showKey",
        summary="One key, without its secret",
        scope="admin",
        tag="keys",
        refuses=READS,
        responses={200: Body("The key", KeyView)},
    ),
    Route(
        method="PUT",
        path=_KEY,
        handler=put_key,
        operation_id="putKey",
        summary="Make a key of this id, or change what one may do",
        scope="admin",
        tag="keys",
        refuses=CHANGES,
        request=KeyBody,
        responses={
            200: Body("The key as it is now", KeyView),
            201: Body("The new key with its secret", SecretView),
        },
    ),
    Route(
        method="POST",
        path=_KEY + "/rotate",
        handler=rotate_key,
        operation_id="rotateKey",
        summary="Give a key a fresh secret; the one so far stays good for a while",
        scope="admin",
        tag="keys",
        refuses=CHANGES,
        request=RotateBody,
        may_be_empty=True,
        responses={200: Body("The key with its fresh secret", SecretView)},
    ),
    Route(
        method="DELETE",
        path=_KEY,
        handler=delete_key,
        operation_id="revokeKey",
        summary="Revoke a key for good",
        scope="admin",
        tag="keys",
        refuses=CHANGES,
        responses={204: Body("It opens nothing", media_type=None)},
    ),
)
