"""Signing in as an admin and out again: a page without a script that takes a Supabase access token, and what it posts to."""

import html
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from mina_gql.api.admin_cookie import AdminCookie
from mina_gql.api.auth import USER_AGENT_CHARS, client_address
from mina_gql.api.errors import http_error, request_id_of, retry_after_seconds
from mina_gql.api.ide import HOME, SIGN_IN_PATH, SIGN_OUT_PATH, filled
from mina_gql.domain.errors import Forbidden, LimitExceeded, RequestError, Throttled, Unauthenticated
from mina_gql.mega.admin import Actor
from mina_gql.mega.database import DatabaseAway

BODY_BYTES = 32 * 1024

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    # With `no-referrer` a form would be posted with `Origin: null` (fetch.spec.whatwg.org, "append a request Origin header").
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_NOT_OUR_PAGE = "Sign in, and out, on this server's own page."


def routes(cookie: AdminCookie, proxies: tuple[str, ...], *, home: str = "/graphql", embedded: bool = False) -> list[BaseRoute]:
    """`GET` and `POST /admin/sign-in`, `POST /admin/sign-out`. `home` is where a signed-in admin goes on."""
    where = "mina" if embedded else "supabase"

    def visitor(request: Request, status: int) -> Actor:
        agent = request.headers.get("user-agent", "")[:USER_AGENT_CHARS] or None
        return Actor(None, None, client_address(request, proxies), agent, request.url.path, request.method, status)

    async def page(request: Request) -> Response:
        if await cookie.visitor(request) is not None:
            return _to(home)
        # A browser keeps the cookie to itself where another site's link leads here; a click on our own page brings it along.
        linked = request.headers.get("sec-fetch-site") == "cross-site"
        return _sign_in_page(where, more=f'<p class="hint">Signed in already? <a href="{home}">Go on</a>.</p>' if linked else "")

    async def sign_in(request: Request) -> Response:
        try:
            _check_own(cookie, request)
            signed_in = await cookie.sessions.sign_in(await _token(request), visitor(request, 303))
        except RequestError as error:
            wait = {"Retry-After": str(retry_after_seconds(error))} if isinstance(error, Throttled) else {}
            return _sign_in_page(where, error.message, error.http_status, wait)
        except DatabaseAway:
            return _sign_in_page(where, "Signing in does not work right now. Try again in a moment.", 503)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        await cookie.sessions.sign_out(cookie.secret(request), visitor(request, 303))  # of whoever sat here before
        response = _to(home)
        cookie.give(response, signed_in)
        return response

    async def sign_out(request: Request) -> Response:
        try:
            _check_own(cookie, request)
        except RequestError as error:
            return http_error(error, request_id_of(request.scope))
        await cookie.sessions.sign_out(cookie.secret(request), visitor(request, 204))
        response = Response(status_code=204, headers={"Cache-Control": "no-store"})
        cookie.take_back(response)
        return response

    return [
        Route(SIGN_IN_PATH, page, methods=["GET"]),
        Route(SIGN_IN_PATH, sign_in, methods=["POST"]),
        Route(SIGN_OUT_PATH, sign_out, methods=["POST"]),
    ]


def _check_own(cookie: AdminCookie, request: Request) -> None:
    """Nobody is signed in, or out, by another site's page."""
    if not cookie.is_own(request):
        raise Forbidden(_NOT_OUR_PAGE)


async def _token(request: Request) -> str:
    """The token in the form, also as somebody copies it: with `Bearer` before it, in quotes, over several lines."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise LimitExceeded("This is too long for an access token.")
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    words = " ".join(fields.get("token", [])).strip("\"' \r\n\t").split()
    token = "".join(words[1:] if words and words[0].lower() == "bearer" else words)
    if not token:
        raise Unauthenticated("Paste your access token first.")
    return token


def _to(address: str) -> Response:
    return RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})


def _sign_in_page(
    where: str, message: str = "", status: int = 200, headers: dict[str, str] | None = None, *, more: str = ""
) -> Response:
    alert = f'<p class="alert" id="alert" role="alert">{html.escape(message)}</p>' if message else ""
    hint = (HOME / "admin" / f"hint-{where}.html").read_text()
    text = filled((HOME / "admin" / "sign-in.html").read_text(), alert=alert, hint=hint, more=more)
    return HTMLResponse(text, status, _HEADERS | (headers or {}))
