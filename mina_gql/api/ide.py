"""GraphiQL at the GraphQL address, for browsers: the page with its tour, and the files it is made of, all our own."""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from os import PathLike, stat_result
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_HOME = Path(__file__).with_name("graphiql")
_STATIC = _HOME / "static"
_FILES_PREFIX = "/graphiql"


def ide(prefix: str = "/graphql", *, upload_origins: Sequence[str] = ()) -> list[BaseRoute]:
    """Routes to put before the GraphQL endpoint's own: the page at `prefix`, its files under `/graphiql`.

    The page answers only GET with `Accept: text/html`; every other request at `prefix` goes on to the next route.
    `upload_origins` are the origins that presigned uploads go to, where that is not our own: `https://<store>`.
    """
    html = _page(prefix)
    headers = _PAGE_HEADERS | {"Content-Security-Policy": _content_security_policy(upload_origins)}

    async def page(_: Request) -> Response:
        return HTMLResponse(html, headers=headers)

    return [_BrowserRoute(prefix, page), Mount(_FILES_PREFIX, _Files(directory=_STATIC))]


def tour() -> list[dict[str, str | None]]:
    """The tour's tabs in order: `{"query": text, "variables": JSON text or null}`, as GraphiQL's `defaultTabs`."""
    return [
        {"query": operations.read_text(), "variables": variables.read_text().strip() if variables.exists() else None}
        for operations in sorted((_HOME / "tour").glob("*.graphql"))
        for variables in [operations.with_suffix(".json")]
    ]


class _BrowserRoute(Route):
    """A route that only a browser asking for a page sees."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match is Match.FULL and "text/html" in Headers(scope=scope).get("accept", ""):
            return match, child_scope
        return Match.NONE, {}


class _Files(StaticFiles):
    """The page's files: for ever where the address carries their hash, asked again by ETag otherwise."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        current = QueryParams(scope["query_string"]).get("v") == _digest(Path(full_path))
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


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


def _page(endpoint: str) -> str:
    """index.html with its `{{…}}` filled: the configuration, and each file's address with its hash."""
    # "<" is written as an escape, so that no text of the tour can close the script element it stands in.
    config = json.dumps({"endpoint": endpoint, "tour": tour()}).replace("<", "\\u003c")

    def fill(placeholder: re.Match[str]) -> str:
        name = placeholder[1]
        return config if name == "config" else f"{_FILES_PREFIX}/{name}?v={_digest(_STATIC / name)}"

    return re.sub(r"\{\{(.+?)\}\}", fill, (_HOME / "index.html").read_text())


@cache
def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
