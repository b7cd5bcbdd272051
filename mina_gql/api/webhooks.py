"""Webhooks at the edge: the signature over the raw bytes first, then who sent what, then the work, then the answer."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mina_gql.api.errors import http_error, request_id_of
from mina_gql.domain import observing
from mina_gql.domain.errors import Forbidden, LimitExceeded, RequestError, Unauthenticated
from mina_gql.domain.shopify import TOPICS, ShopifyPayloadError
from mina_gql.mega.database import DatabaseAway

SHOPIFY_PATH = "/api/credits/shopify-order"
MAX_BODY_BYTES = 1024 * 1024

log = structlog.get_logger(__name__)


class Booking(Protocol):
    """What a delivery changed."""

    @property
    def credited(self) -> int: ...

    @property
    def clawed_back(self) -> int: ...


class Orders(Protocol):
    """Who books deliveries."""

    async def receive(self, topic: str, payload: object) -> Booking:
        """Book what a webhook tells; committed when it returns. Raises ShopifyPayloadError and DatabaseAway."""
        ...


class BodyTooLarge(LimitExceeded):
    """More bytes than any webhook needs."""

    http_status = 413

    def __init__(self) -> None:
        super().__init__("A webhook's body has at most 1 MiB.")


class BodyTooSlow(RequestError):
    """The body did not come in time."""

    code = "TIMEOUT"
    http_status = 408


class Unavailable(RequestError):
    """It cannot be taken now; the sender sends it again."""

    code = "UNAVAILABLE"
    http_status = 503


@dataclass(frozen=True, slots=True)
class ShopifyReceiver:
    """Who may send what, and who books it. `shop` is the shop's domain; one secret, or two while they are being changed.

    Shopify gives up on a delivery after 5 seconds, so it is answered before.
    """

    orders: Orders
    shop: str
    secrets: tuple[str, ...]
    body_seconds: float = 10.0
    answer_seconds: float = 4.5

    async def receive(self, request: Request) -> Booking | None:
        """Check and book one delivery; None for a payload that cannot be read. Raises RequestError."""
        if not self.secrets or not all(self.secrets) or not self.shop:
            raise Unavailable("The shop's webhooks are not set up on this server.")
        body = await body_of(request, self.body_seconds)
        if not self._is_signed(body, request.headers.get("x-shopify-hmac-sha256", "")):
            raise Unauthenticated("The signature does not fit the body.")
        if request.headers.get("x-shopify-shop-domain", "").lower() != self.shop.lower():
            raise Forbidden("This is not our shop.")
        topic = request.headers.get("x-shopify-topic", "")
        if topic not in TOPICS:
            raise Forbidden("This topic is not listened to.")
        try:
            return await _within(self.answer_seconds, self.orders.receive(topic, _json(body)))
        except ShopifyPayloadError as error:
            # It will not be readable the next time either, and Shopify drops the whole subscription after some refusals.
            log.warning("shopify: unreadable webhook", topic=topic, reason=str(error), request_id=request_id_of(request.scope))
            return None
        except (DatabaseAway, TimeoutError) as error:
            log.warning("shopify: not booked, to be sent again", topic=topic, reason=type(error).__name__)
            raise Unavailable("This cannot be booked now. Send it again.") from error

    def _is_signed(self, body: bytes, signature: str) -> bool:
        """Whether one of the secrets made the signature. Every secret is tried, each in constant time."""
        given = signature.encode("latin-1", "replace")
        made = [base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)) for secret in self.secrets]
        return sum(hmac.compare_digest(each, given) for each in made) > 0


async def body_of(request: Request, seconds: float) -> bytes:
    """A webhook's whole body. Raises BodyTooLarge, BodyTooSlow and ClientDisconnect."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 7 or int(announced) > MAX_BODY_BYTES):
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise BodyTooLarge
    except TimeoutError:
        raise BodyTooSlow("The body did not come in time.") from None
    return bytes(body)


def routes(receiver: ShopifyReceiver) -> list[Route]:
    """The route that Shopify calls."""

    async def shopify_order(request: Request) -> Response:
        topic = request.headers.get("x-shopify-topic", "")
        try:
            booked = await receiver.receive(request)
        except RequestError as error:
            observing.webhook("shopify", topic if topic in TOPICS else "other", error.code.lower())
            return http_error(error, request_id_of(request.scope))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it, and nothing was booked
        observing.webhook("shopify", topic, "unreadable" if booked is None else "booked")
        answer: dict[str, Any] = {"ok": True, "read": booked is not None}
        if booked is not None:
            answer |= {"credited": booked.credited, "clawedBack": booked.clawed_back}
        return Response(orjson.dumps(answer), media_type="application/json")

    return [Route(SHOPIFY_PATH, shopify_order, methods=["POST"])]


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ShopifyPayloadError("the body is no JSON") from None


async def _within(seconds: float, work: Coroutine[Any, Any, Booking]) -> Booking:
    """The work's result. Raises TimeoutError without waiting for the work to stop: a database that hangs may hang for long.

    Whether it committed or not, the same delivery comes again and finds what was done.
    """
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.add_done_callback(_forget)
        task.cancel()
        raise TimeoutError
    return task.result()


def _forget(task: asyncio.Task[Booking]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("shopify: a late booking failed", reason=type(error).__name__)
