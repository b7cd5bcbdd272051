"""The disk store's two addresses: `PUT /uploads/<token>` takes a picture, `GET /assets/<key>` serves one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from mina_gql.api.errors import http_error, request_id_of
from mina_gql.domain.errors import AssetRejected

CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "mp4": "video/mp4"}
_SERVED = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


class UploadReceiver(Protocol):
    """What the routes need of a store."""

    async def accept_upload(self, token: str, content_type: str, length: int | None, body: AsyncIterator[bytes]) -> None:
        """Take the bytes that a token allows. Raises AssetRejected, maybe with a `status`."""
        ...

    def path_of(self, key: str) -> Path | None:
        """The file behind a key, or None."""
        ...


def routes(receiver: UploadReceiver) -> list[Route]:
    """Both routes."""

    async def put(request: Request) -> Response:
        length = request.headers.get("content-length", "")
        try:
            await receiver.accept_upload(
                request.path_params["token"],
                request.headers.get("content-type", ""),
                int(length) if length.isdigit() else None,
                request.stream(),
            )
        except AssetRejected as error:
            refused = http_error(error, request_id_of(request.scope))
            refused.status_code = getattr(error, "status", refused.status_code)
            return refused
        return Response(status_code=204)

    async def get(request: Request) -> Response:
        key = request.path_params["key"]
        path = receiver.path_of(key)
        if path is None:
            return JSONResponse({"ok": False, "error": {"code": "NOT_FOUND", "message": "There is no such file."}}, 404)
        headers = dict(_SERVED)
        if name := request.query_params.get("download"):
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name[:200])}"
        return FileResponse(path, headers=headers, media_type=CONTENT_TYPES[key.rpartition(".")[2]])

    return [Route("/uploads/{token}", put, methods=["PUT"]), Route("/assets/{key:path}", get, methods=["GET", "HEAD"])]
