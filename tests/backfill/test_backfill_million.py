"""Many rows: killed once, gone on, whole; and the memory of the process does not grow with the tables (FEATURES DB11)."""

import asyncpg
import pytest

from tests.backfill.legacy_world import LEGACY_ROWS, MANY, UNBALANCED, backfilling, legacy_database, long_tests

ROWS = 1_000_000 if long_tests() else 12_000
MEMORY = 400 * 1024 * 1024
"""Bytes; the process has 130 MB before its first row. A million rows weigh more than a gigabyte in Python."""


@pytest.mark.crash
@pytest.mark.timeout(1200)
async def test_many_rows_are_brought_in_little_memory(postgres, seeded, tmp_path):
    """A million rows with MINA_LONG_TESTS=1, fewer without."""
    dsn = await postgres.create_database(seeded)
    async with legacy_database(postgres, MANY.format(n=ROWS)) as legacy:
        async with backfilling(tmp_path, dsn, legacy) as first:
            await first.until("generations: ")
            first.kill()
        async with backfilling(tmp_path, dsn, legacy) as second:
            assert await second.ended() == 0, second.said
        sql = await asyncpg.connect(dsn)
        assert dict(await sql.fetch(LEGACY_ROWS)) == {
            "customer": ROWS // 10,
            "session": ROWS // 10,
            "generation": ROWS * 3 // 10,
            "feedback": ROWS // 10,
            "mma_event": ROWS // 10,
            "credit_transaction": ROWS * 4 // 10,
        }
        assert await sql.fetch(UNBALANCED) == []
        learned = await sql.fetchval("select count(*) from mega_customers where mg_mma_preferences ->> 'source' = 'mma'")
        assert learned == ROWS // 10
        await sql.close()
    await postgres.drop_database(dsn)
    assert 0 < max(first.peak, second.peak) < MEMORY
