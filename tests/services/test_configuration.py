"""Configuration in force: seeded once, the highest enabled version, the knobs within seconds."""

import orjson
import pytest

from mina_gql.domain.config_seed import SEED
from mina_gql.services import config
from mina_gql.services.config import ConfigService
from tests.studio import Studio, counted

KEY = "mma.ctx.gpt_reader"


@pytest.fixture
def fresh(studio):
    """A service that has read nothing yet."""
    return lambda: ConfigService(studio.mina.database, {})


async def publish(studio: Studio, version: int | None, *, enabled: bool | None = True) -> None:
    name = f"app_config:{KEY}" if version is None else f"app_config:{KEY}.v{version}"
    meta = {} if enabled is None else {"enabled": enabled}
    value = {"system": f"version {version}", "user_template": "{{brief}}"}
    await studio.sql.execute(
        "insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value, mg_meta) values ($1, 'app_config', $2, $3, $4)",
        name,
        KEY,
        orjson.dumps(value).decode(),
        orjson.dumps(meta).decode(),
    )


async def test_every_key_is_seeded_as_version_one_and_seeding_again_changes_nothing(studio, fresh):
    rows = await studio.sql.fetch("select mg_id, mg_key, mg_value from mega_admin where mg_record_type = 'app_config'")
    assert {row["mg_id"]: orjson.loads(row["mg_value"]) for row in rows} == {f"app_config:{key}.v1": SEED[key] for key in SEED}
    assert await fresh().seed() == []
    await publish(studio, 2)
    assert await fresh().seed() == []


@pytest.mark.parametrize("name", [key.removeprefix("mma.ctx.") for key in SEED if key.startswith("mma.ctx.")])
async def test_every_seeded_context_is_in_force(fresh, name):
    found = await fresh().context(name)
    assert (found.id, found.version) == (f"app_config:mma.ctx.{name}.v1", 1)
    assert {"system": found.system, "user_template": found.user_template} == SEED[f"mma.ctx.{name}"]


async def test_the_highest_enabled_version_is_in_force(studio, fresh):
    await publish(studio, 2)
    await publish(studio, 10)
    assert (await fresh().context("gpt_reader")).version == 10  # ten, not two: versions are numbers
    await studio.sql.execute("update mega_admin set mg_meta = '{\"enabled\": false}' where mg_id = $1", f"app_config:{KEY}.v10")
    found = await fresh().context("gpt_reader")
    assert (found.version, found.id, found.system) == (2, f"app_config:{KEY}.v2", "version 2")


async def test_a_key_without_a_version_reads_as_version_zero(studio, fresh):
    await studio.sql.execute(
        "update mega_admin set mg_meta = mg_meta || '{\"enabled\": false}' where mg_id = $1", f"app_config:{KEY}.v1"
    )
    await publish(studio, None, enabled=None)
    found = await fresh().context("gpt_reader")
    assert (found.version, found.id) == (0, f"app_config:{KEY}")


async def test_a_key_with_no_enabled_version_says_what_to_do(studio, fresh):
    await studio.sql.execute(
        "update mega_admin set mg_meta = mg_meta || '{\"enabled\": false}' where mg_id = $1", f"app_config:{KEY}.v1"
    )
    with pytest.raises(LookupError, match="mina migrate"):
        await fresh().context("gpt_reader")


async def test_knobs_stand_on_the_deployment_s_defaults_and_unknown_ones_are_left_out(studio):
    await studio.knobs(price_create=7, no_such=1)
    service = ConfigService(studio.mina.database, {"credits.free_grant": 10, "price.create": 2})
    knobs = await service.runtime()
    assert (knobs.free_grant, knobs.values["price.create"], knobs.values["price.tweak"]) == (10, 7, 1)
    assert "no.such" not in knobs.values


async def test_a_change_is_in_force_after_a_few_seconds_and_not_read_at_every_turn(studio, fresh):
    service = fresh()
    assert (await service.runtime()).values["price.create"] == 1
    await studio.knobs(price_create=3)
    with counted(studio.mina.database) as reads:
        assert (await service.runtime()).values["price.create"] == 1
    assert len(reads) == 0
    service._read_at -= config.REREAD_SECONDS
    assert (await service.runtime()).values["price.create"] == 3


async def test_what_a_provider_has_no_defaults_for_has_none(fresh):
    assert await fresh().provider_defaults("seedream") == SEED["mma.provider.seedream.defaults"]
    assert await fresh().provider_defaults("elsewhere") == {}
