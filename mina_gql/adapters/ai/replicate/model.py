"""One model on Replicate (`domain.ports.MediaModel`): asked once, waited for, fetched, and told of without addresses."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

from mina_gql.adapters.ai import kling, seedream
from mina_gql.adapters.ai.inputs import with_pictures
from mina_gql.adapters.ai.pictures import data_url
from mina_gql.adapters.ai.replicate.api import Prediction, ReplicateApi
from mina_gql.adapters.ai.replicate.orders import Order, Orders
from mina_gql.adapters.ai.replicate.outputs import MAX_BYTES, Outputs, output_url
from mina_gql.adapters.ai.retries import LONGEST_TOLD_WAIT, VendorFault, failed, is_worth_another_try, told_wait
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.config import Role
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import Accepted, JsonObject, Media, MediaRequest, ProgressBus

Compose = Callable[[Role, MediaRequest], JsonObject]
COMPOSERS: Mapping[str, Compose] = {"still": seedream.compose, "video": kling.compose}
"""Who fills the input of a role, unless the registry's words say otherwise."""
ERROR_CHARS = 500
INLINED_PIXELS = 2_048
"""The longest side of a picture that is sent along: no model here looks at more, and a request should stay small."""

_MODERATED = re.compile(r"nsfw|sensitive|flagged|moderat|safety|risk control|content polic|prohibited|\bE005\b", re.IGNORECASE)
_ADDRESS = re.compile(r"\S*(?:https?:|data:|replicate|X-Amz-|Signature=)\S*", re.IGNORECASE)

log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """Seconds between two looks at a prediction: the first, each next one half as long again, and the longest.

    A webhook wakes earlier.
    """

    first: float = 1.0
    longest: float = 5.0


def topic_of(prediction_id: str) -> str:
    """What the webhook announces on the bus."""
    return f"prediction:{prediction_id}"


class ReplicateModel:
    """A model of the registry. `inline` sends pictures along instead of their addresses, which lead to this machine only.

    Those that are too large are made smaller in the `sandbox`, where there is one.
    """

    def __init__(
        self,
        role: Role,
        api: ReplicateApi,
        orders: Orders,
        outputs: Outputs,
        bus: ProgressBus,
        pace: Pace,
        sandbox: Sandbox | None,
        *,
        inline: bool,
    ) -> None:
        self._role = role
        self._api = api
        self._orders = orders
        self._outputs = outputs
        self._bus = bus
        self._pace = pace
        self._sandbox = sandbox
        self._inline = inline

    @property
    def name(self) -> str:
        return self._role.provider

    @property
    def model(self) -> str:
        return self._role.model

    async def generate(self, request: MediaRequest, into: Path, *, prediction_id: str | None, accepted: Accepted) -> Media:
        composed = COMPOSERS[self._role.name](self._role, request)
        if prediction_id is None:
            addresses = {slot: await self._address(slot, request) for slot in {**request.pictures, **request.urls}}
            order = Order(self.model, with_pictures(composed, addresses.__getitem__))
            prediction_id = await self._orders.place(order, accepted)
        else:
            self._orders.know(prediction_id)
        prediction = await self._ended(prediction_id)
        if prediction.status != "succeeded":
            raise _refusal(prediction)
        try:
            url = output_url(prediction.output)
        except VendorFault as fault:
            raise failed(fault) from None
        size = await self._outputs.fetch(url, into, MAX_BYTES[self._role.name])
        return Media({"model": self.model, "input": with_pictures(composed, str)}, _told(prediction, size))

    async def cancel(self, prediction_id: str) -> None:
        """Tell the vendor to stop; fine when it has ended. Raises GenerationFailed when it cannot be told."""
        await self._orders.cancel(prediction_id)

    async def _ended(self, prediction_id: str) -> Prediction:
        """The prediction when it has ended. The truth is what a look says; the webhook only wakes. Raises GenerationFailed.

        A vendor that is away for a while is waited for: what it makes is paid for, and the caller has the deadline.
        """
        pause = self._pace.first
        async with self._bus.watch(topic_of(prediction_id)) as wakeups:
            while True:
                told = 0.0
                try:
                    prediction = await self._api.get(prediction_id)
                except VendorFault as fault:
                    if not is_worth_another_try(fault, idempotent=True):
                        raise failed(fault) from None
                    told = min(told_wait(fault.headers) or 0.0, LONGEST_TOLD_WAIT)
                    log.warning("replicate: no news of a prediction", prediction=prediction_id, fault=str(fault))
                else:
                    if prediction.ended:
                        return prediction
                await wakeups.wait(max(pause, told))
                pause = min(pause * 1.5, self._pace.longest)

    async def _address(self, slot: str, request: MediaRequest) -> str:
        """Where the vendor finds a picture: its permanent URL, or the picture itself."""
        if slot in request.pictures and (self._inline or slot not in request.urls):
            return await data_url(request.pictures[slot], INLINED_PIXELS, self._sandbox)
        return request.urls[slot]


def _refusal(prediction: Prediction) -> GenerationFailed:
    """What a prediction that came to nothing is told as: words for people, and the vendor's, without addresses, for admins."""
    detail = f"prediction {prediction.id} {prediction.status}: {_ADDRESS.sub('<address>', prediction.error)[:ERROR_CHARS]}"
    if _MODERATED.search(prediction.error):
        message = "This cannot be made as it is. Change the brief or the pictures and try again."
        return GenerationFailed(FailureCode.MODERATED, message, detail=detail, retryable=False)
    if prediction.status == "failed":
        return GenerationFailed(FailureCode.PROVIDER_ERROR, "That did not work out. Please try again.", detail=detail)
    return GenerationFailed(FailureCode.PROVIDER_ERROR, "This was stopped before it was done. Please try again.", detail=detail)


def _told(prediction: Prediction, size: int) -> JsonObject:
    """What is kept of a prediction for admins: no address, no text of the model."""
    return {
        "prediction_id": prediction.id,
        "model": prediction.model,
        "version": prediction.version,
        "status": prediction.status,
        "metrics": {name: value for name, value in prediction.metrics.items() if isinstance(value, int | float)},
        "bytes": size,
    }
