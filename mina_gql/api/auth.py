"""Headers (or a socket's `connection_init`) -> who speaks. Proving is `PassService.prove`'s work."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from starlette.requests import HTTPConnection

from mina_gql.domain.errors import Unauthenticated
from mina_gql.domain.passes import Caller, presented_pass_id
from mina_gql.mega.customers import PassRow
from mina_gql.services.passes import PassService

PASS_HEADER = "x-mina-pass-id"  # noqa: S105 -- a name, not a password
SESSION_HEADER = "x-session-id"
_NO_TOKEN = {"", "null", "undefined"}


async def authenticate(
    connection: HTTPConnection, params: Mapping[str, object] | None, passes: PassService, proxies: tuple[str, ...]
) -> tuple[Caller, PassRow | None]:
    """The caller of an operation, and the Pass they prove. `params` (a socket's) stand beside the headers and win.

    Raises Unauthenticated for a token that does not hold: never a silent downgrade to anonymous.
    """
    said = {name.lower(): value for name, value in (params or {}).items() if isinstance(value, str)}
    if bearer_token(said.get("authorization", connection.headers.get("authorization", ""))) is not None:
        raise Unauthenticated("This token cannot be checked: sign-in is not set up on this server.")
    owner = await passes.prove(presented_pass_id(said.get(PASS_HEADER, connection.headers.get(PASS_HEADER))))
    return (
        Caller(
            pass_id=owner.id if owner else None,
            address=client_address(connection, proxies),
            disabled=owner.disabled if owner else False,
            user_agent=connection.headers.get("user-agent"),
            session_id=connection.headers.get(SESSION_HEADER),
        ),
        owner,
    )


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
    hops = [hop.strip() for hop in connection.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and _trusted(address, proxies):
        address = hops.pop()
    return address


def _trusted(address: str, proxies: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(address) in ip_network(proxy, strict=False) for proxy in proxies)
    except ValueError:
        return False
