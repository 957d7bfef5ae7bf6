"""Who asks: by the token in `Authorization`, or by `apiKey` where the account says Basic Auth.

Every row here says the same whether a tenant, a user or a token is unknown. The one thing told
before a credential is checked is which of the two ways an account has chosen, as on the page.
"""

from dataclasses import dataclass

from aiohttp import web

from services.gateway.desk import Desk
from services.gateway.dialects.exchange import secret_header
from services.gateway.dialects.ozonetel import answers, tokens
from services.gateway.dialects.ozonetel.answers import Stop
from services.gateway.dialects.ozonetel.fields import Fields, text
from shared.contracts.errors import Refused
from shared.contracts.tenants import Tenant

KIND = "ozonetel"  # of the credentials that open this door


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant, and who of it asks."""

    tenant: Tenant
    user_name: str

    def check_scope(self, scope: str) -> None:
        """Refuse what none of the user's keys is for.

        Raises:
            Refused: `forbidden`.
        """
        keys = (key for key in self.tenant.credentials if _is_key_of(key.kind, key.name, self))
        if not any(scope in key.scopes for key in keys):
            raise Refused("forbidden", f"the key lacks the scope {scope}")


async def authenticate(request: web.Request, body: Fields | Refused, desk: Desk) -> Account:
    """Whose request this is.

    Args:
        request: for its headers.
        body: its fields, or why they can't be read: told to nobody without a credential.
        desk: knows tenants and tokens.

    Raises:
        Stop: the row that says why not.
        Refused: the body.
        Unavailable: the store did not answer.
    """
    token, api_key = bearer(request), secret_header(request, "apiKey")
    user_name = "" if isinstance(body, Refused) else text(body, "userName") or ""
    owner = tokens.owner_of(token)
    tenant = None if owner is None else desk.tenants.get(owner.tenant_id)
    if _chose_basic(tenant, user_name, api_key, desk):
        return _by_api_key(api_key, body, desk)
    if not token:
        raise Stop(answers.TOKEN_NEEDED)
    if owner is None or tenant is None or not has_user(tenant, owner.user_name):
        raise Stop(answers.TOKEN_INVALID)
    match await tokens.standing(desk.store, owner, token, desk.clock.now_ms()):
        case tokens.Standing.INVALID:
            raise Stop(answers.TOKEN_INVALID)
        case tokens.Standing.EXPIRED:
            raise Stop(answers.TOKEN_EXPIRED)
        case tokens.Standing.CURRENT:
            pass
    if _user_name(body) != owner.user_name:
        raise Stop(answers.USER_INVALID)
    return Account(tenant, owner.user_name)


def bearer(request: web.Request) -> bytes:
    """The token, or nothing."""
    scheme, _, token = secret_header(request, "Authorization").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def has_user(tenant: Tenant, user_name: str) -> bool:
    """Whether the tenant has this user; a key taken away takes the user's token with it."""
    account = Account(tenant, user_name)
    return any(_is_key_of(key.kind, key.name, account) for key in tenant.credentials)


def _is_key_of(kind: str, name: str | None, account: Account) -> bool:
    return kind == KIND and name == account.user_name


def _chose_basic(tenant: Tenant | None, user_name: str, api_key: bytes, desk: Desk) -> bool:
    """Whether the account's setting is Basic Auth; found by its token, else by its user name."""
    if tenant is not None:
        return tenant.ozonetel_auth == "basic"
    candidates = [
        one
        for one in desk.tenants.all()
        if (has_user(one, user_name) if user_name else api_key and one.ozonetel_auth == "basic")
    ]
    return bool(candidates) and all(one.ozonetel_auth == "basic" for one in candidates)


def _user_name(body: Fields | Refused) -> str:
    if isinstance(body, Refused):
        raise body
    user_name = text(body, "userName")
    if not user_name:
        raise Stop(answers.USER_NAME_NEEDED)
    return user_name


def _by_api_key(api_key: bytes, body: Fields | Refused, desk: Desk) -> Account:
    if not api_key:
        raise Stop(answers.API_KEY_NEEDED)
    user_name = _user_name(body)
    found = desk.tenants.find(KIND, api_key, user_name)
    if found is None or found.tenant.ozonetel_auth != "basic":
        raise Stop(answers.API_KEY_INVALID)
    return Account(found.tenant, user_name)
