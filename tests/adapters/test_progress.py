"""Announcements on PostgreSQL's channel: nothing but a generation's id and its last seq, and whoever says so wakes watchers."""

import asyncio
import json

import asyncpg
import pytest

from mina_gql.adapters.progress import CHANNEL, PostgresProgress


@pytest.fixture
async def bus(postgres):
    bus = PostgresProgress(postgres.dsn)
    await bus.open()
    yield bus
    await bus.close()


async def test_an_announcement_carries_the_generation_and_its_seq_and_nothing_else(postgres, bus):
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(postgres.dsn)
    await listener.add_listener(CHANNEL, lambda _connection, _pid, _channel, payload: heard.put_nowait(payload))
    await bus.announce("generation:a", 7)
    assert json.loads(await asyncio.wait_for(heard.get(), 10)) == {"generation": "generation:a", "seq": 7}
    await listener.close()


@pytest.mark.parametrize("payload", ['{"generation": "generation:a", "seq": 1}', '{"topic": "generation:a"}'])
async def test_whoever_announces_wakes_the_watchers_of_that_generation_only(postgres, bus, payload):
    speaker = await asyncpg.connect(postgres.dsn)
    async with bus.watch("generation:a") as mine, bus.watch("generation:b") as other:
        for noise in ("no JSON", "[]", "7", '{"seq": 1}'):
            await speaker.execute("select pg_notify($1, $2)", CHANNEL, noise)
        await speaker.execute("select pg_notify($1, $2)", CHANNEL, payload)
        await asyncio.wait_for(mine.wait(60), 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.wait(60), 0.05)
    await speaker.close()
