"""Promises against forged sign-in tokens: what an attacker makes does not hold, and brings no key of its own."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_gql.adapters.supabase_jwt import SupabaseTokens
from mina_gql.domain.errors import Unauthenticated
from mina_gql.domain.ports import TokenVerifier
from tests.adapters.supabase_jwt.jwks_server import JwksServer
from tests.adapters.supabase_jwt.sign_ins import (
    ELLIPTIC,
    ISSUER,
    JSON,
    NOW,
    OTHER_ELLIPTIC,
    RSA,
    SECRET,
    SUB,
    Clock,
    claims,
    forged,
    legacy,
    legacy_tokens,
    login,
    public_jwk,
    refusal,
    segment,
    signed,
)


def test_it_is_a_token_verifier():
    verifier: TokenVerifier = legacy_tokens()
    assert isinstance(verifier, SupabaseTokens)


async def test_without_a_key_every_token_is_refused_with_the_reason():
    tokens = SupabaseTokens(ISSUER)
    assert "not set up" in await refusal(tokens, legacy())
    assert "not set up" in await refusal(tokens, "anything")


PEM = ELLIPTIC.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = ELLIPTIC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
JWK = json.dumps(public_jwk(ELLIPTIC)).encode()


@pytest.mark.parametrize("secret", [b"", b"x" * 31, PEM, DER, JWK], ids=["none", "short", "PEM", "DER", "JWK"])
def test_a_secret_that_protects_nothing_is_refused_at_the_start(secret: bytes):
    with pytest.raises(ValueError, match="secret of sign-in tokens") as refused:
        SupabaseTokens(ISSUER, secret=secret)
    assert repr(secret) not in str(refused.value)


def test_there_is_one_kind_of_key():
    with pytest.raises(ValueError, match="not with both"):
        SupabaseTokens(ISSUER, secret=SECRET, jwks_url="https://project.supabase.example/jwks.json")


async def test_the_legacy_secret_signs_in_with_or_without_a_key_id():
    assert (await login(legacy_tokens(), legacy())).user_id == SUB
    assert (await login(legacy_tokens(), legacy(kid="whatever"))).expires_at == NOW + 3600


@pytest.mark.parametrize("aud", ["authenticated", ["authenticated"], ["other", "authenticated", {}]])
async def test_the_audience_is_a_word_or_a_list(aud: Any):
    assert (await login(legacy_tokens(), legacy(claims(aud=aud)))).user_id == SUB


# ---------------------------------------------------------------- forged tokens

HS = {"alg": "HS256", "typ": "JWT"}
GOOD = legacy()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")

BROKEN = {
    "empty": "",
    "word": "token",
    "two parts": f"{HEADER}.{PAYLOAD}",
    "empty signature": f"{HEADER}.{PAYLOAD}.",
    "trailing dot": f"{GOOD}.",
    "leading dot": f".{GOOD}",
    "four parts": f"{GOOD}.{SIGNATURE}",
    "five parts": f"{HEADER}.{PAYLOAD}.{SIGNATURE}.{PAYLOAD}.{SIGNATURE}",
    "space before": f" {GOOD}",
    "space within": f"{HEADER} .{PAYLOAD}.{SIGNATURE}",
    "newline after": f"{GOOD}\n",
    "padding": f"{GOOD}=",
    "unicode": f"{GOOD}é",
    "other digits": f"{HEADER}.{PAYLOAD}.{'٣' * 43}",
    "lone surrogate": f"{HEADER}.{PAYLOAD}.\ud800",
    "nul": f"{GOOD}\0",
    "too long": forged(HS, claims(padding="x" * 8192), SECRET),
    "other payload": f"{HEADER}.{segment(claims(sub=SUB.replace('0', '1')))}.{SIGNATURE}",
    "other header": f"{segment({**HS, 'kid': 'x'})}.{PAYLOAD}.{SIGNATURE}",
    "cut signature": GOOD[:-2],
    "flipped signature": f"{HEADER}.{PAYLOAD}.{SIGNATURE[::-1]}",
    "signature of another secret": forged(HS, claims(), b"another secret of 32 bytes or more"),
    "header no JSON": f"{segment(b'{')}.{PAYLOAD}.{SIGNATURE}",
    "header no UTF-8": f"{segment(bytes([0xFF, 0xFE, 0xFD]))}.{PAYLOAD}.{SIGNATURE}",
    "header a list": f"{segment([1])}.{PAYLOAD}.{SIGNATURE}",
    "header a bomb": f"{segment(b'[' * 5000)}.{PAYLOAD}.{SIGNATURE}",
    "payload a bomb": forged(HS, b'{"a":' * 1000, SECRET),
    "payload a signed bomb": forged(HS, b'{"a":' * 1000 + b"1" + b"}" * 1000, SECRET),
    "payload a list": forged(HS, [claims()], SECRET),
    "payload no JSON": forged(HS, b"{sub}", SECRET),
    "no algorithm": forged({"typ": "JWT"}, claims(), SECRET),
    "algorithm a list": forged({"alg": ["HS256"]}, claims(), SECRET),
    "algorithm null": forged({"alg": None}, claims(), SECRET),
    "key id a number": legacy(kid=1),
    "key id an object": legacy(kid={}),
    "unknown extension": legacy(crit=["exp"]),
    "empty extensions": legacy(crit=[]),
    "encoding of the payload": legacy(b64=True),
    "detached payload": legacy(crit=["b64"], b64=False),
}


@pytest.mark.parametrize("token", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_token_does_not_hold(token: str):
    assert "Sign in again" in await refusal(legacy_tokens(), token)


NONES = ["none", "None", "NONE", "nOnE", "none ", "", "null"]


@pytest.mark.parametrize("algorithm", [*NONES, "HS384", "HS512", "hs256", "ES256", "RS256"])
async def test_with_a_secret_only_its_algorithm_counts(algorithm: str):
    assert "Sign in again" in await refusal(legacy_tokens(), forged({"alg": algorithm}, claims(), SECRET))
    assert "Sign in again" in await refusal(legacy_tokens(), f"{segment({'alg': algorithm})}.{PAYLOAD}.")


async def test_a_hash_of_another_length_does_not_hold():
    longer = jwt.encode(claims(), SECRET.ljust(64, b"."), algorithm="HS512")
    assert "Sign in again" in await refusal(SupabaseTokens(ISSUER, secret=SECRET.ljust(64, b"."), now=Clock()), longer)


@pytest.mark.parametrize("algorithm", [*NONES, "HS256", "HS384", "HS512", "PS256", "ES384", "ES256K", "EdDSA"])
async def test_published_keys_check_their_own_algorithms_only(tokens: SupabaseTokens, server: JwksServer, algorithm: str):
    header = {"alg": algorithm, "kid": "one"}
    assert "Sign in again" in await refusal(tokens, forged(header, claims(), PEM))
    assert "Sign in again" in await refusal(tokens, f"{segment(header)}.{PAYLOAD}.")
    assert server.requests == []  # not worth a fetch


NUMBERS = RSA.public_key().public_numbers()
RSA_PUBLIC = {
    "pem": RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "pem without newline": RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
    "pem pkcs1": RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    "der": RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "n": NUMBERS.n.to_bytes(256, "big"),
    "n as text": public_jwk(RSA)["n"].encode(),
    "e": NUMBERS.e.to_bytes(3, "big"),
    "jwk": json.dumps(public_jwk(RSA)).encode(),
    "jwk without spaces": json.dumps(public_jwk(RSA), separators=(",", ":")).encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("secret", RSA_PUBLIC.values(), ids=RSA_PUBLIC.keys())
async def test_what_everybody_knows_is_no_secret(tokens: SupabaseTokens, server: JwksServer, secret: bytes):
    server.publish(public_jwk(RSA))
    await login(tokens, signed(RSA, algorithm="RS256"))
    for algorithm in ("HS256", "RS256"):
        assert "Sign in again" in await refusal(tokens, forged({"alg": algorithm, "kid": "one"}, claims(), secret))


async def test_a_key_of_one_kind_does_not_check_tokens_of_another(tokens: SupabaseTokens, server: JwksServer):
    server.publish(public_jwk(RSA, kid="rsa"), public_jwk(ELLIPTIC, kid="elliptic"))
    await login(tokens, signed(RSA, "rsa", "RS256"))
    await login(tokens, signed(ELLIPTIC, "elliptic"))
    await refusal(tokens, signed(RSA, "elliptic", "RS256"))
    await refusal(tokens, signed(ELLIPTIC, "rsa"))
    await refusal(tokens, signed(OTHER_ELLIPTIC, "elliptic"))
    for algorithm in ("RS384", "RS512", "PS256"):
        await refusal(tokens, signed(RSA, "rsa", algorithm))


async def test_a_token_does_not_bring_its_own_key(tokens: SupabaseTokens, server: JwksServer):
    async with JwksServer() as trap:
        trap.publish(public_jwk(OTHER_ELLIPTIC, kid="theirs"))
        own = public_jwk(OTHER_ELLIPTIC, kid="theirs")
        headers = {"jku": trap.url, "x5u": trap.url, "jwk": own, "x5c": [segment(DER)], "x5t": "x", "typ": trap.url}
        for kid in ("one", "theirs", trap.url, "../../jwks.json", "' or 1=1 --", "/dev/null"):
            for names in (headers, *headers):
                header = {name: headers[name] for name in ([names] if isinstance(names, str) else names)}
                token = jwt.encode(claims(), OTHER_ELLIPTIC, algorithm="ES256", headers={**header, "kid": kid})
                assert "Sign in again" in await refusal(tokens, token)
                await refusal(legacy_tokens(), token)
        assert trap.requests == []
    assert len(server.requests) == 1


async def test_headers_that_bring_a_key_do_not_spoil_a_good_token(tokens: SupabaseTokens):
    header = {"kid": "one", "jku": "http://127.0.0.1:9/", "typ": "at+jwt"}
    assert (await login(tokens, jwt.encode(claims(), ELLIPTIC, algorithm="ES256", headers=header))).user_id == SUB


@settings(deadline=None)
@given(st.text() | st.binary().map(segment) | st.lists(st.binary(min_size=1).map(segment), min_size=3, max_size=3).map(".".join))
async def test_whatever_is_not_signed_is_refused(token: str):
    with pytest.raises(Unauthenticated):
        await legacy_tokens().verify(token)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "zip", "cty"]), JSON))
async def test_whatever_a_header_says_it_holds_or_it_is_refused(header: dict[str, Any]):
    try:
        assert await login(legacy_tokens(), legacy(**header))
    except Unauthenticated:
        return
