"""Accepting an order: what is refused where, and what the accepted row says (DESIGN section 6)."""

import asyncio
from dataclasses import replace

import pytest

from mina_gql.adapters.ai.registry import ModelShelf
from mina_gql.domain.errors import InvalidInput, NoSuchThing, NotFound, ProviderNotConfigured, Unauthenticated
from mina_gql.domain.generations import KEY_CHARS
from mina_gql.domain.pipeline import BRIEF_CHARS, INSPIRATIONS, RATIOS, STYLES, VARS_VERSION
from mina_gql.mega.database import decode
from mina_gql.services.progress import Change
from tests.studio import BRIEF, NOBODY, Studio, opened


async def test_an_accepted_order_is_queued_with_the_canonical_map(studio):
    caller = await studio.person(matcha=1)
    order = replace(BRIEF, brief=" Cafe\u0301 \x00noir ", style="luxury", ratio="9:16", settings={"seedream": {"size": "4K"}})
    made = (await studio.orders.create(caller, order)).generation
    vars_ = decode(made.vars)
    queued = vars_.pop("statuses")
    assert (made.kind, made.status, made.cost, made.brief) == ("still", "queued", 1, "Caf\u00e9 noir")
    assert [(entry["seq"], entry["status"]) for entry in queued] == [(1, "queued")]
    assert vars_ == {
        "version": VARS_VERSION,
        "mode": "still",
        "assets": {
            "product_image_url": None,
            "logo_image_url": None,
            "inspiration_image_urls": [],
            "input_still_url": None,
            "end_still_url": None,
        },
        "scans": {
            "product_crt": None,
            "logo_crt": None,
            "inspiration_crt": [],
            "input_still_crt": None,
            "output_still_crt": None,
        },
        "history": {"vision_intelligence": True, "style_history_csv": None},
        "inputs": {"brief": "Caf\u00e9 noir", "style": "luxury", "ratio": "9:16", "movement_style": None},
        "prompts": {"clean_prompt": None},
        "feedback": {},
        "userMessages": {"scan_lines": [], "final_line": None},
        "settings": {"seedream": {"size": "4K", "enhance_prompt": True}},
        "outputs": {},
    }


async def test_an_accepted_order_has_one_event_and_one_job_of_its_id(studio):
    caller = await studio.person(matcha=1)
    made = (await studio.orders.create(caller, BRIEF)).generation
    job = await studio.sql.fetchrow("select entrypoint, payload from ops.pgqueuer")
    assert (job["entrypoint"], job["payload"].decode()) == ("generation", made.id)
    event = await studio.sql.fetchrow(
        "select mg_generation_id, mg_meta ->> 'event_type' as type from mega_generations where mg_record_type = 'mma_event'"
    )
    assert tuple(event) == (made.generation_id, "create")


async def test_no_style_is_stored_as_the_word_none_and_read_as_none(studio):
    caller = await studio.person(matcha=2)
    for style in (None, "None"):
        made = (await studio.orders.create(caller, replace(BRIEF, style=style))).generation
        assert made.style is None
        assert decode(made.vars)["inputs"]["style"] == "None"
        assert made.ratio == "1:1"


@pytest.mark.parametrize(("choice", "values"), [("style", STYLES), ("ratio", RATIOS)])
async def test_every_choice_the_studio_offers_is_accepted(studio, choice, values):
    caller = await studio.person(matcha=len(values))
    for value in values:
        made = await studio.orders.create(caller, replace(BRIEF, **{choice: value}))
        assert getattr(made.generation, choice) == value


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"brief": ""}, ["brief"]),
        ({"brief": " \x00\x07\u2028 "}, ["brief"]),
        ({"brief": "x" * (BRIEF_CHARS + 1)}, ["brief"]),
        ({"style": "baroque"}, ["style"]),
        ({"ratio": "5:4"}, ["ratio"]),
        ({"ratio": "1:1 "}, ["ratio"]),
        ({"inspiration_image_urls": ("https://x.example/a.png",) * (INSPIRATIONS + 1)}, ["assets", "inspirationImageUrls"]),
        ({"idempotency_key": ""}, ["idempotencyKey"]),
        ({"idempotency_key": "k" * (KEY_CHARS + 1)}, ["idempotencyKey"]),
    ],
)
async def test_an_input_that_breaks_a_rule_is_refused_at_its_field_and_costs_nothing(studio, change, field):
    caller = await studio.person(matcha=1)
    before = await studio.counts()
    with pytest.raises(InvalidInput) as refused:
        await studio.orders.create(caller, replace(BRIEF, **change))
    assert refused.value.field == ["input", *field]
    assert await studio.counts() == before


@pytest.mark.parametrize(
    "settings", [[], {"seedream": 1}, {"kling": {}}, {"seedream": {"guide": 1}}, {"seedream": {"size": "8K"}}]
)
async def test_settings_that_the_model_does_not_know_are_refused(studio, settings):
    caller = await studio.person(matcha=1)
    with pytest.raises(InvalidInput) as refused:
        await studio.orders.create(caller, replace(BRIEF, settings=settings))
    assert refused.value.field[0] == "settings"
    assert await studio.balance(caller) == 1


async def test_the_longest_brief_and_key_are_accepted(studio):
    caller = await studio.person(matcha=1)
    made = await studio.orders.create(caller, replace(BRIEF, brief="x" * BRIEF_CHARS, idempotency_key="k" * KEY_CHARS))
    assert len(made.generation.brief) == BRIEF_CHARS


async def test_without_a_model_nothing_is_accepted_and_nothing_charged(postgres, seeded, tmp_path):
    dsn = await postgres.create_database(seeded)
    async with opened(tmp_path, dsn, models=ModelShelf()) as studio:
        caller = await studio.person(matcha=1)
        with pytest.raises(ProviderNotConfigured):
            await studio.orders.create(caller, BRIEF)
        assert await studio.balance(caller) == 1
        assert (await studio.counts()).get("generation") is None
    await postgres.drop_database(dsn)


async def test_nobody_orders_nothing(studio):
    with pytest.raises(Unauthenticated):
        await studio.orders.create(NOBODY, BRIEF)


async def test_an_order_of_a_pass_that_is_gone_is_refused(studio):
    caller = await studio.person(matcha=1)
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", caller.pass_id)
    with pytest.raises(NotFound):
        await studio.orders.create(caller, BRIEF)


async def test_a_replay_of_what_was_deleted_is_told_so_and_not_made_again(studio):
    caller = await studio.person(matcha=2)
    order = replace(BRIEF, idempotency_key="k")
    made = await studio.orders.create(caller, order)
    await studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = $1", made.generation.id)
    with pytest.raises(NotFound, match="deleted"):
        await studio.orders.create(caller, order)
    assert await studio.balance(caller) == 1


# ---------------------------------------------------------------- reading it


async def test_a_generation_is_its_owner_s_by_global_and_by_bare_id(studio):
    owner, stranger = await studio.person(matcha=1), await studio.person()
    made = (await studio.orders.create(owner, BRIEF)).generation
    for given in (made.id, made.generation_id):
        assert (await studio.generations.own(owner.pass_id, given)).id == made.id
        assert await studio.generations.own(stranger.pass_id, given) is None


@pytest.mark.parametrize("given", ["", "generation:", "\x00", "generation:\x00", "session:x", "x" * 5_000, "'; drop table x; --"])
async def test_ids_that_cannot_be_one_are_like_ids_of_nothing(studio, given):
    caller = await studio.person()
    assert await studio.generations.own(caller.pass_id, given) is None
    assert await studio.generations.by_id([given]) == {}
    with pytest.raises(NoSuchThing):
        await anext(studio.progress.follow(caller.pass_id, given, 0))


async def first_event(studio: Studio, pass_id: str, given: str):
    return await anext(studio.progress.follow(pass_id, given, 0))


async def test_only_the_owner_may_follow(studio):
    owner, stranger = await studio.person(matcha=1), await studio.person()
    made = (await studio.orders.create(owner, BRIEF)).generation
    events = await asyncio.gather(
        first_event(studio, owner.pass_id, made.id), first_event(studio, owner.pass_id, made.generation_id)
    )
    assert [(type(event), event.seq, event.status) for event in events] == [(Change, 1, "queued")] * 2
    with pytest.raises(NoSuchThing) as theirs:
        await first_event(studio, stranger.pass_id, made.id)
    with pytest.raises(NoSuchThing) as nothing:
        await first_event(studio, stranger.pass_id, "generation:nothing")
    assert theirs.value.message == nothing.value.message


@pytest.mark.parametrize(("status", "end"), [("succeeded", "done"), ("failed", "error"), (None, "done")])
async def test_a_picture_from_before_mma_recorded_no_progress_and_ends_at_once(studio, status, end):
    owner = await studio.person()
    await studio.row("generation", "old", owner, status=status)
    events = [event async for event in studio.progress.follow(owner.pass_id, "old", 0)]
    assert [(event.seq, event.status) for event in events] == [(1, end)]
    assert [event async for event in studio.progress.follow(owner.pass_id, "old", 1)] == []
