"""Headers (or a socket's `connection_init`) -> who speaks. Proving is `PassService.prove`'s work."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from starlette.requests import HTTPConnection

from mina_gql.api.admin_cookie import ADMIN_HEADER, AdminCookie
from mina_gql.domain import observing
from mina_gql.domain.errors import Unauthenticated
from mina_gql.domain.passes import Caller, Login, presented_pass_id
from mina_gql.domain.ports import TokenVerifier
from mina_gql.mega.customers import PassRow
from mina_gql.services.passes import PassService

PASS_HEADER = "x-mina-pass-id"  # noqa: S105 -- a name, not a password
SESSION_HEADER = "x-session-id"
USER_AGENT_CHARS = 500
_NO_TOKEN = {"", "null", "undefined"}


class Authenticator:
    """Finds out who speaks. `proxies` are the addresses whose X-Forwarded-For is believed."""

    def __init__(self, passes: PassService, tokens: TokenVerifier, proxies: tuple[str, ...], admins: AdminCookie) -> None:
        self._passes = passes
        self._tokens = tokens
        self._proxies = proxies
        self._admins = admins

    async def login(self, connection: HTTPConnection, params: Mapping[str, object] | None) -> Login | None:
        """What the token says, else an admin's session, or None where there is neither.

        Raises Unauthenticated: never a silent downgrade to anonymous.
        """
        token = bearer_token(_said(connection, params, "authorization") or "")
        if token is not None:
            return await self._tokens.verify(token)
        return await self._admins.login(connection, _said(connection, params, ADMIN_HEADER))

    async def caller(self, connection: HTTPConnection, params: Mapping[str, object] | None) -> tuple[Caller, PassRow | None]:
        """The caller of an operation, and the Pass they prove. `params` (a socket's) stand beside the headers and win."""
        login = await self.login(connection, params)
        presented = presented_pass_id(_said(connection, params, PASS_HEADER))
        owner = await self._passes.prove(presented, login)
        if owner is not None:
            observing.note(**{"pass": self._passes.log_name(owner)})
        caller = Caller(
            pass_id=owner.id if owner else None,
            address=client_address(connection, self._proxies),
            disabled=owner.disabled if owner else False,
            login=login,
            presented=presented,
            owner_tags=self._passes.owner_tags(owner) if owner else frozenset(),
            user_agent=connection.headers.get("user-agent", "")[:USER_AGENT_CHARS] or None,
            session_id=connection.headers.get(SESSION_HEADER),
        )
        return caller, owner


def _said(connection: HTTPConnection, params: Mapping[str, object] | None, name: str) -> str | None:
    for key, value in (params or {}).items():
        if key.lower() == name and isinstance(value, str):
            return value
    return connection.headers.get(name)


def bearer_token(authorization: str) -> str | None:
    """The token of an Authorization value. `Bearer null`, `undefined` and an empty one mean that there is none.

    Raises Unauthenticated for another scheme.
    """
    scheme, _, token = authorization.strip().partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer":
        raise Unauthenticated("Authorization must be `Bearer <token>`.")
    return None if token.strip() in _NO_TOKEN else token.strip()


def client_address(connection: HTTPConnection, proxies: tuple[str, ...]) -> str:
    """The client's address; `X-Forwarded-For` is believed from trusted proxies only, read from the right."""
    address = connection.client.host if connection.client else "unknown"
    # Some proxies join what came, others add a header of their own below it: all of them are one list (RFC 9110 section 5.3).
    sent = ",".join(connection.headers.getlist("x-forwarded-for"))
    hops = [hop.strip() for hop in sent.split(",") if hop.strip()]
    while hops and _trusted(address, proxies):
        address = hops.pop()
    return address


def _trusted(address: str, proxies: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(address) in ip_network(proxy, strict=False) for proxy in proxies)
    except ValueError:
        return False
