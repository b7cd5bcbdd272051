"""Promises of what must stand in a sign-in token, and of the development tokens that have it all."""

import json
from typing import Any
from uuid import UUID

import pytest

from mina_gql.adapters.supabase_jwt import SupabaseTokens, keys, sign_development_token
from tests.adapters.supabase_jwt.sign_ins import ISSUER, NOW, SECRET, SUB, claims, legacy, legacy_tokens, login, refusal

WRONG = {
    "no issuer": claims(iss=...),
    "other issuer": claims(iss="https://other.supabase.example/auth/v1"),
    "issuer with a slash": claims(iss=f"{ISSUER}/"),
    "issuer in capitals": claims(iss=ISSUER.upper()),
    "issuer in a list": claims(iss=[ISSUER]),
    "no audience": claims(aud=...),
    "null audience": claims(aud=None),
    "other audience": claims(aud="anon"),
    "longer audience": claims(aud="authenticated2"),
    "other audiences": claims(aud=["anon", ["authenticated"]]),
    "audience as a key": claims(aud={"authenticated": True}),
    "no subject": claims(sub=...),
    "empty subject": claims(sub=""),
    "subject in capitals": claims(sub=SUB.upper()),
    "subject in braces": claims(sub=f"{{{SUB}}}"),
    "subject without dashes": claims(sub=SUB.replace("-", "")),
    "subject with a newline": claims(sub=f"{SUB}\n"),
    "subject of other digits": claims(sub=SUB.replace("0", "٠")),
    "subject no UUID": claims(sub="pass:user:1"),
    "subject a number": claims(sub=1),
    "no expiry": claims(exp=...),
    "null expiry": claims(exp=None),
    "expiry as text": claims(exp=str(NOW + 3600)),
    "expiry true": claims(exp=True),
    "expiry a list": claims(exp=[NOW + 3600]),
    "expiry an object": claims(exp={}),
    "expiry not a number": claims(exp=float("nan")),
    "expiry infinite": claims(exp=float("inf")),
    "expiry negative": claims(exp=-1),
    "expiry huge": claims(exp=10**30),
    "expiry huge and fractional": claims(exp=1e300),
    "expiry after year 9999": claims(exp=253_402_300_800),
    "not before as text": claims(nbf=str(NOW)),
    "not before true": claims(nbf=True),
    "not before infinite": claims(nbf=float("inf")),
    "issued at a list": claims(iat=[]),
    "issued at null": claims(iat=None),
}


@pytest.mark.parametrize("payload", WRONG.values(), ids=WRONG.keys())
async def test_a_signed_token_with_wrong_claims_does_not_hold(payload: dict[str, Any]):
    assert await refusal(legacy_tokens(), legacy(payload)) == keys.REFUSED


@pytest.mark.parametrize("digits", ["1" * 400, "1" * 5000, "1e400", "-1e400"])
async def test_an_expiry_of_many_digits_does_not_hold(digits: str):
    payload = json.dumps(claims(exp="EXPIRY")).replace('"EXPIRY"', digits).encode()
    assert await refusal(legacy_tokens(), legacy(payload)) == keys.REFUSED


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        (claims(exp=NOW - 10), "expired"),
        (claims(exp=0), "expired"),
        (claims(exp=NOW - 3600, nbf=NOW + 3600), "expired"),
        (claims(nbf=NOW + 31), "not valid yet"),
        (claims(iat=NOW + 31), "not valid yet"),
    ],
)
async def test_a_token_counts_in_its_time_only(payload: dict[str, Any], word: str):
    assert word in await refusal(legacy_tokens(), legacy(payload))


@pytest.mark.parametrize("changes", [{"exp": NOW - 9}, {"nbf": NOW + 30, "iat": NOW + 30}, {"iat": ...}, {"exp": NOW + 0.5}])
async def test_clocks_may_differ_a_little(changes: dict[str, Any]):
    expected = changes.get("exp", NOW + 3600)
    assert (await login(legacy_tokens(), legacy(claims(**changes)))).expires_at == expected


# ---------------------------------------------------------------- development tokens


@pytest.mark.parametrize(
    ("provider", "method", "google", "apple"),
    [("google", "google", True, False), ("apple", "apple", False, True), ("email", "email", False, False)],
)
async def test_development_tokens_sign_in(provider: str, method: str, google: bool, apple: bool):
    token = sign_development_token(SECRET, ISSUER, sub=SUB.upper(), email="ada@example.com", provider=provider, admin=True)
    found = await login(SupabaseTokens(ISSUER, secret=SECRET), token)
    assert UUID(found.user_id) == UUID(SUB)
    assert (found.email, found.method, found.google, found.apple) == ("ada@example.com", method, google, apple)
    assert found.admin


async def test_a_development_token_may_lack_an_address_and_expires():
    found = await login(SupabaseTokens(ISSUER, secret=SECRET), sign_development_token(SECRET, ISSUER, sub=SUB, email=None))
    assert (found.email, found.email_verified, found.admin) == (None, False, False)
    old = sign_development_token(SECRET, ISSUER, sub=SUB, email=None, hours=-1)
    assert "expired" in await refusal(SupabaseTokens(ISSUER, secret=SECRET), old)
    with pytest.raises(ValueError, match="UUID"):
        sign_development_token(SECRET, ISSUER, sub="ada", email=None)
