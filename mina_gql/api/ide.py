"""GraphiQL at the GraphQL address, for browsers: the page with its tour, and the files it is made of, all our own."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from os import PathLike, stat_result
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from mina_gql.domain.passes import Login
from mina_gql.domain.ports import JsonObject

HOME = Path(__file__).with_name("graphiql")
SIGN_IN_PATH = "/admin/sign-in"
SIGN_OUT_PATH = "/admin/sign-out"
_STATIC = HOME / "static"
_FILES_PREFIX = "/graphiql"
_OF_SIGN_IN = {"leaf.svg", "sign-in.css"}

AdminOf = Callable[[Request], Awaitable[Login | None]]
"""Which admin signed in with the browser that asks, if one did."""


async def _nobody(_: Request) -> None:
    return None


def ide(
    prefix: str = "/graphql",
    *,
    upload_origins: Sequence[str] = (),
    is_open: bool = True,
    admin_of: AdminOf = _nobody,
) -> list[BaseRoute]:
    """Routes to put before the GraphQL endpoint's own: the page at `prefix`, its files under `/graphiql`.

    The page answers only GET with `Accept: text/html`; every other request at `prefix` goes on to the next route.
    `upload_origins` are the origins that presigned uploads go to, where that is not our own: `https://<store>`.
    An admin who has signed in (`admin_of`) gets the admins' operations; a stranger the tour where it `is_open`, else the way to
    sign in.
    """
    html = _page({"endpoint": prefix, "tour": tour()})
    headers = _PAGE_HEADERS | {"Content-Security-Policy": _content_security_policy(upload_origins)}

    async def page(request: Request) -> Response:
        admin = await admin_of(request)
        if admin is not None:
            known = {"endpoint": prefix, "tour": tour("admin"), "admin": admin.email or admin.user_id, "signOut": SIGN_OUT_PATH}
            return HTMLResponse(_page(known), headers=headers | _NOT_KEPT)
        if is_open:
            return HTMLResponse(html, headers=headers)
        return RedirectResponse(SIGN_IN_PATH, 303, headers=_PAGE_HEADERS | _NOT_KEPT)

    return [_BrowserRoute(prefix, page), Mount(_FILES_PREFIX, _Files(None if is_open else admin_of))]


def tour(folder: str = "tour") -> list[dict[str, str | None]]:
    """The tabs of a folder in order: `{"query": text, "variables": JSON text or null}`, as GraphiQL's `defaultTabs`."""
    return [
        {"query": operations.read_text(), "variables": variables.read_text().strip() if variables.exists() else None}
        for operations in sorted((HOME / folder).glob("*.graphql"))
        for variables in [operations.with_suffix(".json")]
    ]


def filled(page: str, **texts: str) -> str:
    """A page of ours with its `{{…}}` filled: HTML by its name, and each file's address with its hash."""

    def fill(placeholder: re.Match[str]) -> str:
        name = placeholder[1]
        return texts[name] if name in texts else f"{_FILES_PREFIX}/{name}?v={_digest(_STATIC / name)}"

    return re.sub(r"\{\{(.+?)\}\}", fill, page)


class _BrowserRoute(Route):
    """A route that only a browser asking for a page sees."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match is Match.FULL and "text/html" in Headers(scope=scope).get("accept", ""):
            return match, child_scope
        return Match.NONE, {}


class _Files(StaticFiles):
    """The page's files: for ever where the address carries their hash, asked again by ETag otherwise.

    With `admin_of`, a stranger gets those of the sign-in page alone.
    """

    def __init__(self, admin_of: AdminOf | None) -> None:
        super().__init__(directory=_STATIC)
        self._admin_of = admin_of

    async def get_response(self, path: str, scope: Scope) -> Response:
        if self._admin_of is not None and path not in _OF_SIGN_IN and await self._admin_of(Request(scope)) is None:
            return Response(status_code=404, headers={"Cache-Control": "no-store"})
        return await super().get_response(path, scope)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        current = QueryParams(scope["query_string"]).get("v") == _digest(Path(full_path))
        whose = "public" if self._admin_of is None else "private"
        response.headers["Cache-Control"] = f"{whose}, max-age=31536000, immutable" if current else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


_NOT_KEPT = {"Cache-Control": "no-store"}  # it is the admin's own
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Vary": "Accept",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _content_security_policy(upload_origins: Sequence[str]) -> str:
    """Nothing but our own files; pictures from wherever results are kept."""
    return "; ".join(
        [
            "default-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # GraphiQL's dialogs lock scrolling with a <style> of their own
            "font-src data:",  # its fonts stand inside its style sheet
            "img-src 'self' data: https: http:",
            "media-src 'self' https: http:",
            " ".join(["connect-src 'self' ws: wss:", *upload_origins]),
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _page(config: JsonObject) -> str:
    """index.html with what it is to know."""
    # "<" is written as an escape, so that no text of the tour can close the script element it stands in.
    return filled((HOME / "index.html").read_text(), config=json.dumps(config).replace("<", "\\u003c"))


@cache
def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
