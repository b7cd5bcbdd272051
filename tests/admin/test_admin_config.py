"""Versioned configuration: published, checked, rolled back, and in force everywhere at once (FEATURES Q1 to Q6)."""

import asyncio
import copy

import asyncpg
import orjson
import pytest

from mina_gql.domain.config_rules import PLACEHOLDERS, REGISTRY
from mina_gql.domain.config_seed import SEED
from mina_gql.services import config as config_service
from tests.admin.office import SET, Office
from tests.identity.edge import Who, edge_on
from tests.studio import BRIEF

READER = "mma.ctx.gpt_reader"
V2 = {"system": "You write prompts, version 2.", "user_template": "<data>{{brief}} in {{ratio}}</data>"}
DEFAULTS = "mma.provider.seedream.defaults"
VERSIONS = "query($key: String!) { admin { config(key: $key) { id version enabled active createdBy } } }"


async def versions(office: Office, key: str) -> list[tuple[int, bool, bool]]:
    found = (await office.ask(VERSIONS, key=key))["config"]
    return [(each["version"], each["enabled"], each["active"]) for each in found]


def registry(**still) -> dict:
    changed = copy.deepcopy(dict(SEED[REGISTRY]))
    changed["roles"]["still"] |= still
    return changed


# ---------------------------------------------------------------- publishing


async def test_a_version_is_a_new_row_and_the_old_one_stays_as_it_was(office: Office):
    """Q1, Q3: and an UPDATE of a version is refused by the database itself."""
    published = await office.publish(READER, V2)
    assert published["userErrors"] == []
    assert published["config"] == {
        "id": f"app_config:{READER}.v2", "key": READER, "version": 2, "enabled": True, "active": True, "value": V2,
        "createdBy": "boss@mina.example",
    }  # fmt: skip
    assert await versions(office, READER) == [(2, True, True), (1, True, False)]
    first = await office.studio.sql.fetchval("select mg_value from mega_admin where mg_id = $1", f"app_config:{READER}.v1")
    assert orjson.loads(first) == SEED[READER]
    with pytest.raises(asyncpg.RestrictViolationError):
        await office.studio.sql.execute("update mega_admin set mg_value = '{}' where mg_id = $1", f"app_config:{READER}.v2")


async def test_publishing_is_audited_with_what_was_active_before_and_after(office: Office):
    """P7"""
    await office.publish(READER, V2)
    row = await office.audited()
    assert (row["mg_action"], row["mg_method"]) == ("config.publish", "publishConfig")
    assert orjson.loads(row["mg_detail"]) == {
        "id": f"app_config:{READER}.v2",
        "before": {"active": f"app_config:{READER}.v1"},
        "after": {"active": f"app_config:{READER}.v2"},
    }


async def test_without_its_audit_row_nothing_is_published(office: Office):
    await office.studio.sql.execute(
        """create function public.broken() returns trigger language plpgsql as $$ begin raise exception 'on purpose'; end $$;
        create trigger broken before insert on mega_admin for each row when (new.mg_action is not null) execute function public.broken()"""
    )
    answer = await office.edge.ask(
        office.boss, 'mutation($v: JSON!) { publishConfig(key: "mma.ctx.gpt_reader", value: $v) { config { id } } }', v=V2
    )
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert (await office.studio.config.context("gpt_reader")).version == 1


async def test_the_next_generation_uses_it_and_its_step_says_so(office: Office):
    """Q5: the context's key, version and id, and the prompt as it was rendered with it."""
    await office.publish(READER, V2)
    caller = await office.studio.person(matcha=5)
    made = (await office.studio.orders.create(caller, BRIEF)).generation
    await office.studio.mina.runner.run(made.id)
    query = "query($id: ID!) { admin { generation(id: $id) { steps { stepType config { key version id } input } } } }"
    steps = (await office.ask(query, id=made.id))["generation"]["steps"]
    (reader,) = [step for step in steps if step["stepType"] == "gpt_reader"]
    assert reader["config"] == {"key": READER, "version": 2, "id": f"app_config:{READER}.v2"}
    assert reader["input"]["input_gpt_reader"].startswith(f"<data>{BRIEF.brief} in ")


async def test_twenty_who_publish_at_once_get_twenty_versions(office: Office):
    """Q6: none is lost, none is given twice, and the audit tells one story."""
    made = await asyncio.gather(*(office.publish(READER, {**V2, "system": f"by {n}"}) for n in range(20)))
    assert sorted(each["config"]["version"] for each in made) == list(range(2, 22))
    assert {each["config"]["value"]["system"] for each in made} == {f"by {n}" for n in range(20)}
    story = [detail for _, detail in await office.audits()]
    assert [each["before"] for each in story[1:]] == [each["after"] for each in story[:-1]]


async def test_the_number_of_a_deleted_version_is_not_given_again(office: Office):
    await office.publish(READER, V2)
    await office.studio.sql.execute("alter table mega_admin disable trigger mega_admin_app_config")
    await office.studio.sql.execute("update mega_admin set mg_deleted_at = now() where mg_id = $1", f"app_config:{READER}.v2")
    assert (await office.publish(READER, V2))["config"]["version"] == 3


# ---------------------------------------------------------------- what is refused

ENTRY = SEED[REGISTRY]["roles"]["still"]
WITHOUT_ROLE = {"roles": {name: entry for name, entry in SEED[REGISTRY]["roles"].items() if name != "vision"}}
REFUSED = {
    "no such key": ("mma.ctx.nobody", V2, ["key"]),
    "a key with a version in it": (f"{READER}.v9", V2, ["key"]),
    "no object": (READER, "text", ["value"]),
    "no template": (READER, {"system": "x"}, ["value"]),
    "an empty system text": (READER, {**V2, "system": " "}, ["value", "system"]),
    "one thing too many": (READER, {**V2, "temperature": 1}, ["value"]),
    "a placeholder nobody fills in": (READER, {**V2, "user_template": "{{brief}} {{budget}}"}, ["value", "user_template"]),
    "a placeholder of another context": (READER, {**V2, "user_template": "{{feedback}}"}, ["value", "user_template"]),
    "half a placeholder": (READER, {**V2, "user_template": "{{brief} {{ratio}}"}, ["value", "user_template"]),
    "a placeholder in capitals": (READER, {**V2, "user_template": "{{Brief}}"}, ["value", "user_template"]),
    "a placeholder in the system text": (READER, {**V2, "system": "{{brief}}"}, ["value", "system"]),
    "a setting nobody knows": (DEFAULTS, {"sise": "2K"}, ["value"]),
    "a value the setting does not take": (DEFAULTS, {"size": "9K"}, ["value", "size"]),
    "defaults that are no object": (DEFAULTS, ["2K"], ["value"]),
    "defaults of a provider nobody named": ("mma.provider.flux.defaults", {}, ["key"]),
    "a registry without a role": (REGISTRY, WITHOUT_ROLE, ["value", "roles"]),
    "a role nobody asks for": (REGISTRY, {"roles": {**SEED[REGISTRY]["roles"], "music": ENTRY}}, ["value", "roles"]),
    "no model": (REGISTRY, {"roles": {**SEED[REGISTRY]["roles"], "still": {"provider": "x"}}}, ["value", "roles", "still"]),
    "a vendor without an adapter": (REGISTRY, registry(vendor="acme"), ["value", "roles", "still", "vendor"]),
    "a vendor that cannot do it": (REGISTRY, registry(vendor="openai"), ["value", "roles", "still", "vendor"]),
    "a provider that is no word": (REGISTRY, registry(provider="See Dream"), ["value", "roles", "still", "provider"]),
    "a misspelt word": (REGISTRY, registry(fallbak=None), ["value", "roles", "still"]),
    "no concurrency": (REGISTRY, registry(concurrency=0), ["value", "roles", "still", "concurrency"]),
    "a schema that is none": (REGISTRY, registry(settings_schema={"type": "object", "required": "size"}), ["value", "roles", "still", "settings_schema"]),
    "a rule that is no object": (REGISTRY, registry(settings_schema={"type": "object", "properties": {"size": True}}), ["value", "roles", "still", "settings_schema", "properties", "size"]),
    "a schema with a reference": (REGISTRY, registry(settings_schema={"type": "object", "properties": {"size": {"$ref": "https://elsewhere.example"}}}), ["value", "roles", "still", "settings_schema"]),
    "a pattern that is none": (REGISTRY, registry(settings_schema={"type": "object", "properties": {"size": {"pattern": "("}}}), ["value", "roles", "still", "settings_schema"]),
    "a pattern of names that is none": (REGISTRY, registry(settings_schema={"type": "object", "patternProperties": {"(": {}}}), ["value", "roles", "still", "settings_schema"]),
    "a fallback that is none": (REGISTRY, registry(fallback={"provider": "flux"}), ["value", "roles", "still", "fallback"]),
    "a fallback to itself": (REGISTRY, registry(fallback=ENTRY), ["value", "roles", "still", "fallback", "provider"]),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
async def test_what_could_not_work_is_refused_with_the_place_and_nothing_is_written(office: Office, why):
    """Q6"""
    key, value, field = REFUSED[why]
    refused = await office.publish(key, value)
    (error,) = refused["userErrors"]
    assert (refused["config"], error["code"], error["field"]) == (None, "INVALID_INPUT", field), error
    assert error["message"]
    assert await office.studio.sql.fetchval("select count(*) from mega_admin where mg_id like '%.v2'") == 0
    assert await office.audits() == []


TAKEN = {
    "every placeholder of every context": [
        (f"mma.ctx.{name}", {"system": "x", "user_template": " ".join(f"{{{{{each}}}}}" for each in sorted(known))})
        for name, known in PLACEHOLDERS.items()
    ],
    "what is seeded, once more": [(key, dict(value)) for key, value in SEED.items()],
    "a fallback, then its defaults": [
        (REGISTRY, registry(fallback={**ENTRY, "provider": "flux", "fallback": None})),
        ("mma.provider.flux.defaults", {"size": "4K"}),
    ],
}


@pytest.mark.parametrize("what", TAKEN)
async def test_what_can_work_is_taken(office: Office, what):
    for key, value in TAKEN[what]:
        taken = await office.publish(key, value)
        assert taken["userErrors"] == [], key
        assert taken["config"]["active"]


MADE_OF = """mutation($id: ID!) {
  tweak: tweak(input: {generationId: $id, feedback: "warmer"}) { generation { id } }
  animate: animate(input: {generationId: $id, motionPrompt: "orbit"}) { generation { id } }
  typed: animate(input: {generationId: $id, typeForMe: true}) { generation { id } } }"""
PARTS = """select mg_step_type, mg_payload #> '{input,parts}' from mega_generations
  where mg_record_type = 'mma_step' and mg_payload #> '{input,parts}' is not null"""


async def test_the_placeholders_are_those_that_the_steps_fill_in(office: Office):
    """What an admin may use and what a step renders are one list."""
    caller = await office.studio.person(matcha=20)
    still = (await office.studio.orders.create(caller, BRIEF)).generation
    await office.studio.mina.runner.run(still.id)
    made = (await office.edge.ask(Who(caller.pass_id), MADE_OF, id=still.id))["data"]
    for each in made.values():
        await office.studio.mina.runner.run(each["generation"]["id"])
    filled = {row[0]: frozenset(orjson.loads(row[1])) for row in await office.studio.sql.fetch(PARTS)}
    assert filled.keys() == {"gpt_reader", "gpt_feedback_still", "gpt_reader_motion", "motion_suggestion"}
    assert filled == {name: PLACEHOLDERS[name] for name in filled}


# ---------------------------------------------------------------- enabling


async def test_disabling_the_newest_version_rolls_back_to_the_one_before(office: Office):
    """Q3: disable v3, and v2 is used; enable it, and it is in force again."""
    for n in (2, 3):
        await office.publish(READER, {**V2, "system": f"version {n}"})
    disabled = await office.enable(f"app_config:{READER}.v3", enabled=False)
    assert disabled["config"] == {"id": f"app_config:{READER}.v3", "version": 3, "enabled": False, "active": False}
    assert (await office.studio.config.context("gpt_reader")).system == "version 2"
    assert await versions(office, READER) == [(3, False, False), (2, True, True), (1, True, False)]
    await office.enable(f"{READER}.v3", enabled=True)  # the bare id will do
    assert (await office.studio.config.context("gpt_reader")).version == 3
    assert [action for action, _ in await office.audits()][-2:] == ["config.disable", "config.enable"]
    assert (await office.audits())[-2][1]["after"] == {"active": f"app_config:{READER}.v2"}


@pytest.mark.parametrize("key", [READER, REGISTRY])
async def test_the_last_enabled_version_of_what_is_needed_cannot_be_disabled(office: Office, key):
    refused = await office.enable(f"app_config:{key}.v1", enabled=False)
    assert [error["code"] for error in refused["userErrors"]] == ["CONFLICT"]
    assert await versions(office, key) == [(1, True, True)]
    assert await office.audits() == []


async def test_two_who_disable_the_last_two_at_once_leave_one(office: Office):
    await office.publish(READER, V2)
    answers = await asyncio.gather(*(office.enable(f"{READER}.v{n}", enabled=False) for n in (1, 2)))
    assert sorted(len(answer["userErrors"]) for answer in answers) == [0, 1]
    assert len([enabled for _, enabled, _ in await versions(office, READER) if enabled]) == 1


async def test_a_provider_needs_no_defaults(office: Office):
    assert (await office.enable(f"app_config:{DEFAULTS}.v1", enabled=False))["userErrors"] == []
    assert await office.studio.config.provider_defaults("seedream") == {}


async def test_a_version_that_breaks_the_rules_of_today_is_not_enabled(office: Office):
    await office.studio.sql.execute(
        "insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value, mg_meta) values ($1, 'app_config', $2, $3, '{\"enabled\": false}')",
        f"app_config:{READER}.v2", READER, '{"system": "old", "user_template": "{{long_gone}}"}',
    )  # fmt: skip
    (error,) = (await office.enable(f"app_config:{READER}.v2", enabled=True))["userErrors"]
    assert (error["code"], error["field"]) == ("INVALID_INPUT", ["id"])
    assert await versions(office, READER) == [(2, False, False), (1, True, True)]


@pytest.mark.parametrize("id_", ["app_config:mma.ctx.gpt_reader.v9", "nonsense", "", "\x00", "runtime_config:mina"])
async def test_what_is_no_version_is_not_found(office: Office, id_):
    assert [error["code"] for error in (await office.enable(id_, enabled=True))["userErrors"]] == ["NOT_FOUND"]


async def test_both_forms_of_id_are_read_and_only_the_one_with_a_version_is_written(office: Office):
    """Q2"""
    await office.studio.sql.execute(
        "insert into mega_admin (mg_id, mg_record_type, mg_value) values ($1, 'app_config', $2)",
        f"app_config:{READER}", '{"system": "from before", "user_template": "{{brief}}"}',
    )  # fmt: skip
    assert await versions(office, READER) == [(1, True, True), (0, True, False)]
    node = "query($id: ID!) { node(id: $id) { id ... on ConfigVersion { key version active value } } }"
    assert (await office.ask(node, id=f"app_config:{READER}"))["value"]["system"] == "from before"
    await office.enable(f"app_config:{READER}.v1", enabled=False)
    assert (await office.studio.config.context("gpt_reader")).system == "from before"
    assert (await office.publish(READER, V2))["config"]["id"] == f"app_config:{READER}.v2"


async def test_every_key_and_version_is_listed_and_one_of_each_key_is_active(office: Office):
    await office.publish(READER, V2)
    listed = (await office.ask("{ admin { configs { key version active } } }"))["configs"]
    assert {each["key"] for each in listed} == set(SEED)
    assert sorted(each["key"] for each in listed if each["active"]) == sorted(SEED)
    assert [each["version"] for each in listed if each["key"] == READER] == [2, 1]


async def test_a_row_with_a_number_beyond_all_numbers_breaks_nothing(office: Office):
    await office.studio.sql.execute(
        "insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value) values ($1, 'app_config', $2, '{}')",
        f"app_config:{READER}.v{'9' * 30}", READER,
    )  # fmt: skip
    assert (await office.studio.config.context("gpt_reader")).version == 1


# ---------------------------------------------------------------- two processes


async def until(changed) -> None:
    """Let the announcement arrive; nothing else would make the change known here."""
    async with asyncio.timeout(10):
        while not await changed():  # noqa: ASYNC110 -- what is awaited is the effect of an event, in the service itself
            await asyncio.sleep(0)


async def test_what_one_process_publishes_the_next_generation_of_another_uses(office: Office, tmp_path, monkeypatch):
    """Not by waiting until it reads again: it is told."""
    monkeypatch.setattr(config_service, "REREAD_SECONDS", 3_600.0)
    async with edge_on(tmp_path / "other", office.studio.mina.dsn) as other:
        caller, config = await other.studio.person(matcha=5), other.studio.config

        async def reads_version_2() -> bool:
            return (await config.context("gpt_reader")).version == 2

        async def has_the_price() -> bool:
            return (await config.runtime()).values["price.create"] == 3

        assert not await reads_version_2()
        await office.publish(READER, V2)
        await until(reads_version_2)
        assert not await has_the_price()
        await office.ask(SET, values={"price.create": 3})
        await until(has_the_price)
        made = (await other.studio.orders.create(caller, BRIEF)).generation
        assert made.cost == 3
        await other.studio.mina.runner.run(made.id)
    used = await office.studio.sql.fetchval(
        "select mg_payload #>> '{input,ctx_id}' from mega_generations where mg_step_type = 'gpt_reader' and mg_generation_id = $1",
        made.generation_id,
    )
    assert used == f"app_config:{READER}.v2"


async def test_whoever_published_sees_it_at_once(office: Office, monkeypatch):
    monkeypatch.setattr(config_service, "REREAD_SECONDS", 3_600.0)
    for n in range(2, 6):
        await office.publish(READER, {**V2, "system": f"version {n}"})
        assert (await office.studio.config.context("gpt_reader")).system == f"version {n}"


async def test_a_change_during_a_read_is_not_missed(office: Office, monkeypatch):
    """Whoever is told while they read may have read the old state: they read again."""
    monkeypatch.setattr(config_service, "REREAD_SECONDS", 3_600.0)
    config, fetch = office.studio.config, office.studio.mina.database.fetch
    told = []

    async def fetch_and_be_told(query, **parameters):
        rows = await fetch(query, **parameters)
        if not told:
            told.append(await office.studio.knobs(price_create=4))
            config.forget()
        return rows

    config.forget()
    office.studio.mina.database.fetch = fetch_and_be_told
    await config.runtime()
    config._read_at = float("inf")  # what `knobs` did to it is no help here
    assert (await config.runtime()).values["price.create"] == 4
