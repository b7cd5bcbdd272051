"""How PostgreSQL reads what admins look at among many rows: by indexes, and never all the steps and events (P2, P3, P5)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from mina_gql.domain.reports import days_until
from mina_gql.mega import admin, directory, parity, reports
from mina_gql.mega.database import Query
from mina_gql.mega.generations import events, ledger, steps
from mina_gql.mega.pages import Pages
from tests.mega.archive_crowd import crowd
from tests.mega.test_archive_plans import plan

ROWS = 100_000
PEOPLE = """
    insert into mega_customers (mg_pass_id, mg_email, mg_first_name, mg_last_name, mg_display_name, mg_shopify_customer_id, mg_credits, mg_last_active, mg_created_at)
    select 'pass:anon:person-' || n, 'person' || n || '@mina.example', 'First' || n, 'Last' || n, 'Shown' || n, (1000000 + n)::text, n % 3,
      now() - n * interval '1 minute', now() - n * interval '1 minute'
    from generate_series(1, 30000) n"""
AUDITS = """
    insert into mega_admin (mg_id, mg_record_type, mg_action, mg_created_at)
    select 'admin_audit:' || n, 'admin_audit', case when n % 500 = 0 then 'credits.adjust' else 'refused.admin' end, now() - n * interval '1 second'
    from generate_series(1, 20000) n"""


@pytest.fixture(scope="module")
async def crowded(postgres, template) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with 100,000 rows of the ledger, 30,000 people and 20,000 audit rows."""
    dsn = await postgres.create_database(template)
    db = await asyncpg.connect(dsn)
    await crowd(db, ROWS)
    await db.execute(f"{PEOPLE};{AUDITS}; analyze mega_customers; analyze mega_admin")
    await db.execute("vacuum mega_customers")
    await db.set_type_codec("timestamptz", schema="pg_catalog", encoder=str, decoder=str, format="text")
    yield db
    await db.close()
    await postgres.drop_database(dsn)


@pytest.fixture(params=["custom", "generic"])
async def plans(crowded, request) -> asyncpg.Connection:
    """Plans for the values at hand, and those that a connection settles on after a few times."""
    await crowded.execute(f"set plan_cache_mode = force_{request.param}_plan")
    return crowded


def first_page(pages: Pages) -> Query:
    return pages._compile(False, False, False)


def following(pages: Pages) -> Query:
    return pages._compile(False, True, False)


DAYS = days_until(datetime.now(UTC), 30, ZoneInfo("Asia/Dubai"))
SPAN = {
    "days": [day.name for day in DAYS],
    "begins": [day.begins.isoformat() for day in DAYS],
    "ends": [day.ends.isoformat() for day in DAYS],
}
MAKERS = {"makers": [0, 1], "vendors": ["offline", "openai"], "step_types": ["postscan", "gpt_reader"], "runs": 50}
PLACE = {"page_limit": 21, "after_at": "2026-01-05 03:00:00+00", "after_id": "x"}
LISTED = {
    "ledger": ledger.EVERYBODYS,
    "events": events.EVERYBODYS,
    "failed steps": steps.FAILED,
    "people": directory.EVERYBODY,
    "audits": admin.AUDITS,
}
READS = {
    "the queue": (reports.QUEUE, {}),
    "vendors": (reports.FIGURES, MAKERS),
    "days": (parity.BY_DAY, SPAN),
    "search": (first_page(directory.FOUND), {"page_limit": 21, **directory.sought("person123")}),
    "search, counted": (directory.FOUND._count, directory.sought("First99")),
    "audits of an action": (first_page(admin.AUDITS_OF_ACTION), {"page_limit": 21, "action": "credits.adjust"}),
    **{f"{name}, first page": (first_page(pages), {"page_limit": 21}) for name, pages in LISTED.items()},
    **{f"{name}, next page": (following(pages), PLACE) for name, pages in LISTED.items()},
}


@pytest.mark.parametrize("read", READS)
async def test_no_read_goes_through_a_whole_table(plans, read):
    query, values = READS[read]
    nodes = await plan(plans, query, values)
    assert [node for node in nodes if "Relation Name" in node]
    assert [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith("mega_")] == []


async def test_the_sums_read_of_the_ledger_what_they_need(plans):
    """Of customers it counts all, which takes a look at all of them; not so of the ledger, which is many times larger."""
    nodes = await plan(plans, reports.SUMMARY, {})
    scans = {node["Node Type"] for node in nodes if node.get("Relation Name") == "mega_generations"}
    assert scans <= {"Index Only Scan", "Index Scan", "Bitmap Heap Scan"}
