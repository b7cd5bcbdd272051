"""A JWKS endpoint, a clock, and a verifier that reads both."""

from collections.abc import AsyncIterator

import pytest

from mina_gql.adapters.supabase_jwt import SupabaseTokens
from tests.adapters.supabase_jwt.jwks_server import JwksServer
from tests.adapters.supabase_jwt.sign_ins import ELLIPTIC, ISSUER, Clock, public_jwk


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[JwksServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with JwksServer() as server:
        server.publish(public_jwk(ELLIPTIC, alg="ES256", key_ops=["verify"], ext=True))
        yield server


@pytest.fixture
def tokens(server: JwksServer, clock: Clock) -> SupabaseTokens:
    return SupabaseTokens(ISSUER, jwks_url=server.url, now=clock)
