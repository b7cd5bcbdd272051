"""Downloads from an object store: `GET /downloads/<key>?name=…` gives a public file as an attachment with a file name.

The store's own public addresses cannot do that, and signed ones do not last. Only our own keys lead anywhere.
"""

from collections.abc import AsyncIterator
from typing import Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from mina_gql.api.errors import http_error, request_id_of
from mina_gql.api.uploads import ASSET_HEADERS, attachment
from mina_gql.api.webhooks import Unavailable
from mina_gql.domain.assets import content_type_of
from mina_gql.domain.errors import NoSuchThing
from mina_gql.domain.ports import StorageError

log = structlog.get_logger(__name__)


class Downloads(Protocol):
    """What the object store offers beside `ObjectStore`."""

    async def size_of(self, key: str) -> int | None:
        """The bytes of a public object, or None where there is none. Raises StorageError."""
        ...

    def chunks_of(self, key: str) -> AsyncIterator[bytes]:
        """A public object's bytes as they come."""
        ...


def routes(store: Downloads) -> list[Route]:
    """The route that serves `store`; CORS is the app's."""

    async def download(request: Request) -> Response:
        key = request.path_params["key"]
        try:
            size = await store.size_of(key)
        except StorageError as error:
            log.warning("downloads: the object store is away", fault=str(error))
            return http_error(Unavailable("Files cannot be reached now. Try again in a minute."), request_id_of(request.scope))
        if size is None:
            return http_error(NoSuchThing("There is no such file."), request_id_of(request.scope))
        headers = {
            **ASSET_HEADERS,
            "Content-Disposition": attachment(request.query_params.get("name") or key.rpartition("/")[2]),
            "Content-Length": str(size),
        }
        content_type = content_type_of(key)
        if request.method == "HEAD":
            return Response(headers=headers, media_type=content_type)
        return StreamingResponse(store.chunks_of(key), headers=headers, media_type=content_type)

    return [Route("/downloads/{key:path}", download)]
