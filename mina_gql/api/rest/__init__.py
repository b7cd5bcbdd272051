"""The REST routes of seeds 003 and 000, for the frontend that speaks them: thin aliases over the services (docs/rest.md)."""

from collections import defaultdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mina_gql.api.auth import Authenticator
from mina_gql.api.rest import admin, assets, credits, feedback, generations, history, passes, progress, sessions
from mina_gql.api.rest.description import describe
from mina_gql.api.rest.endpoint import Desk, Endpoint
from mina_gql.api.rest.table import Operation
from mina_gql.api.rest.waiting import Drain
from mina_gql.api.services import Services

TABLE: tuple[Operation[Any], ...] = (
    *passes.OPERATIONS,
    *sessions.OPERATIONS,
    *credits.OPERATIONS,
    *assets.OPERATIONS,
    *generations.OPERATIONS,
    *progress.OPERATIONS,
    *feedback.OPERATIONS,
    *history.OPERATIONS,
    *admin.OPERATIONS,
)
"""Every route there is."""


class Rest:
    """The routes of one app. `heartbeat` is seconds (see `streams`)."""

    def __init__(self, services: Services, authenticator: Authenticator, *, heartbeat: float = 12.0) -> None:
        self._drain = Drain()
        self._desk = Desk(services, authenticator, self._drain, heartbeat)

    def routes(self) -> list[Route]:
        """The routes of the table, and their description at `/openapi.json`."""
        by_path: defaultdict[str, dict[str, Operation[Any]]] = defaultdict(dict)
        for operation in TABLE:
            by_path[operation.path][operation.method] = operation
        described = orjson.dumps(describe(TABLE), option=orjson.OPT_INDENT_2)

        async def openapi(_: Request) -> Response:
            return Response(described, media_type="application/json", headers={"Cache-Control": "no-cache"})

        paths = [Route(path, Endpoint(operations, self._desk)) for path, operations in by_path.items()]
        return [*paths, Route("/openapi.json", openapi)]

    def drain(self) -> None:
        """Answer whoever waits, and end the open streams; their clients come again."""
        self._drain.begin()
