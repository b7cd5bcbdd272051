"""Orders: stills, tweaks, clips and retries, each accepted in one transaction or not at all (DESIGN sections 5 and 6)."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from mina_gql.domain import observing
from mina_gql.domain.config import Role, resolve_settings, settings_for
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.errors import IdempotencyKeyReused, InsufficientMatcha, InvalidInput, NotFound, VideoTweakDisabled
from mina_gql.domain.generations import (
    AnyOrder,
    MotionOrder,
    Order,
    RetryOrder,
    StillOrder,
    TweakOrder,
    again_vars,
    fingerprint,
    motion_vars,
    nearest_ratio,
    still_vars,
    tweak_vars,
    whole_vars,
)
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import (
    EventType,
    GenerationKind,
    GenerationStatus,
    generation_id_for,
    generation_mg_id,
    new_generation_id,
)
from mina_gql.domain.ports import JobQueue, Models
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database, SessionConnection, Transaction, decode
from mina_gql.mega.generations import accepting, events
from mina_gql.mega.generations.accepting import Accepted, NewGeneration
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.services import credits
from mina_gql.services.assets import AssetService
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService
from mina_gql.services.generations.pictures import still_assets, still_to_animate
from mina_gql.services.generations.reading import GenerationService
from mina_gql.services.passes import PassService, required
from mina_gql.services.sessions import SessionService
from mina_gql.services.shopify_orders import CheckoutService


class Ordered(NamedTuple):
    """What an accepting call answers: the generation, the Pass after it, and whether an earlier call had made it."""

    generation: GenerationRow
    owner: PassRow
    replayed: bool


class Resolved(NamedTuple):
    """An order with everything it names looked up: what is recorded, what it costs, and whom it takes."""

    action: BillableAction
    event: EventType
    role: Role
    vars: dict[str, Any]
    input_chars: int
    parent_id: str | None = None
    told: dict[str, Any] | None = None
    retry_of: str | None = None


class OrderService:
    """Accepts orders in one transaction each: generation, charge, event and job, or nothing.

    Every method raises InvalidInput, NotFound, AssetNotOurs, AssetRejected, ProviderNotConfigured, InsufficientMatcha,
    AccountDisabled or IdempotencyKeyReused where it must; nothing is charged then.
    """

    def __init__(
        self,
        database: Database,
        config: ConfigService,
        passes: PassService,
        sessions: SessionService,
        assets: AssetService,
        generations: GenerationService,
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
        self._generations = generations
        self._models = models
        self._jobs = jobs
        self._ledger = ledger
        self._checkout = checkout

    async def create(self, caller: Caller, order: StillOrder) -> Ordered:
        """Accept a still: QUEUED at once, made in the background."""

        async def resolve(order: StillOrder, owner: PassRow) -> Resolved:
            role = await self._role("still")
            settings = await self._settings(role, owner, order.settings)
            assets = await still_assets(self._assets, caller, order)
            vars_ = still_vars(order, assets, settings)
            return Resolved(BillableAction.CREATE, EventType.CREATE, role, vars_, len(order.brief))

        return await self._order(caller, order, "create", resolve)

    async def tweak(self, caller: Caller, order: TweakOrder) -> Ordered:
        """Accept the same again with another prompt: everything else is inherited, the generation itself stays as it is.

        Raises VideoTweakDisabled for a clip, unless the runtime knob allows it; it costs what a clip costs then.
        """

        async def resolve(order: TweakOrder, owner: PassRow) -> Resolved:
            parent = await self._done(owner, order.generation_id, "tweaked")
            clip = parent.kind == GenerationKind.VIDEO
            if clip:
                await self._check_video_tweak(["input", "generationId"])
            role = await self._role("video" if clip else "still")
            inherited = _vars_of(parent)
            vars_ = tweak_vars(inherited, parent.id, order.feedback, await self._same_settings(role, inherited))
            action = BillableAction.ANIMATE if clip else BillableAction.TWEAK
            told = {"feedback": order.feedback}
            return Resolved(action, EventType.TWEAK, role, vars_, len(order.feedback), parent.id, told)

        return await self._order(caller, order, "tweak", resolve)

    async def animate(self, caller: Caller, order: MotionOrder) -> Ordered:
        """Accept a clip from a still that was made here, or from a picture of the caller's. Raises ImageRequired too."""

        async def resolve(order: MotionOrder, owner: PassRow) -> Resolved:
            role = await self._role("video")
            settings = await self._settings(role, owner, order.settings)
            parent = await self._done(owner, order.generation_id, "animated") if order.generation_id else None
            still = await still_to_animate(self._assets, self._generations, caller, order, parent)
            ratio = order.ratio or nearest_ratio(still.width, still.height)
            vars_ = motion_vars(order, still.url, still.end_url, ratio, still.caption, settings)
            said = len(order.motion_prompt or "")
            return Resolved(BillableAction.ANIMATE, EventType.CREATE, role, vars_, said, still.generation_id)

        return await self._order(caller, order, "animate", resolve)

    async def retry(self, caller: Caller, order: RetryOrder) -> Ordered:
        """Accept a failed generation once more, with the same inputs and at the price of now; the failed one stays."""

        async def resolve(order: RetryOrder, owner: PassRow) -> Resolved:
            failed = await self._generations.required(owner.id, order.generation_id)
            if failed.status != GenerationStatus.ERROR:
                raise InvalidInput("Only what has failed can be tried again.", ["generationId"])
            clip = failed.kind == GenerationKind.VIDEO
            role = await self._role("video" if clip else "still")
            before = _vars_of(failed)
            vars_ = again_vars(before, await self._same_settings(role, before))
            tweak = bool(vars_["feedback"])
            if clip and tweak:
                await self._check_video_tweak(["generationId"])
            action = BillableAction.ANIMATE if clip else BillableAction.TWEAK if tweak else BillableAction.CREATE
            said = len(vars_["feedback"].get("text") or vars_["inputs"]["brief"])
            event = EventType.TWEAK if tweak else EventType.CREATE
            return Resolved(action, event, role, vars_, said, failed.parent_id, {"retry_of": failed.id}, failed.id)

        return await self._order(caller, order, "retry", resolve)

    # ------------------------------------------------------------ accepting

    @observing.spanned("order")
    async def _order(
        self, caller: Caller, order: AnyOrder, operation: str, resolve: Callable[[AnyOrder, PassRow], Awaitable[Resolved]]
    ) -> Ordered:
        pass_id = required(caller)
        order = order.checked()
        key = order.idempotency_key
        generation_id = new_generation_id() if key is None else generation_id_for(pass_id, operation, key)
        input_hash = fingerprint(order)
        if key is not None and await self._replays(generation_id, pass_id, input_hash):
            return await self._answer(generation_id, pass_id, replayed=True)
        owner = await self._owner(pass_id)
        resolved = await resolve(order, owner)
        session_id = await self._session(pass_id, order)
        new = NewGeneration(
            generation_id=generation_id,
            pass_id=pass_id,
            session_id=session_id,
            kind=GenerationKind(resolved.vars["mode"]),
            provider=resolved.role.provider,
            model=resolved.role.model,
            input_chars=resolved.input_chars,
            cost=(await self._config.runtime()).price(resolved.action),
            input_hash=input_hash,
            vars=resolved.vars,
            parent_id=resolved.parent_id,
            retry_of=resolved.retry_of,
        )
        try:
            async with self._database.begin() as session:
                replayed = await self._accept(session, new, resolved.event, resolved.told)
        except InsufficientMatcha as short:
            raise InsufficientMatcha(short.required, short.balance, await self._checkout.default_url(owner)) from short
        if not replayed:
            observing.accepted(new.id, new.kind, operation, new.cost)
        await self._ledger.changed(pass_id)
        return await self._answer(generation_id, pass_id, replayed=replayed)

    async def _accept(
        self, session: Transaction, new: NewGeneration, event: EventType, told: dict[str, Any] | None = None
    ) -> bool:
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
        await events.insert(
            session,
            new.pass_id,
            event,
            generation_id=new.generation_id,
            session_id=new.session_id,
            payload=told,
        )
        await self._jobs.enqueue(SessionConnection(session), new.id)
        return False

    async def _replays(self, generation_id: str, pass_id: str, input_hash: str) -> bool:
        async with self._database.begin() as session:
            earlier = await accepting.find(session, generation_mg_id(generation_id))
        if earlier is None:
            return False
        _check_replay(earlier, pass_id, input_hash)
        return True

    async def _answer(self, generation_id: str, pass_id: str, *, replayed: bool) -> Ordered:
        id_ = generation_mg_id(generation_id)
        made = (await self._generations.by_id([id_])).get(id_)
        if made is None:
            raise NotFound("This generation was deleted.")
        # A login may have merged the Pass away just now: what was accepted is told as accepted, and went along.
        return Ordered(made, (await self._passes.by_id_even_deleted([pass_id]))[pass_id], replayed)

    # ------------------------------------------------------------ looking up

    async def _owner(self, pass_id: str) -> PassRow:
        owner = await self._passes.find(pass_id)
        if owner is None:
            raise NotFound("This Pass is gone. Call ensurePass for a new one.")
        return owner

    async def _session(self, pass_id: str, order: Order) -> str | None:
        given = order.session_id
        return None if given is None else (await self._sessions.own(pass_id, given)).session_id

    async def _role(self, name: str) -> Role:
        """What the registry says of a role, once it is sure that everybody it takes is at hand."""
        role = await self._config.role(name)
        self._models.vision(await self._config.role("vision"))
        self._models.writer(await self._config.role("writer"))
        self._models.media(role)
        return role

    async def _check_video_tweak(self, field: list[str]) -> None:
        """Raises VideoTweakDisabled, unless the knob allows clips to be made anew from words."""
        if not (await self._config.runtime()).video_tweak:
            raise VideoTweakDisabled(
                "Clips are not made anew from words yet. Send your feedback instead, it is taken to heart.", field
            )

    async def _settings(self, role: Role, owner: PassRow, asked: Any) -> dict[str, dict[str, Any]]:
        preferred = decode(owner.settings) or {}
        return resolve_settings(role, await self._config.provider_defaults(role.provider), preferred, asked)

    async def _same_settings(self, role: Role, inherited: dict[str, Any]) -> dict[str, dict[str, Any]]:
        defaults = await self._config.provider_defaults(role.provider)
        return {role.provider: settings_for(role, inherited["settings"], defaults)}

    async def _done(self, owner: PassRow, given: str, what: str) -> GenerationRow:
        """A finished generation of the owner's. Raises NotFound and InvalidInput."""
        found = await self._generations.own(owner.id, given)
        if found is None:
            raise NotFound("There is no such generation.", ["input", "generationId"])
        if found.status != GenerationStatus.DONE or found.output_url is None:
            raise InvalidInput(f"Only what is finished can be {what}.", ["input", "generationId"])
        return found


def _vars_of(row: GenerationRow) -> dict[str, Any]:
    return whole_vars(decode(row.vars) or {}, GenerationKind(row.kind), row.prompt, row.output_url)


def _check_replay(earlier: Accepted, pass_id: str, input_hash: str) -> None:
    if earlier.pass_id != pass_id or earlier.input_hash != input_hash:
        raise IdempotencyKeyReused(
            "This idempotency key was used with another input. Take a new key for a new picture.",
            ["input", "idempotencyKey"],
        )
