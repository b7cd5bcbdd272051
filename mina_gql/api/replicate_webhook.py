"""`POST /api/webhooks/replicate`: a prediction has ended. It only wakes who waits for it; what is true is asked of the vendor.

So one that comes before anybody waits, comes twice or lies about its content can do no harm.
https://replicate.com/docs/topics/webhooks/verify-webhook, https://www.standardwebhooks.com
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mina_gql.api.errors import http_error, request_id_of
from mina_gql.api.webhooks import Unavailable, body_of
from mina_gql.domain import observing
from mina_gql.domain.errors import RequestError, Unauthenticated
from mina_gql.domain.ports import ProgressBus

REPLICATE_PATH = "/api/webhooks/replicate"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReplicateReceiver:
    """Who is told of what has ended. `secret` is the account's signing secret, `whsec_…`; None where webhooks are not set up."""

    bus: ProgressBus
    secret: str | None
    body_seconds: float = 10.0

    async def receive(self, request: Request) -> None:
        """Check one delivery, signed within the last five minutes, and announce its prediction. Raises RequestError."""
        if self.secret is None:
            raise Unavailable("These webhooks are not set up on this server.")
        body = await body_of(request, self.body_seconds)
        try:
            Webhook(self.secret).verify(body, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # the library splits and decodes headers as they come
            raise Unauthenticated("The signature does not fit the body, or is too old.") from None
        prediction = _prediction_in(body)
        if prediction is None:
            log.warning("replicate: unreadable webhook", request_id=request_id_of(request.scope))
            return
        await self.bus.announce_topic(f"prediction:{prediction}")


def routes(receiver: ReplicateReceiver) -> list[Route]:
    """The route that Replicate calls."""

    async def replicate(request: Request) -> Response:
        try:
            await receiver.receive(request)
        except RequestError as error:
            observing.webhook("replicate", "prediction", error.code.lower())
            return http_error(error, request_id_of(request.scope))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        observing.webhook("replicate", "prediction", "announced")
        return Response(b'{"ok":true}', media_type="application/json")

    return [Route(REPLICATE_PATH, replicate, methods=["POST"])]


def _prediction_in(body: bytes) -> str | None:
    """The id of the prediction that a body tells of, if there is one."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    name = told.get("id") if isinstance(told, dict) else None
    return name if isinstance(name, str) and _ID.fullmatch(name) else None
