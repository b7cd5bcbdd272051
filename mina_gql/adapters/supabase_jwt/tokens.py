"""Reading a sign-in token: what must stand in it, and what it says of its bearer."""

import re
import time
from collections.abc import Callable, Iterable
from uuid import UUID

import jwt
import orjson

from mina_gql.adapters.supabase_jwt.keys import REFUSED, PublishedKeys, SecretKey
from mina_gql.domain.errors import Unauthenticated
from mina_gql.domain.passes import Login
from mina_gql.domain.ports import JsonObject, TokenVerifier

AUDIENCE = "authenticated"
TOKEN_CHARS = 8 * 1024
EMAIL_CHARS = 320

EXPIRY_LEEWAY = 10.0
"""Seconds a token counts after its `exp`: clocks differ, and a request takes a moment."""
START_LEEWAY = 30.0
"""Seconds `nbf` and `iat` may lie ahead: a token is used the moment it is made, and its maker's clock may run ahead of ours."""

NOT_SET_UP = "Sign-in is not set up here. Go on without signing in."
EXPIRED = "Your sign-in has expired. Sign in again."
EARLY = "This sign-in is not valid yet. Sign in again."

_YEAR_10000 = 253_402_300_800
_SOCIAL = frozenset({"google", "apple"})
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What the HTML standard takes for an address (`input type=email`), in lower case.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*")
_JWS = jwt.PyJWS()


class SupabaseTokens(TokenVerifier):
    """`domain.ports.TokenVerifier` for the tokens of `issuer`.

    The key is `secret` (legacy, HS256 only) or what stands at `jwks_url` (ES256 and RS256 only); with neither, every token is
    refused. `confirms_email`: the project confirms addresses before a password login. `now` is in seconds since 1970.
    Raises ValueError for both keys at once, and for a secret that is short or a public key.
    """

    def __init__(
        self,
        issuer: str,
        *,
        secret: bytes | None = None,
        jwks_url: str | None = None,
        confirms_email: bool = False,
        admin_emails: Iterable[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        if secret is not None and jwks_url is not None:
            raise ValueError("sign-in tokens are checked with a secret or with published keys, not with both")
        self._issuer = issuer
        self._keys: SecretKey | PublishedKeys | None = None
        if secret is not None:
            self._keys = SecretKey(secret)
        elif jwks_url is not None:
            self._keys = PublishedKeys(jwks_url, now)
        self._confirms_email = confirms_email
        self._admin_emails = frozenset(email.strip().lower() for email in admin_emails)
        self._now = now

    async def verify(self, token: str) -> Login | None:
        """What the token says, or None for an anonymous sign-in. Raises Unauthenticated for a token that does not hold."""
        if self._keys is None:
            raise Unauthenticated(NOT_SET_UP)
        algorithm, key_id = _read_header(token)
        claims = _read_claims(token, await self._keys.find(algorithm, key_id))
        user_id, expires_at = self._check(claims)
        return None if claims.get("is_anonymous") is True else self._login(claims, user_id, expires_at)

    def _check(self, claims: JsonObject) -> tuple[str, float]:
        """The `sub` and `exp` of claims that are ours and hold now (RFC 7519 section 4.1). Raises Unauthenticated."""
        audience, user_id = claims.get("aud"), claims.get("sub")
        ours = audience == AUDIENCE or (isinstance(audience, list) and AUDIENCE in audience)
        if not ours or claims.get("iss") != self._issuer or not isinstance(user_id, str) or not _UUID.fullmatch(user_id):
            raise Unauthenticated(REFUSED)
        expires_at, now = _time(claims, "exp"), self._now()
        if expires_at is None:
            raise Unauthenticated(REFUSED)
        if expires_at + EXPIRY_LEEWAY <= now:
            raise Unauthenticated(EXPIRED)
        if any((_time(claims, name) or 0) > now + START_LEEWAY for name in ("nbf", "iat")):
            raise Unauthenticated(EARLY)
        return user_id, expires_at

    def _login(self, claims: JsonObject, user_id: str, expires_at: float) -> Login:
        """What verified claims say. `user_metadata` is never read: the user writes it."""
        metadata = claims.get("app_metadata")
        app = metadata if isinstance(metadata, dict) else {}
        main = _texts([app.get("provider")])
        providers = main | _texts(app.get("providers"))
        methods = _methods(claims.get("amr"))
        social = providers & _SOCIAL if "oauth" in methods else frozenset()
        email = _address(claims.get("email"))
        method: str | None = None
        if email is not None and social:
            method = max(social & main or social)  # google, where both are linked and neither is the main one
        elif email is not None and self._proves_mailbox(providers, methods):
            method = "email"
        listed = method is not None and email in self._admin_emails
        return Login(
            user_id=user_id,
            email=email,
            email_verified=method is not None,
            google="google" in social,
            apple="apple" in social,
            method=method,
            admin=listed or app.get("role") == "admin" or "admin" in _texts(app.get("roles")),
            expires_at=expires_at,
        )

    def _proves_mailbox(self, providers: frozenset[str], methods: frozenset[str]) -> bool:
        """Whether the bearer has read a mail sent to the address.

        A one-time password may have gone to a telephone: `amr` does not tell, so it counts only for users without one.
        """
        if "email" not in providers:
            return False
        by_code = "otp" in methods and "phone" not in providers
        return by_code or "magiclink" in methods or ("password" in methods and self._confirms_email)


def sign_development_token(
    secret: bytes,
    issuer: str,
    *,
    sub: str,
    email: str | None,
    provider: str = "email",
    admin: bool = False,
    hours: float = 12,
) -> str:
    """A token like Supabase's for `mina token`: signed in by `oauth`, or with provider email by `otp`.

    Raises ValueError when `sub` is no UUID.
    """
    now = int(time.time())
    app: JsonObject = {"provider": provider, "providers": [provider]}
    claims: JsonObject = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": str(UUID(sub)),
        "iat": now,
        "exp": now + round(hours * 3600),
        "role": AUDIENCE,
        "is_anonymous": False,
        "app_metadata": {**app, "role": "admin"} if admin else app,
        "amr": [{"method": "otp" if provider == "email" else "oauth", "timestamp": now}],
    }
    return jwt.encode(claims if email is None else {**claims, "email": email}, secret, algorithm="HS256")


def _read_header(token: str) -> tuple[str, str | None]:
    """The algorithm and key id a token names: what the key is looked up by, never what it is checked with.

    `jku`, `x5u`, `jwk` and `x5c` are not read. Raises Unauthenticated.
    """
    if len(token) > TOKEN_CHARS or not _COMPACT.fullmatch(token):
        raise Unauthenticated(REFUSED)
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise Unauthenticated(REFUSED) from None
    algorithm = header.get("alg")
    # We know no extension, so one that must be understood refuses the token (RFC 7515 section 4.1.11).
    if not isinstance(algorithm, str) or "crit" in header or "b64" in header:
        raise Unauthenticated(REFUSED)
    return algorithm, header.get("kid")


def _read_claims(token: str, key: jwt.PyJWK) -> JsonObject:
    """The claims under a signature that the key's own algorithm confirms. Raises Unauthenticated."""
    try:
        claims = orjson.loads(_JWS.decode(token, key))
    except (jwt.PyJWTError, orjson.JSONDecodeError):
        raise Unauthenticated(REFUSED) from None
    if not isinstance(claims, dict):
        raise Unauthenticated(REFUSED)
    return claims


def _time(claims: JsonObject, name: str) -> float | None:
    """A time in seconds since 1970, or None where the claim is absent. Raises Unauthenticated for what is no time."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _YEAR_10000:
        raise Unauthenticated(REFUSED)
    return float(value)


def _texts(value: object) -> frozenset[str]:
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()


def _methods(amr: object) -> frozenset[str]:
    """How the bearer signed in: `amr` lists words, or objects with a `method`."""
    entries = amr if isinstance(amr, list) else []
    return _texts([entry.get("method") if isinstance(entry, dict) else entry for entry in entries])


def _address(value: object) -> str | None:
    # ASCII before lower-casing: letters of other scripts turn into ours (the Kelvin sign into k).
    if not isinstance(value, str) or not value.isascii():
        return None
    email = value.strip().lower()
    return email if len(email) <= EMAIL_CHARS and _EMAIL.fullmatch(email) else None
