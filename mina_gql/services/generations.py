"""Generations: accepting orders, and reading what became of them."""

from typing import Any, NamedTuple

from mina_gql.domain.config import resolve_settings
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.errors import IdempotencyKeyReused, InsufficientMatcha, NotFound
from mina_gql.domain.generations import StillOrder, checked, fingerprint, new_vars
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import EventType, GenerationKind, bare_id, generation_id_for, generation_mg_id, new_generation_id
from mina_gql.domain.ports import JobQueue, Models
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, SessionConnection, Transaction, decode
from mina_gql.mega.generations import accepting, archive, events, steps
from mina_gql.mega.generations.accepting import Accepted, NewGeneration
from mina_gql.mega.generations.archive import FROM_VARS, GenerationRow
from mina_gql.mega.generations.steps import StepRow
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.services import credits
from mina_gql.services.assets import AssetService
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService
from mina_gql.services.passes import PassService, required
from mina_gql.services.sessions import SessionService
from mina_gql.services.shopify_orders import CheckoutService


class Ordered(NamedTuple):
    """What an accepting call answers: the generation, the Pass after it, and whether an earlier call had made it."""

    generation: GenerationRow
    owner: PassRow
    replayed: bool


class GenerationService:
    """Accepts orders in one transaction each: generation, charge, event and job, or nothing."""

    def __init__(
        self,
        database: Database,
        config: ConfigService,
        passes: PassService,
        sessions: SessionService,
        assets: AssetService,
        models: Models,
        jobs: JobQueue,
        ledger: CreditService,
        checkout: CheckoutService,
    ) -> None:
        self._database = database
        self._config = config
        self._passes = passes
        self._sessions = sessions
        self._assets = assets
        self._models = models
        self._jobs = jobs
        self._ledger = ledger
        self._checkout = checkout

    async def create(self, caller: Caller, order: StillOrder) -> Ordered:
        """Accept a still: QUEUED at once, made in the background.

        Raises InvalidInput, NotFound (session), AssetNotOurs, AssetRejected, ProviderNotConfigured, InsufficientMatcha,
        AccountDisabled, IdempotencyKeyReused; nothing is charged then.
        """
        pass_id = required(caller)
        order = checked(order)
        generation_id = _id_for(pass_id, BillableAction.CREATE, order.idempotency_key)
        input_hash = fingerprint(order)
        if order.idempotency_key is not None and await self._replays(generation_id, pass_id, input_hash):
            return await self._answer(generation_id, pass_id, replayed=True)
        role = await self._config.role("still")
        owner = await self._owner(pass_id)
        preferred = decode(owner.preferences).get("settings", {})
        settings = resolve_settings(role, await self._config.provider_defaults(role.provider), preferred, order.settings)
        self._models.require(role.provider)
        session_id = await self._session(pass_id, order.session_id)
        assets = await self._still_assets(caller, order)
        cost = (await self._config.runtime()).price(BillableAction.CREATE)
        new = NewGeneration(
            generation_id=generation_id,
            pass_id=pass_id,
            session_id=session_id,
            kind=GenerationKind.STILL,
            provider=role.provider,
            model=role.model,
            input_chars=len(order.brief),
            cost=cost,
            input_hash=input_hash,
            vars=new_vars(order, assets, settings),
        )
        try:
            async with self._database.begin() as session:
                replayed = await self._accept(session, new, EventType.CREATE)
        except InsufficientMatcha as short:
            raise InsufficientMatcha(short.required, short.balance, await self._checkout.default_url(owner)) from short
        await self._ledger.changed(pass_id)
        return await self._answer(generation_id, pass_id, replayed=replayed)

    async def _accept(self, session: Transaction, new: NewGeneration, event: EventType) -> bool:
        """Generation, charge, event and job under the customer's lock; True when an earlier call had made it."""
        locked = await credits.settle(session, new.pass_id)
        if locked is None:
            raise NotFound("This Pass is gone. Call ensurePass for a new one.")
        earlier = await accepting.find(session, new.id)
        if earlier is not None:
            _check_replay(earlier, new.pass_id, new.input_hash)
            return True
        await accepting.insert(session, new)
        await credits.charge(session, locked, new.generation_id, new.cost)
        await events.insert(session, new.pass_id, event, generation_id=new.generation_id, session_id=new.session_id)
        await self._jobs.enqueue(SessionConnection(session), new.id)
        return False

    async def by_id(self, ids: list[str]) -> dict[str, GenerationRow]:
        """Generations by their global ids, with their variable maps."""
        rows = [GenerationRow(*record) for record in await self._database.fetch(archive.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}

    async def own(self, pass_id: str, given: str) -> GenerationRow | None:
        """A generation of this Pass by its global or bare id, or None: somebody else's looks like none."""
        id_ = generation_mg_id(bare_id("generation", given))
        found = (await self.by_id([id_])).get(id_)
        return found if found is not None and found.pass_id == pass_id else None

    async def of_pass(self, pass_id: str, page: PageRequest, wanted: frozenset[str]) -> Page[GenerationRow]:
        """A page of the archive, newest first; of `archive.FROM_VARS` only what is wanted."""
        return await archive.of_pass(wanted & FROM_VARS).read(self._database, page, pass_id=pass_id)

    async def count_of_pass(self, pass_id: str) -> int:
        """How many generations the archive of a Pass has."""
        return await archive.of_pass(frozenset()).count(self._database, pass_id=pass_id)

    async def of_session(self, pass_id: str, session_id: str, page: PageRequest, wanted: frozenset[str]) -> Page[GenerationRow]:
        """A page of what was made in one visit."""
        pages = archive.of_session(wanted & FROM_VARS)
        return await pages.read(self._database, page, pass_id=pass_id, session_id=session_id)

    async def count_of_session(self, pass_id: str, session_id: str) -> int:
        """How many generations were made in one visit."""
        return await archive.of_session(frozenset()).count(self._database, pass_id=pass_id, session_id=session_id)

    async def steps(self, generation_ids: list[str]) -> dict[str, list[StepRow]]:
        """The steps of many generations (bare ids), in order."""
        found: dict[str, list[StepRow]] = {generation_id: [] for generation_id in generation_ids}
        for record in await self._database.fetch(steps.OF_GENERATIONS, generation_ids=generation_ids):
            found[record[1]].append(StepRow(*record))
        return found

    async def steps_by_id(self, ids: list[str]) -> dict[str, StepRow]:
        """Steps by their global ids."""
        rows = [StepRow(*record) for record in await self._database.fetch(steps.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}

    async def _replays(self, generation_id: str, pass_id: str, input_hash: str) -> bool:
        async with self._database.begin() as session:
            earlier = await accepting.find(session, generation_mg_id(generation_id))
        if earlier is None:
            return False
        _check_replay(earlier, pass_id, input_hash)
        return True

    async def _answer(self, generation_id: str, pass_id: str, *, replayed: bool) -> Ordered:
        made = await self.own(pass_id, generation_id)
        if made is None:
            raise NotFound("This generation was deleted.")
        return Ordered(made, await self._owner(pass_id), replayed)

    async def _owner(self, pass_id: str) -> PassRow:
        owner = await self._passes.find(pass_id)
        if owner is None:
            raise NotFound("This Pass is gone. Call ensurePass for a new one.")
        return owner

    async def _session(self, pass_id: str, given: str | None) -> str | None:
        return None if given is None else (await self._sessions.own(pass_id, given)).session_id

    async def _still_assets(self, caller: Caller, order: StillOrder) -> dict[str, Any]:
        own = self._assets.own_picture
        field = ["input", "assets"]
        product, logo = order.product_image_url, order.logo_image_url
        return {
            "product_image_url": await own(caller, product, [*field, "productImageUrl"]) if product else None,
            "logo_image_url": await own(caller, logo, [*field, "logoImageUrl"]) if logo else None,
            "inspiration_image_urls": [
                await own(caller, url, [*field, "inspirationImageUrls", str(index)])
                for index, url in enumerate(order.inspiration_image_urls)
            ],
            "input_still_url": None,
            "end_still_url": None,
        }


def _id_for(pass_id: str, action: BillableAction, key: str | None) -> str:
    return new_generation_id() if key is None else generation_id_for(pass_id, action, key)


def _check_replay(earlier: Accepted, pass_id: str, input_hash: str) -> None:
    if earlier.pass_id != pass_id or earlier.input_hash != input_hash:
        raise IdempotencyKeyReused(
            "This idempotency key was used with another input. Take a new key for a new picture.",
            ["input", "idempotencyKey"],
        )
