"""A Mina on a database of its own, with people in it: what the tests of the services and of the GraphQL layer share."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
from PIL import Image

from mina_gql import bootstrap
from mina_gql.bootstrap import Mina
from mina_gql.domain.credits import Entry, Reason
from mina_gql.domain.generations import StillOrder
from mina_gql.domain.passes import Caller
from mina_gql.mega import customers
from mina_gql.mega.database import Database, Query
from mina_gql.services.credits import post, settle
from mina_gql.settings import Settings

ADDRESS = "127.0.0.1"
NOBODY = Caller(None, ADDRESS)
SECRET = "a-secret-of-48-bytes-that-is-used-in-tests-only!"
BRIEF = StillOrder(brief="A bottle on wet stone, morning light.")


@dataclass
class Studio:
    """A running Mina without a worker. `sql` looks at the tables from outside."""

    mina: Mina
    sql: asyncpg.Connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.mina.services, name)  # studio.passes, studio.credits, …

    async def person(self, matcha: int = 0) -> Caller:
        """Somebody new, with a balance."""
        owner = (await self.mina.services.passes.ensure(NOBODY)).owner
        if matcha:
            await self.deposit(owner.id, matcha)
        return Caller(owner.id, ADDRESS, owner_tags=self.mina.services.passes.owner_tags(owner))

    async def deposit(self, pass_id: str, matcha: int) -> None:
        """Put matcha on a balance, for 30 days, as an adjustment."""
        name = str(uuid4())
        entry = Entry(f"credit_transaction:adjust:{name}", matcha, Reason.ADJUSTMENT, "test", "adjust", name)
        async with self.mina.database.begin() as session:
            locked = await settle(session, pass_id)
            assert locked is not None
            await post(session, locked, entry)
            await customers.extend_expiry(session, pass_id, 30)

    async def expire(self, caller: Caller) -> None:
        """Let a Pass's matcha have expired a second ago."""
        await self.sql.execute(
            "update mega_customers set mg_expires_at = clock_timestamp() - interval '1 second' where mg_pass_id = $1",
            caller.pass_id,
        )

    async def disable(self, caller: Caller) -> Caller:
        """Switch a Pass off; gives its caller as the edge sees it from now on."""
        await self.sql.execute("update mega_customers set mg_disabled = true where mg_pass_id = $1", caller.pass_id)
        return await self.seen(caller.pass_id)

    async def seen(self, pass_id: str | None) -> Caller:
        """Whom the edge takes the bearer of an id for."""
        owner = await self.mina.services.passes.prove(pass_id, None)
        if owner is None:
            return NOBODY
        tags = self.mina.services.passes.owner_tags(owner)
        return Caller(owner.id, ADDRESS, disabled=owner.disabled, owner_tags=tags)

    async def row(self, record_type: str, name: str, caller: Caller, **columns: Any) -> str:
        """A row of the ledger as it may lie there; `columns` without `mg_`. Gives its id."""
        row = {"id": f"{record_type}:{name}", "record_type": record_type, "pass_id": caller.pass_id, **columns}
        names, places = ", ".join(f"mg_{column}" for column in row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
        await self.sql.execute(f"insert into mega_generations ({names}) values ({places})", *row.values())
        return row["id"]

    async def knobs(self, **values: Any) -> None:
        """Set runtime knobs (`price_create=2`), in force at once."""
        flat = {name if "." in name else name.replace("_", ".", 1): value for name, value in values.items()}
        await self.sql.execute(
            """insert into mega_admin (mg_id, mg_record_type, mg_runtime_flat) values ('runtime_config:test', 'runtime_config', $1)
            on conflict (mg_id) do update set mg_runtime_flat = excluded.mg_runtime_flat""",
            orjson.dumps(flat).decode(),
        )
        self.mina.services.config._read_at = float("-inf")

    async def picture(self, caller: Caller) -> str:
        """A confirmed upload; its URL."""
        upload = await self.mina.services.assets.create_upload(caller, "image/png", "p.png", len(PNG))
        await self.stage(upload.key)
        return (await self.mina.services.assets.confirm(caller, upload.key)).public_url

    async def stage(self, key: str, data: bytes | None = None) -> None:
        """Put bytes where a signed upload would."""
        place = self.mina.store._staging / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(PNG if data is None else data)

    async def balance(self, caller: Caller) -> int:
        """What is in the column, expired or not."""
        return await self.sql.fetchval("select mg_credits from mega_customers where mg_pass_id = $1", caller.pass_id)

    async def entries(self, caller: Caller) -> list[tuple[str, int]]:
        """Reason and delta of each ledger row, oldest first."""
        rows = await self.sql.fetch(
            "select mg_reason, mg_delta from mega_generations where mg_pass_id = $1 and mg_record_type = 'credit_transaction' "
            "order by mg_created_at, mg_id",
            caller.pass_id,
        )
        return [tuple(row) for row in rows]

    async def counts(self) -> dict[str, int]:
        """How many rows there are: of each record type, and jobs."""
        rows = await self.sql.fetch("select mg_record_type, count(*) from mega_generations group by 1")
        return {**dict(rows), "job": await self.sql.fetchval("select count(*) from ops.pgqueuer")}

    async def check_books(self) -> None:
        """The invariant of money (DESIGN section 5)."""
        wrong = await self.sql.fetch(
            "select c.mg_pass_id, mg_credits, coalesce(sum(mg_delta), 0) from mega_customers c left join mega_generations g "
            "on g.mg_pass_id = c.mg_pass_id and g.mg_record_type = 'credit_transaction' "
            "group by 1, 2 having mg_credits <> coalesce(sum(mg_delta), 0) or mg_credits < 0"
        )
        assert wrong == []


@dataclass
class Reads:
    """Reads as they were asked for."""

    queries: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.queries)


@contextmanager
def counted(database: Database) -> Iterator[Reads]:
    """The reads within the block."""
    reads = Reads()
    fetch, fetch_one = database.fetch, database.fetch_one

    async def counting_fetch(query: Query, **parameters: Any) -> list[asyncpg.Record]:
        reads.queries.append(query.text)
        return await fetch(query, **parameters)

    async def counting_fetch_one(query: Query, **parameters: Any) -> asyncpg.Record | None:
        reads.queries.append(query.text)
        return await fetch_one(query, **parameters)

    database.fetch, database.fetch_one = counting_fetch, counting_fetch_one  # type: ignore[method-assign]
    try:
        yield reads
    finally:
        database.fetch, database.fetch_one = fetch, fetch_one  # type: ignore[method-assign]


@asynccontextmanager
async def opened(home: Path, dsn: str, **wiring: Any) -> AsyncIterator[Studio]:
    """A studio on a database that is migrated and seeded; `wiring` goes to `bootstrap.assembled`."""
    settings = settings_for(home, dsn)
    sql = await asyncpg.connect(dsn)
    try:
        async with bootstrap.assembled(settings, dsn, **wiring) as mina:
            yield Studio(mina, sql)
    finally:
        await sql.close()


def settings_for(home: Path, dsn: str) -> Settings:
    """The settings of a test's own Mina."""
    return Settings(home=home, database_url=dsn, secret_key=SECRET, offline_vendors=True, rate_limits="off", _env_file=None)


def picture_bytes(kind: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    """A small picture."""
    buffer = BytesIO()
    Image.new("RGB", size, (180, 60, 40)).save(buffer, kind)
    return buffer.getvalue()


PNG = picture_bytes()


@pytest.fixture(scope="session")
async def seeded(postgres, template, tmp_path_factory) -> str:
    """The name of a migrated database with its configuration, to be cloned."""
    dsn = await postgres.create_database(template)
    await bootstrap.migrate(settings_for(tmp_path_factory.mktemp("home"), dsn), dsn)
    return dsn.rpartition("/")[2]


@pytest.fixture
async def studio(postgres, seeded, tmp_path) -> AsyncIterator[Studio]:
    """A studio of this test's own."""
    dsn = await postgres.create_database(seeded)
    async with opened(tmp_path, dsn) as studio:
        yield studio
    await postgres.drop_database(dsn)
