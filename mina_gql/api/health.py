"""Health: `/health` says that the process lives, `/ready` that it can do its work."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def routes(check_database: Callable[[], Awaitable[bool]], worker_connected: Callable[[], bool] | None) -> list[Route]:
    """The two routes; `worker_connected` is None where no worker runs in this process."""

    async def health(_: Request) -> Response:
        return JSONResponse({"ok": True})

    async def ready(_: Request) -> Response:
        faults = []
        if not await check_database():
            faults.append("database")
        if worker_connected is not None and not worker_connected():
            faults.append("worker")
        return JSONResponse({"ok": not faults, "away": faults}, 503 if faults else 200, {"Cache-Control": "no-store"})

    return [Route("/health", health), Route("/ready", ready)]
