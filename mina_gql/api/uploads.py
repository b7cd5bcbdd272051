"""The disk store at the edge: `PUT /uploads/<token>` takes a picture in, `GET /assets/<key>` gives public files out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from mina_gql.api.errors import http_error, request_id_of
from mina_gql.api.webhooks import Unavailable
from mina_gql.domain.assets import CONTENT_TYPES, FILE_NAME_CHARS, MAX_UPLOAD_BYTES
from mina_gql.domain.errors import InvalidInput, LimitExceeded, NoSuchThing, Refusal, RequestError
from mina_gql.domain.ports import StorageError

ASSET_HEADERS = {
    # A key is random and its bytes never change.
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    # The studio's pages, on another origin, show these files.
    "Cross-Origin-Resource-Policy": "cross-origin",
    # Should one of these files ever be taken for a page, it can run and reach nothing.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
}


class UploadReceiver(Protocol):
    """What a store offers beside `ObjectStore`."""

    async def accept_upload(self, token: str, content_type: str, length: int | None, body: AsyncIterator[bytes]) -> None:
        """Stage the bytes a token was signed for. Raises Forbidden, AssetRejected and StorageError."""
        ...


class PublicFiles(Protocol):
    """What the disk store offers beside that."""

    def path_of(self, key: str) -> Path | None:
        """The file of a public object, or None."""
        ...


class UploadTooLarge(LimitExceeded):
    """More bytes than any upload may have."""

    http_status = 413

    def __init__(self) -> None:
        super().__init__("A picture has at most 25 MB.")


def routes(receiver: UploadReceiver) -> list[Route]:
    """The route that takes pictures in; CORS is the app's."""

    async def upload(request: Request) -> Response:
        try:
            length = _announced(request)
            content_type = request.headers.get("content-type", "")
            await receiver.accept_upload(request.path_params["token"], content_type, length, _capped(request.stream()))
        except (Refusal, RequestError) as error:
            return http_error(error, request_id_of(request.scope))
        except StorageError:
            gone = Unavailable("The picture cannot be kept right now. Send it again.")
            return http_error(gone, request_id_of(request.scope))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it, and nothing was kept
        return Response(status_code=204)

    return [Route("/uploads/{token}", upload, methods=["PUT"])]


def asset_routes(files: PublicFiles) -> list[Route]:
    """The route that gives public files out."""

    async def asset(request: Request) -> Response:
        path = await asyncio.to_thread(files.path_of, request.path_params["key"])
        if path is None:
            return http_error(NoSuchThing("There is no such file."), request_id_of(request.scope))
        headers = dict(ASSET_HEADERS)
        if "download" in request.query_params:
            headers["Content-Disposition"] = attachment(request.query_params["download"] or path.name)
        return FileResponse(path, headers=headers, media_type=CONTENT_TYPES[path.suffix.removeprefix(".")])

    return [Route("/assets/{key:path}", asset, methods=["GET", "HEAD"])]


def _announced(request: Request) -> int | None:
    """The request's Content-Length, None without one. Raises UploadTooLarge before a byte of it is read."""
    announced = request.headers.get("content-length")
    if announced is None:
        return None
    if not (announced.isascii() and announced.isdecimal()):
        raise InvalidInput("Content-Length is a number of bytes.")
    if len(announced) > len(str(MAX_UPLOAD_BYTES)) or int(announced) > MAX_UPLOAD_BYTES:
        raise UploadTooLarge
    return int(announced)


async def _capped(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes of `body` as they come; raises UploadTooLarge at the first one too many."""
    received = 0
    async for chunk in body:
        received += len(chunk)
        if received > MAX_UPLOAD_BYTES:
            raise UploadTooLarge
        yield chunk


def attachment(name: str) -> str:
    """`Content-Disposition` with a file name of any letters (RFC 6266), none of which leads to another directory."""
    tame = "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in name)
    return f"attachment; filename*=UTF-8''{quote(tame.strip('. ')[:FILE_NAME_CHARS] or 'download', safe='')}"
