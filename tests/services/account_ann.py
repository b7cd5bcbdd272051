"""People with a past, and ways to look for what is left of them: what the tests of deleted accounts share."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import orjson

from mina_gql.domain.errors import GenerationFailed, MinaError
from mina_gql.domain.passes import Caller, Login, owner_tag
from mina_gql.domain.pipeline import EventType, FailureCode
from mina_gql.mega.admin import Actor
from mina_gql.mega.generations import events
from mina_gql.services.accounts import LATE_SECONDS
from mina_gql.services.sessions import NewSession
from tests.identity.edge import caller_of, login, row_of, sign_in
from tests.services.shopify_shop import Counter, attributes, order
from tests.studio import BRIEF, SECRET, Studio

KEY = SECRET.encode()
BOSS = Actor("0b055000-0000-4000-8000-000000000000", "boss@mina.example", "10.0.0.1", "Boss/1", "/graphql", "adjustCredits", 200)
CANARY = "canary"
FAILED = GenerationFailed(FailureCode.PROVIDER_ERROR, "The picture could not be made.")
TABLES = ("mega_customers", "mega_generations", "mega_admin")
BARE = "select count(*) from mega_generations where mg_pass_id = any ($1) and mg_deleted_at is null and mg_record_type <> 'credit_transaction'"


async def delete(studio: Studio, caller: Caller) -> None:
    await studio.accounts.delete(caller, "DELETE")


async def together(*works: Any) -> list[Any]:
    """All at once: results and refusals; whatever else was raised is raised here, deadlocks among it."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, MinaError):
            raise result
    return results


async def canaries(studio: Studio) -> list[str]:
    """Where a planted word still stands: in any column of any row of any table."""
    found = []
    for table in TABLES:
        rows = await studio.sql.fetch(f"select t::text as row from {table} t where t::text ilike '%{CANARY}%'")
        found += [f"{table}: {row['row'][:300]}" for row in rows]
    return found


async def everything(studio: Studio) -> dict[str, list[asyncpg.Record]]:
    """Every row of every table."""
    return {table: await studio.sql.fetch(f"select * from {table} order by 1") for table in TABLES}


async def objects(studio: Studio, *pass_ids: str) -> list[str]:
    """The files, public or waiting, that lie under the tags of these Passes."""
    tags = {owner_tag(pass_id, KEY) for pass_id in pass_ids}
    root = studio.mina.settings.home / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.parent.name in tags)


PERSONAL = ["platform", "title", "prompt", "output_url", "output_key", "comment", "image_url", "video_url", "client_version", "os",
            "browser", "device"]  # fmt: skip
DEEP = orjson.dumps({CANARY: [CANARY, {"deep": CANARY}], "said": CANARY}).decode()


async def plant(studio: Studio, caller: Caller) -> None:
    """A row of each kind with the word in every place that may hold what a person said."""
    texts = {name: f"{CANARY} {name}" for name in PERSONAL}
    deep = {**texts, "payload": DEEP, "mma_vars": DEEP}
    name = str(caller.pass_id)[-8:]
    of = {"generation_id": name}
    await studio.row(
        "generation", f"{name}-done", caller, mma_status="done", meta=f'{{"cost": 2, "failure": "{CANARY}"}}', **deep
    )
    await studio.row("generation", f"{name}-old", caller, status="failed", error=CANARY, meta=DEEP, **deep)  # from before MMA
    await studio.row("session", name, caller, meta=f'{{"client": {DEEP}, "ended_at": "{CANARY}"}}', **deep)
    await studio.row("feedback", name, caller, meta=DEEP, **deep)
    await studio.row("mma_event", name, caller, meta=f'{{"event_type": "feedback", "payload": {DEEP}}}', **deep)
    step = {"parent_id": f"generation:{name}", "step_no": 0, "step_type": "scan_product", "status": "failed", **of}
    await studio.row("mma_step", f"{name}:0", caller, meta=DEEP, **step, **deep)
    money = {"delta": 0, "reason": "adjustment", "source": "legacy", "ref_type": "legacy", "ref_id": name}
    await studio.row(
        "credit_transaction", f"legacy-{name}", caller, meta=f'{{"sku": "MINA-50", "by": "{CANARY}"}}', **money, **deep
    )


@dataclass
class Ann:
    """Somebody signed in, with a past: two guests' Passes merged in, purchases, pictures, words, an admin's help."""

    studio: Studio
    who: Login
    caller: Caller
    aliases: list[str]

    @property
    def passes(self) -> list[str]:
        return [str(self.caller.pass_id), *self.aliases]


async def make_ann(studio: Studio) -> Ann:
    """With the word in every place that may hold what she said."""
    who = login(email=f"{CANARY}@mina.example", google=True)
    home = (await sign_in(studio, who)).owner.id
    counter = Counter(studio)
    guests = [await studio.person(matcha=3) for _ in range(2)]
    asked = replace(BRIEF, brief=f"A {CANARY} on stone")
    made = await studio.orders.create(guests[0], replace(asked, product_image_url=await studio.picture(guests[0])))
    await studio.mina.runner.run(made.generation.id)
    failed = await studio.orders.create(guests[1], asked)
    await studio.mina.endings.fail(failed.generation.id, FAILED, lease=None)
    for guest in guests:
        reference = await counter.reference(guest)
        customer = {"id": 77, "email": f"{CANARY}@mina.example", "first_name": CANARY}
        await counter.tell(order("MINA-5", 1, customer=customer, note_attributes=attributes(mina_ref=reference)))
        await studio.sessions.start(guest, NewSession(title=CANARY, platform=CANARY, client_version=CANARY, meta={"of": CANARY}))
        await plant(studio, guest)
        await sign_in(studio, who, guest.pass_id)
    caller = await caller_of(studio, who)
    await studio.profiles.update(
        caller, {"display_name": CANARY, "first_name": CANARY, "last_name": CANARY, "timezone": "Asia/Dubai"}
    )
    await studio.passes.link_shopify(caller, "77")
    await plant(studio, caller)
    async with studio.mina.database.begin() as session:
        await events.insert(session, home, EventType.FEEDBACK, payload={"text": CANARY})
    await studio.credits.adjust(BOSS, home, 5, f"for {CANARY}, with love", "a-key")
    await studio.audits.refused("adjustCredits", caller, themself(who))
    await studio.sql.execute(
        "update mega_customers set mg_locale = 'en', mg_verification_keynumber = $2, mg_topup_source = $2, mg_mma_preferences = $3, "
        "mg_meta = mg_meta || $3 where mg_pass_id = any ($1)",
        [home, *[guest.pass_id for guest in guests]], CANARY, DEEP,
    )  # fmt: skip
    for record_type in ("profile", "admin_session"):
        await studio.sql.execute(
            "insert into mega_admin (mg_id, mg_record_type, mg_user_id, mg_email, mg_ip, mg_user_agent, mg_key, mg_value, mg_payload, mg_meta, "
            "mg_detail, mg_shopify_customer_id, mg_session_hash) values ($1, $2, $3, $4, $4, $4, $4, $5, $5, $5, $5, $4, $4)",
            f"{record_type}:1", record_type, who.user_id if record_type == "admin_session" else None, f"{CANARY}@mina.example", DEEP,
        )  # fmt: skip
    return Ann(studio, who, await caller_of(studio, who), [str(guest.pass_id) for guest in guests])


def themself(who: Login) -> Actor:
    """The person themself, where only admins may."""
    return Actor(who.user_id, who.email, f"{CANARY} address", f"{CANARY} browser", "/graphql", "adjustCredits", 200)


async def due(studio: Studio) -> list[str]:
    rows = await studio.sql.fetch("select mg_pass_id from mega_customers where mg_meta ? 'objects_due'")
    return [row[0] for row in rows]


async def time_goes_by(studio: Studio) -> None:
    """Let whatever was under way at the deletion be over."""
    await studio.sql.execute(
        "update mega_customers set mg_deleted_at = mg_deleted_at - make_interval(secs => $1) where mg_meta ? 'erased'",
        LATE_SECONDS,
    )


async def is_erased(studio: Studio, caller: Caller) -> bool:
    """Whether the account is gone, whole: nothing of it in any read, no matcha."""
    row = await row_of(studio, caller.pass_id)
    if row["mg_deleted_at"] is None or not orjson.loads(row["mg_meta"]).get("erased"):
        return False
    assert (row["mg_user_id"], row["mg_email"], row["mg_credits"]) == (None, None, 0)
    assert await studio.sql.fetchval(BARE, [caller.pass_id]) == 0
    return True
