"""The paid call: a prediction is asked for once, whatever becomes of the answer.

| what comes back              | became of it | what is done                                                          |
|------------------------------|--------------|-----------------------------------------------------------------------|
| refused connection, 425, 429 | nothing      | ask again                                                             |
| another 4xx                  | nothing      | end                                                                   |
| 408, 409, 5xx, cut, too late | nobody knows | look at the list: there, adopt it; not there, ask again; no list, end |
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from datetime import timedelta
from enum import Enum, auto
from typing import Any, NamedTuple, TypeVar

import structlog

from mina_gql.adapters.ai.replicate.api import Prediction, ReplicateApi
from mina_gql.adapters.ai.retries import FaultKind, VendorFault, with_retries
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import Accepted, JsonObject

SETTLE_SECONDS = 1.0
"""So long after a lost answer the list is asked: what was made should stand there by then."""
SKEW_SECONDS = 30.0
"""The vendor's machines may differ by this much in what time it is."""
GRACE_SECONDS = 20.0
"""So long a run that is told to stop waits for the answer to a paid call that is out, to keep its id."""
KNOWN = 1_000

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Order(NamedTuple):
    """What is asked for: the registry's model, and the input as it is sent."""

    model: str
    input: JsonObject


class Likeness(Enum):
    """Whether a listed prediction is one of an order."""

    SAME = auto()
    UNSURE = auto()
    OTHER = auto()


class Orders:
    """Places orders with one account; remembers which predictions are somebody's."""

    def __init__(self, api: ReplicateApi, webhook: str | None, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._api = api
        self._webhook = webhook
        self._settle_seconds = settle_seconds
        self._known: deque[str] = deque(maxlen=KNOWN)

    def know(self, prediction_id: str) -> None:
        """Remember that a prediction is somebody's."""
        self._known.append(prediction_id)

    async def place(self, order: Order, accepted: Accepted) -> str:
        """The id of the prediction that was made for an order, once `accepted` has taken it. Raises GenerationFailed.

        When `accepted` raises, the prediction is cancelled and the error goes on.
        """
        started = time.monotonic()

        async def ask() -> str:
            return await _unbroken(self._ask(order, started, accepted))

        return await with_retries(ask)

    async def cancel(self, prediction_id: str) -> None:
        """Stop a prediction; fine when it has ended or is unknown. Raises GenerationFailed."""

        async def stop() -> None:
            try:
                await self._api.cancel(prediction_id)
            except VendorFault as fault:
                if fault.status not in {400, 404, 409, 410, 422}:
                    raise

        await with_retries(stop)

    async def _ask(self, order: Order, started: float, accepted: Accepted) -> str:
        try:
            name = (await self._api.create(order.model, order.input, self._webhook)).id
        except VendorFault as fault:
            if not _leaves_open(fault):
                raise
            log.warning("replicate: the answer to an order was lost", fault=str(fault))
            found = await self._find(order, started, fault)
            if found is None:
                raise
            name = found
        self.know(name)
        try:
            await accepted(name)
        except Exception:
            await self._give_up(name)
            raise
        return name

    async def _find(self, order: Order, started: float, fault: VendorFault) -> str | None:
        """The prediction of an order whose answer was lost, or None when it was surely not made. Raises GenerationFailed."""
        await asyncio.sleep(self._settle_seconds)
        try:
            newest = await with_retries(self._api.newest)
        except GenerationFailed as error:
            raise _lost(f"{fault}; the list: {error.detail}") from None
        since = self._api.now() - timedelta(seconds=time.monotonic() - started + SKEW_SECONDS)
        # What another run of this process was told is its own; what has no time may be new.
        fresh = [one for one in newest if one.id not in self._known and (one.created_at or since) >= since]
        likeness = {one.id: _likeness(order, one) for one in fresh}
        same = [name for name, like in likeness.items() if like is Likeness.SAME]
        if same:
            log.info("replicate: found the prediction of a lost answer", prediction=same[0])
            return same[0]
        if Likeness.UNSURE in likeness.values():
            raise _lost(f"{fault}; the list has one that may be ours")
        return None

    async def _give_up(self, prediction_id: str) -> None:
        try:
            await self.cancel(prediction_id)
        except GenerationFailed as error:
            log.warning("replicate: a prediction that nobody waits for goes on", prediction=prediction_id, reason=error.detail)


def _leaves_open(fault: VendorFault) -> bool:
    """Whether the prediction may have been made."""
    if fault.kind is FaultKind.STATUS:
        return fault.status is not None and (fault.status in {408, 409} or fault.status >= 500)
    return fault.kind in {FaultKind.CUT, FaultKind.TIMEOUT}


def _likeness(order: Order, listed: Prediction) -> Likeness:
    """The same in every field; pictures too, for the same words go with many people's pictures."""
    if listed.model != order.model.partition(":")[0]:
        return Likeness.OTHER
    if not listed.input:
        return Likeness.UNSURE
    likeness = Likeness.SAME if listed.input.keys() <= order.input.keys() else Likeness.UNSURE
    for name, sent in order.input.items():
        told = listed.input.get(name)
        if told == sent:
            continue
        if not _is_inlined(sent):
            return Likeness.OTHER
        likeness = Likeness.UNSURE  # bytes that were sent along may be told as an address
    return likeness


def _is_inlined(value: Any) -> bool:
    return any(isinstance(each, str) and each.startswith("data:") for each in (value if isinstance(value, list) else [value]))


def _lost(detail: str) -> GenerationFailed:
    return GenerationFailed(
        FailureCode.PROVIDER_ERROR, "The studio is very busy at the moment. Please try again in a few minutes.", detail=detail
    )


async def _unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end of the work even when told to stop (within GRACE_SECONDS), and stop then."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
