"""Generations: accepting orders, and reading what became of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import orjson

from mina_gql.domain.config import resolve_settings
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.errors import IdempotencyKeyReused, InsufficientMatcha, InvalidInput, NotFound
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import (
    BRIEF_CHARS,
    DEFAULT_RATIO,
    INSPIRATIONS,
    NO_STYLE,
    RATIOS,
    STYLES,
    VARS_VERSION,
    EventType,
    GenerationKind,
    GenerationStatus,
    bare_id,
    generation_id_for,
    generation_mg_id,
    new_generation_id,
    plain_text,
)
from mina_gql.domain.ports import JobQueue, Models
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, SessionConnection, Transaction, decode
from mina_gql.mega.generations import archive, events, runs, steps
from mina_gql.mega.generations.archive import FROM_VARS, GenerationRow
from mina_gql.mega.generations.steps import StepRow
from mina_gql.mega.models import Generation
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.services import credits
from mina_gql.services.assets import AssetService
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService
from mina_gql.services.passes import PassService, required
from mina_gql.services.sessions import SessionService
from mina_gql.services.shopify_orders import CheckoutService

KEY_CHARS = 200


@dataclass(frozen=True, slots=True)
class StillOrder:
    """What a person orders with `create`, as the edge read it."""

    brief: str
    style: str | None = None
    ratio: str | None = None
    product_image_url: str | None = None
    logo_image_url: str | None = None
    inspiration_image_urls: tuple[str, ...] = ()
    settings: Any = None
    vision_intelligence: bool = True
    session_id: str | None = None
    idempotency_key: str | None = None


class Order(NamedTuple):
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

    async def create(self, caller: Caller, order: StillOrder) -> Order:
        """Accept a still: QUEUED at once, made in the background.

        Raises InvalidInput, NotFound (session), AssetNotOurs, AssetRejected, ProviderNotConfigured, InsufficientMatcha,
        AccountDisabled, IdempotencyKeyReused; nothing is charged then.
        """
        pass_id = required(caller)
        order = _checked(order)
        generation_id = _id_for(pass_id, BillableAction.CREATE, order.idempotency_key)
        fingerprint = _fingerprint(order)
        if order.idempotency_key is not None and await self._replays(generation_id, pass_id, fingerprint):
            return await self._answer(generation_id, pass_id, replayed=True)
        role = await self._config.role("still")
        owner = await self._owner(pass_id)
        preferred = decode(owner.preferences).get("settings", {})
        settings = resolve_settings(role, await self._config.provider_defaults(role.provider), preferred, order.settings)
        self._models.require(role.provider)
        session_id = await self._session(pass_id, order.session_id)
        assets = await self._still_assets(caller, order)
        cost = (await self._config.runtime()).price(BillableAction.CREATE)
        row = Generation(
            id=generation_mg_id(generation_id),
            pass_id=pass_id,
            generation_id=generation_id,
            session_id=session_id,
            type="image",
            content_type="image",
            platform="web",
            mma_mode=GenerationKind.STILL,
            mma_status=GenerationStatus.QUEUED,
            status="pending",
            provider=role.provider,
            model=role.model,
            input_chars=len(order.brief),
            meta={"cost": cost, "input_hash": fingerprint},
            mma_vars=_new_vars(order, assets, settings),
            source_system="api",
        )
        try:
            async with self._database.begin() as session:
                replayed = await self._accept(session, row, EventType.CREATE, cost)
        except InsufficientMatcha as short:
            raise InsufficientMatcha(short.required, short.balance, await self._checkout.default_url(owner)) from short
        await self._ledger.changed(pass_id)
        return await self._answer(generation_id, pass_id, replayed=replayed)

    async def _accept(self, session: Transaction, row: Generation, event: EventType, cost: int) -> bool:
        """Generation, charge, event and job under the customer's lock; True when an earlier call had made it."""
        generation_id = str(row.generation_id)
        locked = await credits.settle(session, row.pass_id)
        if locked is None:
            raise NotFound("This Pass is gone. Call ensurePass for a new one.")
        earlier = await runs.find_accepted(session, row.id)
        if earlier is not None:
            _check_replay(earlier, row.pass_id, row.meta["input_hash"])
            return True
        await runs.insert(session, row)
        await credits.charge(session, locked, generation_id, cost)
        await events.insert(session, row.pass_id, event, generation_id=generation_id, session_id=row.session_id)
        await self._jobs.enqueue(SessionConnection(session), row.id)
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

    async def _replays(self, generation_id: str, pass_id: str, fingerprint: str) -> bool:
        async with self._database.begin() as session:
            earlier = await runs.find_accepted(session, generation_mg_id(generation_id))
        if earlier is None:
            return False
        _check_replay(earlier, pass_id, fingerprint)
        return True

    async def _answer(self, generation_id: str, pass_id: str, *, replayed: bool) -> Order:
        made = await self.own(pass_id, generation_id)
        if made is None:
            raise NotFound("This generation was deleted.")
        return Order(made, await self._owner(pass_id), replayed)

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


def _checked(order: StillOrder) -> StillOrder:
    brief = plain_text(order.brief)
    if not brief:
        raise InvalidInput("Say in a few words what the picture should show.", ["input", "brief"])
    if len(brief) > BRIEF_CHARS:
        raise InvalidInput(f"A brief has at most {BRIEF_CHARS:,} characters; this one has {len(brief):,}.", ["input", "brief"])
    style = None if order.style in {None, "", NO_STYLE} else order.style
    if style is not None and style not in STYLES:
        raise InvalidInput(f"A style is one of {', '.join(STYLES)}, or none.", ["input", "style"])
    ratio = order.ratio or DEFAULT_RATIO
    if ratio not in RATIOS:
        raise InvalidInput(f"A ratio is one of {', '.join(RATIOS)}.", ["input", "ratio"])
    if len(order.inspiration_image_urls) > INSPIRATIONS:
        raise InvalidInput(f"At most {INSPIRATIONS} inspiration pictures, please.", ["input", "assets", "inspirationImageUrls"])
    key = order.idempotency_key
    if key is not None and not 0 < len(key) <= KEY_CHARS:
        raise InvalidInput(f"An idempotency key has 1 to {KEY_CHARS} characters.", ["input", "idempotencyKey"])
    return StillOrder(**{**asdict(order), "brief": brief, "style": style, "ratio": ratio})


def _id_for(pass_id: str, action: BillableAction, key: str | None) -> str:
    return new_generation_id() if key is None else generation_id_for(pass_id, action, key)


def _fingerprint(order: StillOrder) -> str:
    """The hash of an order's input, so that the same key with another input is told apart."""
    asked = {name: value for name, value in asdict(order).items() if name != "idempotency_key"}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _check_replay(earlier: runs.Accepted, pass_id: str, fingerprint: str) -> None:
    if earlier.pass_id != pass_id or earlier.input_hash != fingerprint:
        raise IdempotencyKeyReused(
            "This idempotency key was used with another input. Take a new key for a new picture.",
            ["input", "idempotencyKey"],
        )


def _new_vars(order: StillOrder, assets: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical variable map at accept (DESIGN section 6); `tests/schemas/mma_vars.json` describes it."""
    return {
        "version": VARS_VERSION,
        "mode": GenerationKind.STILL,
        "assets": dict(assets),
        "scans": {
            "product_crt": None,
            "logo_crt": None,
            "inspiration_crt": [None] * len(assets["inspiration_image_urls"]),
            "input_still_crt": None,
            "output_still_crt": None,
        },
        "history": {"vision_intelligence": order.vision_intelligence, "style_history_csv": None},
        "inputs": {
            "brief": order.brief,
            "style": order.style or NO_STYLE,
            "ratio": order.ratio,
            "movement_style": None,
        },
        "prompts": {"clean_prompt": None},
        "feedback": {},
        "userMessages": {"scan_lines": [], "final_line": None},
        "statuses": [],
        "settings": dict(settings),
        "outputs": {},
        "meta": {},
    }
