"""Sessions of admins: a browser signs in with a token once and is known by a cookie until it signs out (DESIGN section 11)."""

import hashlib
import re
import secrets
import time
from dataclasses import dataclass, replace

from mina_gql.domain.errors import Forbidden, Unauthenticated
from mina_gql.domain.passes import Login
from mina_gql.domain.ports import JsonObject, ProgressBus, Rates, TokenVerifier
from mina_gql.mega import admin, admin_sessions
from mina_gql.mega.admin import Actor
from mina_gql.mega.admin_sessions import SESSION_BY_ID, SessionRow
from mina_gql.mega.database import Database, DatabaseAway, decode
from mina_gql.services.config import ConfigService

LIFETIME_SECONDS = 12 * 3600.0
CACHE_SECONDS = 3.0
REREAD_SECONDS = 5.0

NOT_AN_ADMIN = "This sign-in is good, but it is not an admin’s. Ask an admin to make you one, then sign in again."
EXPIRED = "Your sign-in has expired. Sign in again."

_FACTS = ("email_verified", "google", "apple", "method", "expires_at")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has just begun. `secret` is for the browser alone: 256 random bits that nobody else keeps."""

    secret: str
    login: Login


class AdminSessionService:
    """Begins, finds and ends sessions."""

    def __init__(self, database: Database, bus: ProgressBus, tokens: TokenVerifier, config: ConfigService, rates: Rates) -> None:
        self._database = database
        self._bus = bus
        self._tokens = tokens
        self._config = config
        self._rates = rates
        self._known: dict[str, tuple[Login, float]] = {}
        self._endings = 0

    async def sign_in(self, token: str, visitor: Actor) -> SignedIn:
        """Begin a session with a Supabase access token; it lives as long as the token, and 12 hours at most.

        Raises Unauthenticated for a token that does not hold, Forbidden for one that is no admin's, Throttled. Who is refused is
        written down.
        """
        per_minute = (await self._config.runtime()).per_minute("sign_in")
        await self._rates.hit("sign_in", visitor.address, per_minute)
        try:
            login = await self._tokens.verify(token)
            if login is not None:
                visitor = visitor._replace(user_id=login.user_id, email=login.email)
            login = _admitted(login)
        except (Unauthenticated, Forbidden) as error:
            async with self._database.begin() as session:
                actor = visitor._replace(status=error.http_status)
                await admin.audit(session, "admin.sign_in_refused", None, {"reason": error.message}, actor=actor)
            raise
        secret = secrets.token_urlsafe(32)
        session_id, expires_at = _session_id(secret), min(login.expires_at, time.time() + LIFETIME_SECONDS)
        login = replace(login, session=session_id, expires_at=expires_at)
        async with self._database.begin() as session:
            await admin_sessions.begin(session, session_id, visitor, _facts_of(login))
            await admin.audit(session, "admin.sign_in", None, {"session": session_id}, actor=visitor)
        return SignedIn(secret, login)

    async def find(self, secret: str) -> Login | None:
        """Who signed in with this browser, or None where the session has ended, or never was. May be some seconds old."""
        if not _SECRET.fullmatch(secret):
            return None
        session_id, now = _session_id(secret), time.monotonic()
        login, read_at = self._known.get(session_id, (None, 0.0))
        if login is None or now - read_at > CACHE_SECONDS:
            login = await self._look_up(session_id, now)
        return login if login is not None and login.expires_at > time.time() else None

    async def sign_out(self, secret: str, visitor: Actor) -> None:
        """End a session; its sockets and streams end with it. Nothing happens where it has ended."""
        login = await self.find(secret)
        if login is None or login.session is None:
            return
        actor = visitor._replace(user_id=login.user_id, email=login.email)
        async with self._database.begin() as session:
            if await admin_sessions.end(session, login.session):
                await admin.audit(session, "admin.sign_out", None, {"session": login.session}, actor=actor)
        self._endings += 1
        self._known.pop(login.session, None)
        await self._bus.announce_topic(login.session)

    async def ended(self, session_id: str) -> None:
        """Return once a session was ended, here or by another process. When it expires is known beforehand."""
        async with self._bus.watch(session_id) as wakeups:
            while await self._lives(session_id):
                await wakeups.wait(REREAD_SECONDS)

    async def _look_up(self, session_id: str, now: float) -> Login | None:
        endings = self._endings
        record = await self._database.fetch_one(SESSION_BY_ID, id=session_id)
        if record is None:
            return None
        row = SessionRow(*record)
        login = _login_of(row)
        if row.stale:
            async with self._database.begin() as session:
                await admin_sessions.seen(session, session_id)
        if endings == self._endings:  # else it may have been this one that was ended while it was read
            self._known = {id_: known for id_, known in self._known.items() if now - known[1] <= CACHE_SECONDS}
            self._known[session_id] = (login, now)
        return login

    async def _lives(self, session_id: str) -> bool:
        try:
            return await self._database.fetch_one(SESSION_BY_ID, id=session_id) is not None
        except DatabaseAway:
            return True  # nobody can have ended it


def _admitted(login: Login | None) -> Login:
    """The login of an admin. Raises Forbidden for everybody else's, Unauthenticated in the leeway after a token's end."""
    if login is None or not login.admin:
        raise Forbidden(NOT_AN_ADMIN)
    if login.expires_at <= time.time():
        raise Unauthenticated(EXPIRED)
    return login


def _session_id(secret: str) -> str:
    return f"admin_session:{hashlib.sha256(secret.encode()).hexdigest()}"


def _facts_of(login: Login) -> JsonObject:
    """What a session keeps of its login beside its columns."""
    return {name: getattr(login, name) for name in _FACTS}


def _login_of(row: SessionRow) -> Login:
    facts = decode(row.facts)
    return Login(row.user_id, row.email, admin=True, session=row.id, **{name: facts[name] for name in _FACTS})
