"""What the tests of Replicate share: the vendor before a fake of it, a bus in memory, roles of the registry, requests."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import stamina

from mina_gql.adapters.ai.replicate import ReplicateVendor
from mina_gql.adapters.ai.replicate.model import Pace
from mina_gql.adapters.progress import Wakeup
from mina_gql.domain.config import Role, role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.ports import JsonObject, Media, MediaRequest, Picture
from tests.studio import PNG
from tests.vendors.replicate_server import TOKEN, Replicate, running

STORE = "https://files.mina.example"
SOON = Pace(0.001, 0.001)
NEVER = Pace(3600, 3600)
"""Only a webhook can wake whoever waits like this."""


class MemoryBus:
    """`domain.ports.ProgressBus` within this process. `watched` is set once somebody watches."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.watched = asyncio.Event()
        self._watchers: defaultdict[str, set[Wakeup]] = defaultdict(set)

    async def announce(self, generation: str, seq: int) -> None:
        raise AssertionError("no vendor speaks of generations")

    async def announce_topic(self, topic: str) -> None:
        self.topics.append(topic)
        for wakeup in self._watchers[topic]:
            wakeup.set()

    @asynccontextmanager
    async def watch(self, topic: str) -> AsyncIterator[Wakeup]:
        wakeup = Wakeup()
        self._watchers[topic].add(wakeup)
        self.watched.set()
        try:
            yield wakeup
        finally:
            self._watchers[topic].discard(wakeup)


class Ids(list[str]):
    """The ids that were accepted; raises `fault` once it has one."""

    fault: Exception | None = None

    async def __call__(self, prediction_id: str) -> None:
        self.append(prediction_id)
        if self.fault is not None:
            raise self.fault


def registry_role(name: str, **changes: Any) -> Role:
    """A role as it is seeded, with changes to its entry in the registry: configuration and nothing else."""
    entry = {**SEED["mma.provider.registry"]["roles"][name], **changes}
    return role_of({"roles": {name: entry}}, name)


def request(*slots: str, prompt: str = "A bottle on wet stone", **settings: Any) -> MediaRequest:
    """What is asked for, with a picture in each slot."""
    picture = Picture(PNG, "image/png", 8, 6)
    urls = {slot: f"{STORE}/uploads/{slot}.png" for slot in slots}
    return MediaRequest("generation:1", prompt, "3:2", settings, dict.fromkeys(slots, picture), urls)


class Till:
    """Asks one vendor, and keeps what came."""

    def __init__(self, vendor: ReplicateVendor, folder: Path) -> None:
        self.vendor = vendor
        self.path = folder / "output"
        self.ids = Ids()

    async def still(self, asked: MediaRequest | None = None, *, prediction_id: str | None = None, **changes: Any) -> Media:
        model = self.vendor.media(registry_role("still", **changes))
        return await model.generate(asked or request("product"), self.path, prediction_id=prediction_id, accepted=self.ids)

    async def clip(self, asked: MediaRequest | None = None, **changes: Any) -> Media:
        model = self.vendor.media(registry_role("video", **changes))
        return await model.generate(asked or request("start"), self.path, prediction_id=None, accepted=self.ids)


def sent(replicate: Replicate) -> JsonObject:
    """The input of the one create there was."""
    (body,) = replicate.bodies
    return body["input"]


@pytest.fixture
async def replicate() -> AsyncIterator[Replicate]:
    """The vendor's side."""
    async with running(Replicate()) as server:
        yield server


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@asynccontextmanager
async def opened(base_url: str, bus: MemoryBus, **wiring: Any) -> AsyncIterator[ReplicateVendor]:
    """Our side."""
    wiring = {"pace": SOON, "settle_seconds": 0.0, **wiring}
    vendor = ReplicateVendor(wiring.pop("token", TOKEN), bus, base_url=base_url, **wiring)
    try:
        yield vendor
    finally:
        await vendor.close()


@pytest.fixture
async def till(replicate: Replicate, bus: MemoryBus, tmp_path: Path) -> AsyncIterator[Till]:
    """Our side, before the vendor's."""
    async with opened(replicate.base, bus) as vendor:
        yield Till(vendor, tmp_path)


@pytest.fixture
def hurried() -> Iterator[None]:
    """No waits between tries; how many there are is the policy's own."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
