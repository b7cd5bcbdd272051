"""Sign-in tokens for tests: good ones, ones put together by hand, and the keys they are signed with."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from mina_gql.adapters.supabase_jwt import SupabaseTokens
from mina_gql.domain.errors import Unauthenticated
from mina_gql.domain.passes import Login

ISSUER = "https://project.supabase.example/auth/v1"
SECRET = b"a secret of the tests, 32 bytes or more"
SUB = "0b9c1f0e-5a53-4d0e-9d6c-3f1f6c1d2e3f"
NOW = 1_800_000_000
MINUTE = 60

ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
OTHER_ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["google", "oauth", "admin", SUB]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
"""Whatever may stand where something else should."""


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; a change to `...` removes one."""
    good = {"iss": ISSUER, "aud": "authenticated", "sub": SUB, "iat": NOW, "exp": NOW + 3600, **changes}
    return {name: value for name, value in good.items() if value is not ...}


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: dict[str, Any], payload: Any, secret: bytes = b"") -> str:
    """A token put together by hand: PyJWT would not sign with a public key, or write odd JSON."""
    signed = f"{segment(header)}.{segment(payload)}"
    return f"{signed}.{segment(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def legacy(payload: Any = None, **header: Any) -> str:
    """A token signed with the legacy secret."""
    return forged({"alg": "HS256", "typ": "JWT", **header}, claims() if payload is None else payload, SECRET)


def signed(private: Any = ELLIPTIC, kid: str | None = "one", algorithm: str = "ES256", **changes: Any) -> str:
    header = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), private, algorithm=algorithm, headers=header)


def public_jwk(private: Any, **members: Any) -> dict[str, Any]:
    kind = RSAAlgorithm if isinstance(private, rsa.RSAPrivateKey) else ECAlgorithm
    return {**kind.to_jwk(private.public_key(), as_dict=True), "kid": "one", "use": "sig", **members}


def legacy_tokens(**options: Any) -> SupabaseTokens:
    return SupabaseTokens(ISSUER, secret=SECRET, now=Clock(), **options)


async def login(tokens: SupabaseTokens, token: str) -> Login:
    found = await tokens.verify(token)
    assert found is not None
    return found


async def refusal(tokens: SupabaseTokens, token: str) -> str:
    """The message of a refusal, which tells nothing of the token."""
    with pytest.raises(Unauthenticated) as refused:
        await tokens.verify(token)
    message = str(refused.value)
    assert SUB not in message
    assert not any(part in message for part in token.split(".") if len(part) > 8)
    return message
