"""The cookie of a signed-in admin, and what keeps it safe.

By itself it shows GraphiQL's page and does nothing. For an operation, a page of this very server must say beside it that it means
to be the admin (`X-Mina-Admin: 1`): no other site can make a browser say so, nor can the studio's pages, which may call us.
"""

import time

from starlette.requests import HTTPConnection
from starlette.responses import Response

from mina_gql.api.origin import is_own_page
from mina_gql.domain.errors import Unauthenticated
from mina_gql.domain.passes import Login
from mina_gql.services.admin_sessions import AdminSessionService, SignedIn

ADMIN_HEADER = "x-mina-admin"
ENDED = "Your admin session has ended. Sign in again."


class AdminCookie:
    """Gives the cookie, takes it back, and reads it. `public_url` is where browsers reach us."""

    def __init__(self, sessions: AdminSessionService, public_url: str) -> None:
        self.sessions = sessions
        self._public_url = public_url
        self._https = public_url.startswith("https://")
        # The prefix makes browsers insist on Secure, on Path=/ and on this very host (RFC 6265bis section 4.1.3).
        self._name = "__Host-mina-admin" if self._https else "mina-admin"

    def secret(self, connection: HTTPConnection) -> str:
        """What the browser sent; empty where that is nothing."""
        return connection.cookies.get(self._name, "")

    def is_own(self, connection: HTTPConnection) -> bool:
        """Whether a page of ours asks."""
        return is_own_page(connection.scope, self._public_url)

    async def visitor(self, connection: HTTPConnection) -> Login | None:
        """Who signed in with this browser: good for showing a page, and for nothing else."""
        return await self.sessions.find(self.secret(connection))

    async def login(self, connection: HTTPConnection, said: str | None) -> Login | None:
        """The admin of an operation; None where it does not mean to be one. `said` is the value of `X-Mina-Admin`.

        Raises Unauthenticated: never a silent downgrade, as with a token.
        """
        if said is None:
            return None
        if said != "1" or not self.is_own(connection):
            raise Unauthenticated("Admin sessions work on this server's own pages only. Elsewhere send a token.")
        login = await self.visitor(connection)
        if login is None:
            raise Unauthenticated(ENDED)
        return login

    def give(self, response: Response, signed_in: SignedIn) -> None:
        """Let the browser keep it for as long as the session lives."""
        seconds = max(0, int(signed_in.login.expires_at - time.time()))
        response.set_cookie(self._name, signed_in.secret, max_age=seconds, secure=self._https, httponly=True, samesite="strict")

    def take_back(self, response: Response) -> None:
        """Let the browser forget it."""
        response.delete_cookie(self._name, secure=self._https, httponly=True, samesite="strict")
