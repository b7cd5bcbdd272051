"""People who do everything at once to a studio whose connections keep dying."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import asyncpg

from mina_gql.domain import shopify
from mina_gql.domain.errors import GenerationFailed, IdempotencyKeyReused, InsufficientMatcha, NotFound
from mina_gql.domain.passes import Caller, Login
from mina_gql.domain.pipeline import EventType, FailureCode, GenerationKind, new_generation_id
from mina_gql.mega import buyers
from mina_gql.mega.admin import Actor
from mina_gql.mega.database import DatabaseAway
from mina_gql.mega.generations.accepting import NewGeneration
from tests.money.ledger_model import Asked
from tests.studio import ADDRESS, NOBODY, SECRET, Studio

FAILED = GenerationFailed(FailureCode.PROVIDER_ERROR, "The picture could not be made.")
ADMIN = Actor(str(uuid4()), "admin@mina.example", ADDRESS, "tests", "/graphql", "adjustCredits", 200)
USERS, GUESTS = 3, 5
TRIES = 100
Result = TypeVar("Result")


async def surely(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do it until the database has answered: a lost connection says nothing of whether it was done."""
    for _ in range(TRIES):
        with suppress(DatabaseAway):
            return await work()
    raise AssertionError("the database never came back")


@dataclass
class Crowd:
    """Everybody in the studio. `done` counts what they did, by act."""

    studio: Studio
    chance: random.Random
    hand: asyncpg.Connection  # changes rows behind the studio's back; nobody cuts it
    asked: Asked = field(default_factory=Asked)
    done: dict[str, int] = field(default_factory=dict)
    guests: list[str] = field(default_factory=list)
    users: list[Login] = field(default_factory=list)
    homes: dict[str, str] = field(default_factory=dict)  # a user's Pass
    payloads: dict[str, dict[str, Any]] = field(default_factory=dict)  # orders
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    numbers: int = 1000
    hands: asyncio.Lock = field(default_factory=asyncio.Lock)

    ACTS: ClassVar = {
        "charge": 34, "charge again": 4, "fail": 18, "buy": 10, "tell again": 5, "send back": 7,
        "adjust": 9, "adjust again": 2, "expire": 2, "sweep": 1, "touch": 3, "sign in": 5,
    }  # fmt: skip

    async def open(self) -> None:
        """Let everybody in."""
        self.guests = [await self._guest() for _ in range(GUESTS)]
        for _ in range(USERS):
            self.users.append(Login(str(uuid4()), None, False, False, False, None, False, 4e9))
            await self._sign_in(self.users[-1], None)

    async def act(self) -> None:
        """Do something."""
        name = self.chance.choices(list(self.ACTS), list(self.ACTS.values()))[0]
        await getattr(self, f"_{name.replace(' ', '_')}")()
        self.done[name] = self.done.get(name, 0) + 1

    async def close(self) -> None:
        """Let every delivery that was ever sent come once more, in any order."""
        everything = [("orders/paid", each) for each in self.payloads.values()]
        everything += [("refunds/create", each) for each in self.refunds.values()]
        self.chance.shuffle(everything)
        for topic, payload in everything:
            await self._tell(topic, payload)

    # ------------------------------------------------------------ acts

    async def _charge(self) -> None:
        await self._order(new_generation_id(), self._anybody(), self.chance.choice([1, 1, 1, 5]))

    async def _charge_again(self) -> None:
        """The same key twice at once."""
        generation, pass_id = new_generation_id(), self._anybody()
        await asyncio.gather(*(self._order(generation, pass_id, 1) for _ in range(2)))

    async def _fail(self) -> None:
        """Sometimes one that has ended already."""
        if not self.running:
            return
        generation = self.chance.choice(self.running[-40:])
        self.asked.failed.add(generation)
        await surely(lambda: self.studio.mina.endings.fail(f"generation:{generation}", FAILED, lease=None))

    async def _buy(self) -> None:
        """An order is made; one in four is told later."""
        number, packs, each = self._number(), self.chance.randint(1, 3), self.chance.randint(1, 4)
        self.asked.orders[str(number)] = packs, each
        reference = shopify.deposit_ref(self._anybody(), SECRET.encode())
        self.payloads[str(number)] = {
            "id": number,
            "created_at": datetime.now(UTC).isoformat(),
            "financial_status": "paid",
            "note_attributes": [{"name": "mina_ref", "value": reference}],
            "line_items": [{"id": number * 10, "sku": f"MINA-{each}", "quantity": packs}],
        }
        if self.chance.random() < 0.75:
            await self._tell("orders/paid", self.payloads[str(number)])

    async def _tell_again(self) -> None:
        """Deliveries come twice, and twice at once."""
        if self.payloads:
            again = self.chance.choice([*self.payloads.values()])
            await asyncio.gather(*(self._tell("orders/paid", again) for _ in range(2)))

    async def _send_back(self) -> None:
        if not self.payloads:
            return
        order = self.chance.choice([*self.payloads.values()][-30:])
        number, packs = self._number(), self.chance.randint(1, 2)
        line = order["line_items"][0]
        self.asked.refunds[str(number)] = str(order["id"]), packs
        items = [{"line_item_id": line["id"], "quantity": packs, "line_item": {"sku": line["sku"]}}]
        self.refunds[str(number)] = {"id": number, "order_id": order["id"], "refund_line_items": items}
        for _ in range(self.chance.randint(1, 2)):
            await self._tell("refunds/create", self.refunds[str(number)])

    async def _adjust(self) -> None:
        await self._give(str(uuid4()), self._anybody(), self.chance.choice([-4, -1, 2, 3, 5]))

    async def _adjust_again(self) -> None:
        key, pass_id, delta = str(uuid4()), self._anybody(), self.chance.choice([-2, 2])
        await asyncio.gather(*(self._give(key, pass_id, delta) for _ in range(2)))

    async def _expire(self) -> None:
        async with self.hands:
            await self.hand.execute(
                "update mega_customers set mg_expires_at = clock_timestamp() - interval '1 second' "
                "where mg_pass_id = $1 and mg_deleted_at is null",
                self._anybody(),
            )

    async def _sweep(self) -> None:
        await surely(self.studio.credits.sweep)

    async def _touch(self) -> None:
        pass_id = self._anybody()
        await surely(lambda: self.studio.passes.touch(pass_id))

    async def _sign_in_guest(self, login: Login) -> None:
        place = self.chance.randrange(GUESTS)
        guest, self.guests[place] = self.guests[place], await self._guest()
        await asyncio.gather(self._sign_in(login, guest), self._sign_in(login, guest))

    async def _sign_in(self, login: Login | None = None, presented: str | None = None) -> None:
        """A guest turns out to be a user: their Pass is merged away under whoever still uses it."""
        if login is None:
            await self._sign_in_guest(self.chance.choice(self.users))
            return
        caller = Caller(None, ADDRESS, login=login, presented=presented)
        ensured = await surely(lambda: self.studio.passes.ensure(caller))
        assert self.homes.setdefault(login.user_id, ensured.owner.id) == ensured.owner.id
        await self._keep_reference(ensured.owner.id)

    # ------------------------------------------------------------ how

    def _anybody(self) -> str:
        return self.chance.choice([*self.guests, *self.homes.values(), *self.homes.values()])

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    async def _guest(self) -> str:
        pass_id = (await surely(lambda: self.studio.passes.ensure(NOBODY))).owner.id
        await self._keep_reference(pass_id)
        return pass_id

    async def _keep_reference(self, pass_id: str) -> None:
        async def keep() -> None:
            async with self.studio.mina.database.begin() as session:
                mark = shopify.fingerprint(shopify.deposit_ref(pass_id, SECRET.encode()))
                await buyers.keep_deposit_ref(session, pass_id, mark)

        await surely(keep)

    async def _order(self, generation: str, pass_id: str, cost: int) -> None:
        async def accept() -> None:
            async with self.studio.mina.database.begin() as session:
                await self.studio.orders._accept(session, _row(generation, pass_id, cost), EventType.CREATE)

        try:
            await surely(accept)
        except InsufficientMatcha:
            if generation not in self.asked.charges:
                self.asked.refused.add(generation)
        except NotFound:
            self.asked.maybe_charged[generation] = cost
        else:
            self.asked.refused.discard(generation)  # its twin was refused a moment before matcha came
            self.asked.charges[generation] = cost
            self.running.append(generation)

    async def _give(self, key: str, pass_id: str, delta: int) -> None:
        try:
            await surely(lambda: self.studio.credits.adjust(ADMIN, pass_id, delta, "why not", key))
        except NotFound:
            self.asked.maybe_adjusted[key] = delta
        except IdempotencyKeyReused as error:
            raise AssertionError("the same adjustment was taken for another") from error
        else:
            self.asked.adjustments[key] = delta

    async def _tell(self, topic: str, payload: dict[str, Any]) -> None:
        await surely(lambda: self.studio.mina.orders.receive(topic, payload))


def _row(generation: str, pass_id: str, cost: int) -> NewGeneration:
    """A generation as `create` accepts it, without pictures and words."""
    return NewGeneration(
        generation_id=generation,
        pass_id=pass_id,
        session_id=None,
        kind=GenerationKind.STILL,
        provider="offline",
        model="offline",
        input_chars=0,
        cost=cost,
        input_hash="same",
        vars={"version": "1", "userMessages": {"scan_lines": [], "final_line": None}, "statuses": []},
    )
