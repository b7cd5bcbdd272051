"""P8: rows of admins' sessions. What they hold and what they never hold, how long they live, and who ends them."""

import asyncio
import hashlib
import json
import time

import pytest

from mina_gql.domain.errors import Forbidden, Unauthenticated
from mina_gql.domain.passes import Login
from mina_gql.mega.admin import Actor
from mina_gql.services import admin_sessions as module
from mina_gql.services.admin_sessions import AdminSessionService, SignedIn
from tests.admin_door.door import ANN
from tests.identity.edge import login
from tests.studio import Studio, counted, opened

VISITOR = Actor(None, None, "192.0.2.7", "Firefox/140", "/admin/sign-in", "POST", 303)
BOSS = login(email=ANN, admin=True)


class Tokens:
    """Knows one token."""

    def __init__(self, who: Login | None) -> None:
        self.who = who

    async def verify(self, token: str) -> Login | None:
        if token != "good":
            raise Unauthenticated("This sign-in does not hold. Sign in again.")
        return self.who


def sessions_of(studio: Studio, who: Login | None = BOSS) -> AdminSessionService:
    """The service of this studio, for one who signs in with `good`."""
    mina = studio.mina
    return AdminSessionService(mina.database, mina.bus, Tokens(who), mina.services.config, mina.services.rates)


async def signed_in(studio: Studio, **more: object) -> tuple[AdminSessionService, SignedIn]:
    sessions = sessions_of(studio, login(email=ANN, admin=True) if not more else Login(**{**_facts(BOSS), **more}))
    return sessions, await sessions.sign_in("good", VISITOR)


def _facts(who: Login) -> dict[str, object]:
    return {name: getattr(who, name) for name in Login.__slots__}


async def row_of(studio: Studio):
    return await studio.sql.fetchrow("select * from mega_admin where mg_record_type = 'admin_session'")


# ---------------------------------------------------------------- what is kept


async def test_a_session_s_row_says_who_and_from_where_and_its_name_is_a_hash(studio: Studio):
    sessions = sessions_of(studio)
    begun = await sessions.sign_in("good", VISITOR)
    row = await row_of(studio)
    hashed = hashlib.sha256(begun.secret.encode()).hexdigest()
    assert (row["mg_id"], row["mg_session_hash"]) == (f"admin_session:{hashed}", hashed)
    assert (str(row["mg_user_id"]), row["mg_email"]) == (BOSS.user_id, ANN)
    assert (row["mg_ip"], row["mg_user_agent"]) == ("192.0.2.7", "Firefox/140")
    assert row["mg_first_seen_at"] <= row["mg_last_seen_at"]


async def test_neither_the_cookie_nor_the_token_is_kept_anywhere(studio: Studio):
    sessions = sessions_of(studio)
    with pytest.raises(Unauthenticated):
        await sessions.sign_in("eyJ.a-token-that-does-not-hold.x", VISITOR)
    begun = await sessions.sign_in("good", VISITOR)
    await sessions.sign_out(begun.secret, VISITOR)
    kept = "".join(row[0] for row in await studio.sql.fetch("select a::text from mega_admin a"))
    assert begun.secret not in kept
    assert "a-token-that-does-not-hold" not in kept


async def test_each_coming_and_going_is_on_record(studio: Studio):
    sessions = sessions_of(studio)
    begun = await sessions.sign_in("good", VISITOR)
    await sessions.sign_out(begun.secret, VISITOR)
    await sessions.sign_out(begun.secret, VISITOR)
    rows = await studio.sql.fetch(
        "select mg_action, mg_email, mg_detail->>'session' as session from mega_admin where mg_action like 'admin.%' order by mg_created_at"
    )
    assert [tuple(row) for row in rows] == [
        ("admin.sign_in", ANN, begun.login.session),
        ("admin.sign_out", ANN, begun.login.session),
    ]


async def test_the_row_of_an_ended_session_stays(studio: Studio):
    sessions, begun = await signed_in(studio)
    await sessions.sign_out(begun.secret, VISITOR)
    row = await row_of(studio)
    assert row["mg_deleted_at"] is None
    assert "ended_at" in json.loads(row["mg_meta"])


# ---------------------------------------------------------------- whom it stands for


async def test_a_session_says_what_its_token_said(studio: Studio):
    sessions, begun = await signed_in(studio, google=True, method="google", expires_at=time.time() + 60)
    sessions._known.clear()
    found = await sessions.find(begun.secret)
    assert found == begun.login
    assert (found.admin, found.google, found.method, found.email_verified) == (True, True, "google", True)


@pytest.mark.parametrize("who", [None, login(email=ANN)], ids=["anonymous", "a customer"])
async def test_who_is_no_admin_gets_none(studio: Studio, who):
    with pytest.raises(Forbidden):
        await sessions_of(studio, who).sign_in("good", VISITOR)
    assert await row_of(studio) is None


@pytest.mark.parametrize(("token_s", "session_s"), [(60, 60), (7 * 86_400, 12 * 3_600)])
async def test_a_session_lives_as_long_as_its_token_and_half_a_day_at_most(studio: Studio, token_s, session_s):
    _, begun = await signed_in(studio, expires_at=time.time() + token_s)
    assert begun.login.expires_at == pytest.approx(time.time() + session_s, abs=30)


async def test_an_expired_session_is_nobody_s_even_while_it_is_remembered(studio: Studio, monkeypatch):
    sessions, begun = await signed_in(studio)
    assert await sessions.find(begun.secret) is not None
    monkeypatch.setattr(module.time, "time", lambda: begun.login.expires_at + 1)
    assert await sessions.find(begun.secret) is None


async def test_rows_of_another_make_let_nobody_in(studio: Studio):
    """A backfilled row may be named by the hash of anything."""
    secret = "s" * 43
    await studio.sql.execute(
        """insert into mega_admin (mg_id, mg_record_type, mg_session_hash, mg_user_id, mg_source_system, mg_meta)
        values ('admin_session:' || $1, 'admin_session', $1, $2, 'legacy', '{"expires_at": 99999999999}')""",
        hashlib.sha256(secret.encode()).hexdigest(),
        BOSS.user_id,
    )
    assert await sessions_of(studio).find(secret) is None


@pytest.mark.parametrize("change", ["mg_user_id = null", "mg_deleted_at = clock_timestamp()"])
async def test_a_session_ends_with_its_person_s_data(studio: Studio, change: str):
    sessions, begun = await signed_in(studio)
    await studio.sql.execute(f"update mega_admin set {change} where mg_id = $1", begun.login.session)
    assert await sessions.find(begun.secret) is None


# ---------------------------------------------------------------- looking it up


async def test_a_session_is_read_once_in_a_few_seconds(studio: Studio):
    sessions, begun = await signed_in(studio)
    with counted(studio.mina.database) as reads:
        for _ in range(5):
            assert await sessions.find(begun.secret) is not None
    assert len(reads) == 1


async def test_what_cannot_be_a_cookie_is_not_looked_up_and_strangers_are_not_remembered(studio: Studio):
    sessions = sessions_of(studio)
    with counted(studio.mina.database) as reads:
        for secret in ("", "x" * 42, "x" * 44, "x" * 42 + "é", "'; drop table" + "x" * 30):
            assert await sessions.find(secret) is None
        assert len(reads) == 0
    assert await sessions.find("x" * 43) is None
    assert sessions._known == {}


async def test_last_seen_is_noted_at_most_once_a_minute(studio: Studio, monkeypatch):
    sessions, begun = await signed_in(studio)
    monkeypatch.setattr(module, "CACHE_SECONDS", -1.0)

    async def seen():
        await sessions.find(begun.secret)
        return (await row_of(studio))["mg_last_seen_at"]

    first = (await row_of(studio))["mg_last_seen_at"]
    assert await seen() == first
    await studio.sql.execute(
        "update mega_admin set mg_last_seen_at = clock_timestamp() - interval '61 seconds' where mg_record_type = 'admin_session'"
    )
    noted = await seen()
    assert noted > first
    assert await seen() == noted


async def test_a_session_that_ends_while_it_is_read_is_not_remembered(studio: Studio, monkeypatch):
    sessions, begun = await signed_in(studio)
    read, go_on = asyncio.Event(), asyncio.Event()
    fetch_one = studio.mina.database.fetch_one

    async def slow(query, **parameters):
        record = await fetch_one(query, **parameters)
        read.set()
        await go_on.wait()
        return record

    monkeypatch.setattr(studio.mina.database, "fetch_one", slow)
    looking = asyncio.create_task(sessions.find(begun.secret))
    await read.wait()
    monkeypatch.setattr(studio.mina.database, "fetch_one", fetch_one)
    await sessions.sign_out(begun.secret, VISITOR)
    go_on.set()
    await looking
    assert await sessions.find(begun.secret) is None


# ---------------------------------------------------------------- its end, elsewhere


async def test_a_session_ended_by_another_process_ends_here(studio: Studio, tmp_path):
    sessions, begun = await signed_in(studio)
    assert await sessions.find(begun.secret) is not None
    waiting = asyncio.create_task(sessions.ended(begun.login.session))
    async with opened(tmp_path / "other", studio.mina.dsn) as other:
        await sessions_of(other).sign_out(begun.secret, VISITOR)
    async with asyncio.timeout(30):
        await waiting
    sessions._known.clear()  # a few seconds later
    assert await sessions.find(begun.secret) is None


async def test_an_end_whose_announcement_is_lost_is_seen_all_the_same(studio: Studio, monkeypatch):
    monkeypatch.setattr(module, "REREAD_SECONDS", 0.05)
    sessions, begun = await signed_in(studio)
    waiting = asyncio.create_task(sessions.ended(begun.login.session))
    await studio.sql.execute(
        "update mega_admin set mg_meta = mg_meta || '{\"ended_at\": 1}' where mg_id = $1", begun.login.session
    )
    async with asyncio.timeout(30):
        await waiting
