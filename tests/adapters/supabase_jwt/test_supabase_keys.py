"""Promises of published keys: fetched seldom, rotated, chosen with care, and kept while their endpoint is in trouble."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from mina_gql.adapters.supabase_jwt import SupabaseTokens, keys
from mina_gql.domain.errors import Unauthenticated
from tests.adapters.supabase_jwt.jwks_server import JwksServer
from tests.adapters.supabase_jwt.sign_ins import (
    ELLIPTIC,
    ISSUER,
    JSON,
    MINUTE,
    NOW,
    OTHER_ELLIPTIC,
    RSA,
    SECRET,
    SUB,
    Clock,
    legacy,
    login,
    public_jwk,
    refusal,
    segment,
    signed,
)

WEAK_RSA = rsa.generate_private_key(65537, 1024)


async def test_published_keys_are_fetched_once(tokens: SupabaseTokens, server: JwksServer, clock: Clock):
    for _ in range(3):
        assert (await login(tokens, signed())).user_id == SUB
    clock.now += 10 * MINUTE - 1
    await login(tokens, signed())
    assert server.requests == ["GET /auth/v1/.well-known/jwks.json HTTP/1.1"]
    clock.now += 1
    await login(tokens, signed())
    assert len(server.requests) == 2


async def test_those_who_come_first_share_one_fetch(tokens: SupabaseTokens, server: JwksServer):
    server.gate.clear()
    waiting = [asyncio.create_task(login(tokens, signed())) for _ in range(50)]
    await server.asked.wait()
    waiting[0].cancel()  # one who hangs up does not take the fetch from the others
    server.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert [found.user_id for found in await asyncio.gather(*waiting[1:])] == [SUB] * 49
    assert len(server.requests) == 1


async def test_thousands_of_unknown_keys_cause_one_fetch_in_half_a_minute(
    tokens: SupabaseTokens, server: JwksServer, clock: Clock
):
    await login(tokens, signed())
    clock.now += 29
    _, payload, signature = signed().split(".")
    unknown = [f"{segment({'alg': 'ES256', 'kid': f'key-{i}'})}.{payload}.{signature}" for i in range(3000)]
    for token in unknown[:1000]:
        await refusal(tokens, token)
    assert len(server.requests) == 1
    clock.now += 1
    answers = await asyncio.gather(*(tokens.verify(token) for token in unknown), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unauthenticated}
    assert len(server.requests) == 2
    await login(tokens, signed())
    clock.now += 29
    await refusal(tokens, unknown[0])
    assert len(server.requests) == 2


async def test_keys_rotate(tokens: SupabaseTokens, server: JwksServer, clock: Clock):
    await login(tokens, signed())
    server.publish(public_jwk(OTHER_ELLIPTIC, kid="two"))
    clock.now += 30
    assert (await login(tokens, signed(OTHER_ELLIPTIC, "two"))).user_id == SUB
    assert "Sign in again" in await refusal(tokens, signed())  # the old key is gone
    await refusal(tokens, signed(ELLIPTIC, "two"))


async def test_a_withdrawn_key_counts_ten_minutes_longer_at_most(tokens: SupabaseTokens, server: JwksServer, clock: Clock):
    await login(tokens, signed())
    server.publish(public_jwk(OTHER_ELLIPTIC, kid="two"))
    clock.now += 10 * MINUTE
    assert "Sign in again" in await refusal(tokens, signed())


async def test_without_a_key_id_the_key_must_be_the_only_one(tokens: SupabaseTokens, server: JwksServer, clock: Clock):
    server.publish(public_jwk(ELLIPTIC), public_jwk(RSA, kid="two"))
    assert (await login(tokens, signed(kid=None))).user_id == SUB
    server.publish(public_jwk(ELLIPTIC), public_jwk(OTHER_ELLIPTIC, kid="two"))
    clock.now += 10 * MINUTE
    await login(tokens, signed())
    assert "Sign in again" in await refusal(tokens, signed(kid=None))


async def test_a_key_without_an_id_checks_tokens_without_one(tokens: SupabaseTokens, server: JwksServer):
    server.publish({name: value for name, value in public_jwk(ELLIPTIC).items() if name != "kid"})
    assert (await login(tokens, signed(kid=None))).user_id == SUB
    await refusal(tokens, signed(kid="None"))


ELLIPTIC_384 = ec.generate_private_key(ec.SECP384R1())
UNUSABLE = {
    "symmetric": {"kty": "oct", "kid": "one", "alg": "HS256", "k": segment(SECRET)},
    "symmetric that calls itself ES256": {"kty": "oct", "kid": "one", "alg": "ES256", "k": segment(SECRET)},
    "for encryption": public_jwk(ELLIPTIC, use="enc"),
    "for signing only": public_jwk(ELLIPTIC, key_ops=["sign"]),
    "uses a text": public_jwk(ELLIPTIC, key_ops="verify"),
    "short RSA": public_jwk(WEAK_RSA),
    "RSA with exponent one": public_jwk(RSA, e="AQ"),
    "RSA for another algorithm": public_jwk(RSA, alg="RS512"),
    "RSA for a symmetric algorithm": public_jwk(RSA, alg="HS256"),
    "RSA without modulus": {"kty": "RSA", "kid": "one", "e": "AQAB"},
    "RSA of numbers": public_jwk(RSA, n=12345, e=65537),
    "other curve": public_jwk(ELLIPTIC_384),
    "other curve that calls itself ES256": public_jwk(ELLIPTIC_384, alg="ES256"),
    "curve of another algorithm": public_jwk(ELLIPTIC, alg="RS256"),
    "no curve": public_jwk(ELLIPTIC, crv=None),
    "curve a list": public_jwk(ELLIPTIC, crv=["P-256"]),
    "point off the curve": public_jwk(ELLIPTIC, x=segment(b"\1" * 32)),
    "point of text": public_jwk(ELLIPTIC, y="é"),
    "kind a list": {"kty": ["EC"]},
    "not an object": "key",
}


@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_an_unusable_key_is_passed_over(tokens: SupabaseTokens, server: JwksServer, jwk: Any):
    server.publish(jwk, public_jwk(OTHER_ELLIPTIC, kid="two"))
    await login(tokens, signed(OTHER_ELLIPTIC, "two"))
    for token in (legacy(kid="one"), signed(), signed(RSA, algorithm="RS256")):
        assert "Sign in again" in await refusal(tokens, token)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_short_key_does_not_check_its_own_tokens(tokens: SupabaseTokens, server: JwksServer):
    server.publish(public_jwk(WEAK_RSA), public_jwk(ELLIPTIC, kid="two"))
    assert "Sign in again" in await refusal(tokens, signed(WEAK_RSA, algorithm="RS256"))


async def test_a_private_key_published_by_mistake_still_only_checks(tokens: SupabaseTokens, server: JwksServer):
    server.publish({**RSAAlgorithm.to_jwk(RSA, as_dict=True), "kid": "one", "key_ops": ["sign", "verify"]})
    assert (await login(tokens, signed(RSA, algorithm="RS256"))).user_id == SUB


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "key_ops"]), JSON)))
def test_whatever_is_published_the_good_key_is_found(odd: list[dict[str, Any]]):
    found = keys.signing_keys(json.dumps({"keys": [*odd, public_jwk(ELLIPTIC, kid="good")]}).encode())
    assert found[-1].key_id == "good"


# ---------------------------------------------------------------- an endpoint in trouble

TROUBLE = {
    "error": (b"{}", {"status": 500}),
    "good body of an error": (json.dumps({"keys": [public_jwk(OTHER_ELLIPTIC)]}).encode(), {"status": 503}),
    "web page": (b"<!doctype html><title>Log in</title>", {"content_type": "text/html"}),
    "nothing": (b"", {}),
    "no content": (b"", {"status": 204}),
    "no keys": (b'{"keys": []}', {}),
    "no list": (b'{"keys": {"kty": "EC"}}', {}),
    "null": (b"null", {}),
    "list": (b"[]", {}),
    "only symmetric keys": (json.dumps({"keys": [UNUSABLE["symmetric"]]}).encode(), {}),
    "bomb": (b'{"keys":' + b"[" * 100_000, {}),
    "huge": (json.dumps({"keys": [public_jwk(OTHER_ELLIPTIC)], "padding": "x" * 256 * 1024}).encode(), {}),
    "compressed": (gzip.compress(json.dumps({"keys": [public_jwk(OTHER_ELLIPTIC)]}).encode()), {"content_encoding": "gzip"}),
    "cut short": (b'{"keys"', {"content_length": "100000"}),
}


@pytest.mark.parametrize(("body", "options"), TROUBLE.values(), ids=TROUBLE.keys())
async def test_a_bad_answer_takes_no_key_away_and_brings_none(
    tokens: SupabaseTokens, server: JwksServer, clock: Clock, body: bytes, options: dict[str, Any]
):
    server.answer(body, **options)
    assert "right now" in await refusal(tokens, signed())
    server.publish(public_jwk(ELLIPTIC))
    clock.now += 5
    await login(tokens, signed())
    server.answer(body, **options)
    clock.now += 10 * MINUTE
    await login(tokens, signed())
    assert "right now" in await refusal(tokens, signed(OTHER_ELLIPTIC, "two"))
    assert await refusal(tokens, signed(OTHER_ELLIPTIC)) == keys.REFUSED
    assert len(server.requests) == 3


async def test_a_redirect_is_not_followed(tokens: SupabaseTokens, server: JwksServer):
    async with JwksServer() as trap:
        trap.publish(public_jwk(ELLIPTIC))
        for status in (301, 302, 307, 308):
            server.answer(b"", status=status, location=trap.url)
            assert "right now" in await refusal(SupabaseTokens(ISSUER, jwks_url=server.url, now=Clock()), signed())
        assert trap.requests == []
    assert len(server.requests) == 4


async def test_an_endpoint_that_does_not_answer_is_not_waited_for(
    tokens: SupabaseTokens, server: JwksServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.05)
    server.gate.clear()
    assert "right now" in await refusal(tokens, signed())


async def test_an_endpoint_that_drips_is_not_waited_for(
    tokens: SupabaseTokens, server: JwksServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.3)  # the whole fetch, not each byte
    server.answer(b"{", content_length="100000")
    server.dripping = True
    assert "right now" in await refusal(tokens, signed())


async def test_an_endpoint_that_is_down_is_no_crash(free_port: int, clock: Clock):
    tokens = SupabaseTokens(ISSUER, jwks_url=f"http://127.0.0.1:{free_port}/jwks.json", now=clock)
    assert "right now" in await refusal(tokens, signed())


@pytest.mark.parametrize("url", ["", "jwks.json", "ftp://127.0.0.1/jwks.json", "http://["])
async def test_an_address_that_is_none_is_no_crash(url: str):
    assert "right now" in await refusal(SupabaseTokens(ISSUER, jwks_url=url, now=Clock()), signed())


async def test_an_endpoint_in_trouble_is_not_pressed(tokens: SupabaseTokens, server: JwksServer, clock: Clock):
    server.answer(b"", status=500)
    for _ in range(10):
        await refusal(tokens, signed())
    assert len(server.requests) == 1  # nobody can sign in: tried again after five seconds
    clock.now += 5
    server.publish(public_jwk(ELLIPTIC))
    await login(tokens, signed())
    server.answer(b"", status=500)
    clock.now += 10 * MINUTE
    for _ in range(10):
        await login(tokens, signed())
    clock.now += 29
    await login(tokens, signed())
    assert len(server.requests) == 3  # old keys serve: tried again after half a minute
    clock.now += 1
    await login(tokens, signed())
    assert len(server.requests) == 4


async def test_old_keys_serve_for_a_day(tokens: SupabaseTokens, server: JwksServer, clock: Clock):
    await login(tokens, signed())
    server.answer(b"", status=500)
    clock.now += 24 * 60 * MINUTE - 1
    later = {"iat": NOW, "exp": NOW + 48 * 3600}
    await login(tokens, signed(**later))
    clock.now += 30
    assert "right now" in await refusal(tokens, signed(**later))


async def test_a_clock_set_back_does_not_keep_old_keys(tokens: SupabaseTokens, server: JwksServer, clock: Clock):
    await login(tokens, signed())
    server.publish(public_jwk(OTHER_ELLIPTIC, kid="two"))
    clock.now -= 20
    await login(tokens, signed(OTHER_ELLIPTIC, "two"))
