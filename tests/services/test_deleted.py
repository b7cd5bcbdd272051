"""Soft-deleted rows are invisible to every read (FEATURES DB14)."""

import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from mina_gql import mega
from mina_gql.domain.archive import ArchiveFilter
from mina_gql.domain.errors import MinaError
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.mega.database import Query
from mina_gql.mega.generations import archive, filters
from mina_gql.mega.generations.archive import FROM_VARS
from mina_gql.mega.pages import PageRequest, Pages
from mina_gql.services.config import ConfigService
from mina_gql.services.pipeline.steps.scans import CAPTION_CHARS
from tests.studio import Studio

PAGE = PageRequest(10)
SESSION = "sess_9b2f7f5e-4b3c-4f63-8a58-0d6ad1c8d7aa"
GENERATION = "8d7a"
CAPTION = "x" * min(10, CAPTION_CHARS)

ROWS = {
    "session": {"session_id": SESSION},
    "generation": {
        "generation_id": GENERATION,
        "session_id": SESSION,
        "parent_id": "generation:parent",
        "mma_mode": "still",
        "mma_status": "done",
        "prompt": "stone",
        "output_url": "http://x/y",
        "mma_vars": '{"userMessages": {}, "statuses": []}',
    },
    "mma_step": {
        "generation_id": GENERATION,
        "parent_id": f"generation:{GENERATION}",
        "step_no": 0,
        "step_type": "scan_product",
        "status": "succeeded",
        "payload": f'{{"output": {{"crt": "{CAPTION}", "sha256": "s"}}, "input": {{"ctx_id": "c"}}}}',
    },
    "mma_event": {"generation_id": GENERATION, "meta": '{"event_type": "like"}'},
    "credit_transaction": {"delta": 0, "reason": "adjustment", "source": "test", "ref_type": "adjust", "ref_id": "1"},
}
IDS = {
    kind: f"{kind}:{row.get('session_id') if kind == 'session' else row.get('generation_id', '1')}" for kind, row in ROWS.items()
}
NARROWED = ArchiveFilter(kind=GenerationKind.STILL, status=(GenerationStatus.DONE,), session_id=SESSION, search="stone")


def parent(pass_id: str) -> Any:
    """What the generation was made from, as far as its children are looked up by it."""
    return SimpleNamespace(id="generation:parent", pass_id=pass_id)


async def told(work: Awaitable[Any]) -> Any:
    """What a read tells; nothing where it refuses."""
    try:
        return await work
    except MinaError:
        return None


READS: dict[str, Callable[[Studio, str], Awaitable[Any]]] = {
    "Pass, proven": lambda s, p: s.passes.prove(p, None),
    "Pass, found": lambda s, p: s.passes.find(p),
    "Pass, by ids": lambda s, p: s.passes.by_id([p]),
    "session, by ids": lambda s, p: s.sessions.by_id([IDS["session"]]),
    "session, own": lambda s, p: s.sessions.own(p, SESSION),
    "sessions, page": lambda s, p: s.sessions.of_pass(p, PAGE),
    "sessions, count": lambda s, p: s.sessions.count_of_pass(p),
    "generation, by ids": lambda s, p: s.generations.by_id([IDS["generation"]]),
    "generation, own": lambda s, p: s.generations.own(p, GENERATION),
    "generations of a session, page": lambda s, p: s.generations.of_session(p, SESSION, PAGE, FROM_VARS),
    "generations of a session, count": lambda s, p: s.generations.count_of_session(p, SESSION),
    "archive, page": lambda s, p: s.archive.page(p, PAGE, FROM_VARS),
    "archive, count": lambda s, p: s.archive.count(p),
    "archive, narrowed": lambda s, p: s.archive.page(p, PAGE, frozenset(), NARROWED),
    "archive, counted": lambda s, p: s.archive.count(p, NARROWED),
    "archive of all": lambda s, p: s.archive.page(None, PAGE, frozenset(), NARROWED),
    "archive, children": lambda s, p: s.archive.children(parent(p), PAGE, frozenset()),
    "archive, children counted": lambda s, p: s.archive.count_children(parent(p)),
    "archive, liked": lambda s, p: s.archive.page(p, PAGE, frozenset(), ArchiveFilter(liked=True)),
    "progress": lambda s, p: anext(s.progress.follow(p, GENERATION, 0), "the end"),
    "taste": lambda s, p: s.mina.runner._tools.taste.history(p, vision_intelligence=True),
    "likes": lambda s, p: s.taste.liked([GENERATION]),
    "reasons": lambda s, p: s.taste.reasons([p]),
    "caption": lambda s, p: s.mina.runner._tools.taste.known_caption(p, "scan_product", "s", "c"),
    "steps of generations": lambda s, p: s.generations.steps([GENERATION]),
    "step, by ids": lambda s, p: s.generations.steps_by_id([IDS["mma_step"]]),
    "event, by ids": lambda s, p: s.events.by_id([IDS["mma_event"]]),
    "events, page": lambda s, p: s.events.of_pass(p, PAGE, None),
    "events, page of types": lambda s, p: s.events.of_pass(p, PAGE, ["like"]),
    "events, count": lambda s, p: s.events.count_of_pass(p, None),
    "events, count of types": lambda s, p: s.events.count_of_pass(p, ["like"]),
    "transaction, by ids": lambda s, p: s.credits.transactions_by_id([IDS["credit_transaction"]]),
    "transactions, page": lambda s, p: s.credits.transactions(p, PAGE),
    "transactions, count": lambda s, p: s.credits.count_transactions(p),
}
"""Every read of the services, on a Pass with one row of each kind."""

OF = {
    "session": ["session, ", "sessions, "],
    "generation": ["generation, ", "generations, ", "generations of a session, ", "archive", "progress", "taste", "step, by ids"],
    "mma_step": ["steps of", "step, ", "caption"],
    "mma_event": ["event, ", "events, ", "archive, liked", "taste", "likes", "reasons"],
    "credit_transaction": ["transaction, ", "transactions, "],
}
"""Which reads a row of a kind must vanish from. The steps of a generation are asked for by who sees the generation."""


def empty(found: Any) -> bool:
    """Whether a read gave nothing: none, no rows, a count of 0, empty lists in a map."""
    if isinstance(found, dict):
        return not any(found.values())
    if hasattr(found, "rows"):
        return found.rows == [] and not found.has_next
    if hasattr(found, "pictures"):
        return not found.pictures and not found.prompts
    return found in (None, 0, "the end")


@pytest.mark.parametrize("kind", [None, *ROWS])
async def test_a_deleted_row_is_in_no_read_and_every_other_row_stays(studio, kind):
    caller = await studio.person()
    pass_id = caller.pass_id
    for each, row in ROWS.items():
        await studio.row(each, IDS[each].partition(":")[2], caller, deleted_at=datetime.now(UTC) if each == kind else None, **row)
    found = {name: await told(read(studio, pass_id)) for name, read in READS.items()}
    gone = {name for name in READS if name.startswith(tuple(OF.get(kind, ["nothing"])))}
    visible = {name for name, rows in found.items() if not empty(rows)}
    assert visible == set(READS) - gone


async def test_a_deleted_pass_is_nobody(studio):
    pass_id = (await studio.person()).pass_id
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", pass_id)
    for name in ("Pass, proven", "Pass, found", "Pass, by ids"):
        assert empty(await READS[name](studio, pass_id)), name


async def test_deleted_configuration_is_not_in_force(studio):
    version = (
        "insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value, mg_deleted_at) values ($1, 'app_config', $2, $3, now())"
    )
    key = "mma.ctx.gpt_reader"
    await studio.sql.execute(version, f"app_config:{key}.v2", key, '{"system": "gone", "user_template": ""}')
    await studio.knobs(price_create=9)
    await studio.sql.execute("update mega_admin set mg_deleted_at = now() where mg_record_type = 'runtime_config'")
    config = ConfigService(studio.mina.database, {})
    assert (await config.context("gpt_reader")).version == 1
    assert (await config.runtime()).values["price.create"] == 1


EXCUSED = {
    "TAGS_DUE": "background work: a Shopify customer is owed a tag also where their Pass was merged away",
    "MISMATCHES": "the books of all Passes, for admins: money of a Pass that was merged away counts",
    "ANY_BY_ID": "whose books they are, for admins",
    "SAMPLE": "what was deleted is not drawn; of what was, the ledger and the steps count, whatever became of their marks",
    "NOW": "the database's clock",
    "QUEUE": "the queue, for metrics: what was deleted while it waited is still made",
    "RECENT": "how a vendor fares: what was deleted was made all the same",
    "MEDIANS": "how long steps take: what was deleted took its time as well",
    "STANDINGS": "the queue: what was deleted while it waited is still made",
    "REMOVALS_DUE": "background work: the objects of a deleted account are still to be removed",
}


def statements() -> dict[str, str]:
    """Every read there is, by where it stands."""
    found = {}
    for module in pkgutil.walk_packages(mega.__path__, f"{mega.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if name in EXCUSED:
                continue
            if isinstance(value, Query):
                found[f"{module.name}.{name}"] = value.text
            elif isinstance(value, Pages):
                found[f"{module.name}.{name}"] = value._compile(False, False, False).text
    for wanted in (frozenset(), FROM_VARS):
        for listing in (archive.of_session,):
            found[f"{listing.__name__} {len(wanted)}"] = listing(wanted)._compile(True, True, True).text
    for parts in (filters.PARTS, filters.PARTS - {"pass_id"}):
        found[f"narrowed by {len(parts)}"] = filters.listing(FROM_VARS, parts)._compile(True, True, True).text
    return found


@pytest.mark.parametrize("where", statements())
def test_every_read_says_that_deleted_rows_do_not_count(where):
    text = re.sub(r"\s+", " ", statements()[where].lower())
    tables = len(re.findall(r"\b(?:from|join) mega_\w+(?![\w.])", text))
    assert tables > 0
    assert len(re.findall(r"mg_deleted_at is null", text)) >= tables, text
