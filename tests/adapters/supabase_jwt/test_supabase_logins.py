"""Promises of what a sign-in token says: who, whose address, how verified, and whether an admin."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_gql.domain.errors import Unauthenticated
from mina_gql.domain.passes import Login
from tests.adapters.supabase_jwt.sign_ins import JSON, NOW, SUB, claims, legacy, legacy_tokens, login, refusal


def entry(*methods: str) -> list[dict[str, Any]]:
    return [{"method": method, "timestamp": NOW} for method in methods]


def app(*providers: str, **more: Any) -> dict[str, Any]:
    return {"provider": providers[0], "providers": list(providers), **more}


# app_metadata, amr -> method, google, apple
FLAGS = {
    "google": (app("google"), entry("oauth"), ("google", True, False)),
    "apple": (app("apple"), entry("oauth"), ("apple", False, True)),
    "plain words": (app("google"), ["oauth"], ("google", True, False)),
    "main provider alone": ({"provider": "apple"}, entry("oauth"), ("apple", False, True)),
    "list of providers alone": ({"providers": ["google"]}, entry("oauth"), ("google", True, False)),
    "with a second factor": (app("google"), entry("totp", "oauth"), ("google", True, False)),
    "another network": (app("github"), entry("oauth"), (None, False, False)),
    "google by password": (app("google"), entry("password"), (None, False, False)),
    "google by code": (app("google"), entry("otp"), (None, False, False)),
    "google unsaid how": (app("google"), ..., (None, False, False)),
    "mail code": (app("email"), entry("otp"), ("email", False, False)),
    "magic link": (app("email"), entry("magiclink"), ("email", False, False)),
    "mail by oauth": (app("email"), entry("oauth"), (None, False, False)),
    "password": (app("email"), entry("password"), (None, False, False)),
    "recovery": (app("email"), entry("recovery"), (None, False, False)),
    "text message": (app("phone"), entry("otp"), (None, False, False)),
    "mail or text message": (app("email", "phone"), entry("otp"), (None, False, False)),
    "magic link beside a phone": (app("email", "phone"), entry("magiclink"), ("email", False, False)),
    "linked, by google": (app("email", "google"), entry("oauth"), ("google", True, False)),
    "linked, by mail": (app("google", "email"), entry("otp"), ("email", False, False)),
    "linked, by password": (app("email", "google"), entry("password"), (None, False, False)),
    "both networks": (app("google", "apple"), entry("oauth"), ("google", True, True)),
    "both networks, apple first": (app("apple", "google"), entry("oauth"), ("apple", True, True)),
    "mail and both networks": (app("email", "apple", "google"), entry("oauth"), ("google", True, True)),
    "other spellings": (app("Google"), entry("OAuth"), (None, False, False)),
    "nothing said": (..., ..., (None, False, False)),
    "metadata a list": (["google"], entry("oauth"), (None, False, False)),
    "metadata a text": ("google", entry("oauth"), (None, False, False)),
    "providers a text": ({"provider": ["google"], "providers": "google"}, entry("oauth"), (None, False, False)),
    "providers of objects": ({"provider": {}, "providers": [{}, None, ["google"]]}, entry("oauth"), (None, False, False)),
    "amr a number": (app("google"), 1, (None, False, False)),
    "amr a text": (app("google"), "oauth", (None, False, False)),
    "amr an object": (app("google"), {"method": "oauth"}, (None, False, False)),
    "amr of odd things": (app("google"), [None, {}, {"method": ["oauth"]}, [], 1], (None, False, False)),
}


@pytest.mark.parametrize(("metadata", "amr", "expected"), FLAGS.values(), ids=FLAGS.keys())
async def test_the_way_of_signing_in_verifies_the_address(metadata: Any, amr: Any, expected: tuple[str | None, bool, bool]):
    payload = claims(email="ada@example.com", app_metadata=metadata, amr=amr)
    found = await login(legacy_tokens(), legacy(payload))
    assert (found.method, found.google, found.apple) == expected
    assert found.email_verified is (expected[0] is not None)
    assert found.email == "ada@example.com"


async def test_a_password_verifies_where_the_project_confirms_addresses():
    tokens = legacy_tokens(confirms_email=True)
    for metadata, method in ((app("email"), "email"), (app("google", "email"), "email"), (app("phone"), None), (..., None)):
        payload = claims(email="ada@example.com", app_metadata=metadata, amr=entry("password"))
        found = await login(tokens, legacy(payload))
        assert (found.method, found.email_verified) == (method, method is not None)


async def test_what_the_user_writes_is_not_believed():
    lies = {
        **app("google", role="admin", roles=["admin"]),
        "email": "boss@example.com",
        "email_verified": True,
        "amr": entry("oauth"),
        "is_anonymous": True,
    }
    tokens = legacy_tokens(admin_emails=["boss@example.com"], confirms_email=True)
    payload = claims(
        email="ada@example.com", user_metadata=lies, raw_user_meta_data=lies, email_verified=True, amr=entry("oauth")
    )
    found = await login(tokens, legacy({**payload, "role": "admin", "roles": ["admin"], "google": True}))
    assert found == Login(SUB, "ada@example.com", False, False, False, None, False, NOW + 3600)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("  Ada@Example.COM ", "ada@example.com"),
        ("ada+mina@mail.example.com", "ada+mina@mail.example.com"),
        ("ada@localhost", "ada@localhost"),
        (f"{'a' * 308}@example.com", f"{'a' * 308}@example.com"),
        (f"{'a' * 309}@example.com", None),
        ("", None),
        ("ada", None),
        ("@example.com", None),
        ("ada@", None),
        ("ada@-example.com", None),
        ("ada@example..com", None),
        ("ada@home@example.com", None),
        ("ada lovelace@example.com", None),
        ("ada@example.com\nboss@example.com", None),
        ("ada@example.com\0", None),
        ("Ada <ada@example.com>", None),
        ("ada@ex\u212aample.com", None),
        ("\ud800@example.com", None),
        (1, None),
        (["ada@example.com"], None),
        (None, None),
    ],
)
async def test_an_address_is_tidied_or_left_out(written: Any, read: str | None):
    payload = claims(email=written, app_metadata=app("google"), amr=entry("oauth"))
    if written == "\ud800@example.com":  # half a character is no JSON text
        await refusal(legacy_tokens(), legacy(payload))
        return
    found = await login(legacy_tokens(), legacy(payload))
    assert (found.email, found.email_verified, found.method) == (read, read is not None, "google" if read else None)
    assert found.google


async def test_an_anonymous_sign_in_is_nobody():
    tokens = legacy_tokens(admin_emails=["ada@example.com"])
    metadata = app("email", role="admin")
    payload = claims(is_anonymous=True, email="ada@example.com", app_metadata=metadata, amr=entry("anonymous"))
    assert await tokens.verify(legacy(payload)) is None
    for other in (False, "true", 1, None, [True]):
        assert (await login(tokens, legacy({**payload, "is_anonymous": other}))).user_id == SUB


async def test_an_anonymous_sign_in_expires_too():
    assert "expired" in await refusal(legacy_tokens(), legacy(claims(is_anonymous=True, exp=NOW - 60)))


@pytest.mark.parametrize(
    ("metadata", "admin"),
    [
        ({"role": "admin"}, True),
        ({"roles": ["editor", "admin"]}, True),
        ({"role": "editor", "roles": ["admin"]}, True),
        ({"role": "Admin"}, False),
        ({"role": ["admin"]}, False),
        ({"role": True, "admin": True}, False),
        ({"roles": "admin"}, False),
        ({"roles": {"admin": True}}, False),
        ({"roles": [["admin"], {}, None]}, False),
        ([{"role": "admin"}], False),
        (..., False),
    ],
)
async def test_the_project_names_its_admins(metadata: Any, admin: bool):
    assert (await login(legacy_tokens(), legacy(claims(app_metadata=metadata)))).admin is admin


async def test_a_listed_address_is_an_admin_once_it_is_verified():
    tokens = legacy_tokens(admin_emails=[" Boss@Example.com "])
    google = claims(email="boss@example.COM", app_metadata=app("google"), amr=entry("oauth"))
    assert (await login(tokens, legacy(google))).admin
    assert not (await login(tokens, legacy({**google, "email": "boss@example.com.evil.example"}))).admin
    assert not (await login(tokens, legacy({**google, "amr": entry("password")}))).admin
    assert not (await login(tokens, legacy(claims(email="boss@example.com")))).admin


async def test_no_address_is_listed_by_an_empty_setting():
    payload = claims(email="", app_metadata=app("google"), amr=entry("oauth"))
    assert not (await login(legacy_tokens(admin_emails=["", " "]), legacy(payload))).admin


CLAIMS = [
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "jti",
    "email",
    "app_metadata",
    "amr",
    "is_anonymous",
    "role",
    "user_metadata",
]
APP = st.dictionaries(st.sampled_from(["provider", "providers", "role", "roles"]), JSON)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(CLAIMS), JSON) | st.fixed_dictionaries({"app_metadata": APP, "amr": st.lists(JSON)}))
async def test_whatever_is_signed_it_holds_or_it_is_refused(odd: dict[str, Any]):
    try:
        found = await legacy_tokens(confirms_email=True, admin_emails=["a@b"]).verify(legacy(claims(**odd)))
    except Unauthenticated:
        return
    assert found is None or (found.user_id == SUB and found.email_verified == (found.method is not None))
