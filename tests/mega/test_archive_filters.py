"""What the archive can be narrowed to: each part by itself, together, and on rows of every age (FEATURES N2, N9, B5)."""

from collections.abc import AsyncIterator
from itertools import combinations
from typing import Any

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mina_gql.domain.archive import SEARCH_CHARS, ArchiveFilter
from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.mega.database import Database
from mina_gql.mega.generations.filters import LISTINGS_KEPT, listing, narrowed, typed
from mina_gql.mega.pages import PageRequest

PASS, OTHER = "pass:anon:one", "pass:anon:other"
VISIT = "9b2f7f5e-4b3c-4f63-8a58-0d6ad1c8d7aa"
LIKE, UNLIKE, DISLIKE = ({"event_type": "like"}, {"event_type": "like", "payload": {"value": False}}, {"event_type": "dislike"})


class Archive:
    """Two Passes, and what lies in their archives."""

    def __init__(self, sql: asyncpg.Connection, database: Database) -> None:
        self.sql = sql
        self.database = database

    async def made(self, name: str, *said: dict[str, Any], at: int = 0, owner: str = PASS, **columns: Any) -> None:
        """A generation, `at` seconds after noon, and what its owner said of it, oldest first."""
        row = {"mma_mode": "still", "mma_status": "done", "mma_vars": {}, **columns}
        names = "".join(f", mg_{column}" for column in row)
        places = "".join(f", ${n}" for n in range(4, len(row) + 4))
        await self.sql.execute(
            f"insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_created_at{names}) "
            f"values ('generation:' || $1, 'generation', $2, timestamptz '2026-11-21 12:00:00+00' + $3 * interval '1 second'{places})",
            name,
            owner,
            at,
            *(orjson.dumps(value).decode() if isinstance(value, dict) else value for value in row.values()),
        )
        for meta in said:
            await self.sql.execute(
                "insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_meta) "
                "values ('mma_event:' || gen_random_uuid(), 'mma_event', $1, $2, $3)",
                owner,
                name,
                orjson.dumps(meta).decode(),
            )

    async def names(self, *, of: str | None = PASS, **asked: Any) -> list[str]:
        """The bare ids that a filter finds, newest first; the count says the same."""
        parts = ({} if of is None else {"pass_id": of}) | ArchiveFilter(**asked).asked()
        pages, values = narrowed(frozenset(), parts)
        found = [row.generation_id for row in (await pages.read(self.database, PageRequest(100), **values)).rows]
        assert await pages.count(self.database, **values) == len(found)
        return found


@pytest.fixture
async def archive(database_dsn) -> AsyncIterator[Archive]:
    sql = await asyncpg.connect(database_dsn)
    await sql.executemany("insert into mega_customers (mg_pass_id) values ($1)", [(PASS,), (OTHER,)])
    database = await Database(database_dsn, readers=2, writers=1).open()
    yield Archive(sql, database)
    await database.close()
    await sql.close()


def words(**found: Any) -> dict[str, Any]:
    """A variable map with words where a run puts them."""
    brief, prompt, feedback = found.pop("brief", ""), found.pop("prompt", None), found.pop("feedback", None)
    made: dict[str, Any] = {"inputs": {"brief": brief}, "prompts": {"clean_prompt": prompt}, "scans": found}
    return made | ({"feedback": {"text": feedback}} if feedback else {})


# ---------------------------------------------------------------- the parts


async def test_a_kind_is_found_also_among_rows_from_before_mma(archive):
    await archive.made("still")
    await archive.made("clip", at=1, mma_mode="video")
    await archive.made("old", at=2, mma_mode=None, mma_status=None, type="image", status="succeeded")
    await archive.made("old clip", at=3, mma_mode=None, mma_status=None, type="motion", status="succeeded")
    assert await archive.names(kind=GenerationKind.VIDEO) == ["old clip", "clip"]
    assert await archive.names(kind=GenerationKind.STILL) == ["old", "still"]


async def test_statuses_are_any_of_those_given_and_none_given_asks_nothing(archive):
    """FEATURES N9: what has failed is found."""
    for at, status in enumerate(GenerationStatus):
        await archive.made(status, at=at, mma_status=status)
    await archive.made("old", at=10, mma_mode=None, mma_status=None, status="succeeded")
    await archive.made("old error", at=11, mma_mode=None, mma_status=None, status="failed")
    assert await archive.names(status=(GenerationStatus.ERROR,)) == ["old error", "error"]
    assert await archive.names(status=(GenerationStatus.DONE, GenerationStatus.QUEUED)) == ["old", "done", "queued"]
    assert len(await archive.names(status=())) == 9


@pytest.mark.parametrize(
    ("said", "liked"),
    [
        ((), False),
        ((LIKE,), True),
        (({"event_type": "like", "payload": {"value": True}},), True),
        (({"event_type": "download"},), False),
        ((DISLIKE,), False),
        ((LIKE, UNLIKE), False),
        ((LIKE, UNLIKE, LIKE), True),
        ((LIKE, DISLIKE), False),
        ((DISLIKE, LIKE), True),
        ((LIKE, {"event_type": "download"}, {"event_type": "feedback"}), True),
    ],
)
async def test_liked_is_what_the_latest_word_says(archive, said, liked):
    await archive.made("a", *said)
    await archive.made("theirs", LIKE, owner=OTHER)
    for of in (PASS, None):
        rest = [] if of else ["theirs"]
        assert sorted(await archive.names(of=of, liked=True)) == (["a"] if liked else []) + rest
        assert await archive.names(of=of, liked=False) == ([] if liked else ["a"])


async def test_a_deleted_word_does_not_count(archive):
    await archive.made("a", LIKE)
    await archive.sql.execute("set session_replication_role = replica")
    await archive.sql.execute("update mega_generations set mg_deleted_at = now() where mg_record_type = 'mma_event'")
    assert await archive.names(liked=True) == []


@pytest.mark.parametrize("given", [VISIT, f"sess_{VISIT}", f"session:sess_{VISIT}", VISIT.upper(), f" {VISIT} "])
async def test_a_visit_is_found_by_any_of_its_ids(archive, given):
    """FEATURES B5."""
    await archive.made("in it", session_id=f"sess_{VISIT}")
    await archive.made("in none")
    await archive.made("theirs", session_id=f"sess_{VISIT}", owner=OTHER)
    assert await archive.names(session_id=given) == ["in it"]


async def test_a_visit_from_before_and_one_of_nobody(archive):
    await archive.made("old", session_id="visit 7")
    assert await archive.names(session_id="session:visit 7") == ["old"]
    for nothing in ("", "\x00", "nonsense", "session:", "sess_", f"sess_{VISIT}"):
        assert await archive.names(session_id=nothing) == []


async def test_ratios(archive):
    await archive.made("tall", mma_vars={"inputs": {"ratio": "9:16"}})
    await archive.made("square", at=1, mma_vars={"inputs": {"ratio": "1:1"}})
    await archive.made("old", at=2)
    assert await archive.names(ratio="9:16") == ["tall"]
    assert await archive.names(ratio="\x00") == await archive.names(ratio="") == []


async def test_spans_lie_side_by_side_without_a_gap_or_a_double(archive):
    for at in range(5):
        await archive.made(str(at), at=at)
    noon = "2026-11-21T12:00:0"
    assert await archive.names(created_after=f"{noon}3Z") == ["4", "3"]
    assert await archive.names(created_before=f"{noon}3Z") == ["2", "1", "0"]
    assert await archive.names(created_after=f"{noon}1.000Z", created_before="2026-11-21T13:00:03+01:00") == ["2", "1"]


# ---------------------------------------------------------------- words


async def test_words_are_found_in_briefs_prompts_captions_and_feedback(archive):
    await archive.made("brief", mma_vars=words(brief="A Kettle on slate"))
    await archive.made("prompt", at=1, mma_vars=words(prompt="kettles in the mist"))
    await archive.made("final prompt", at=2, prompt="One kettle, hard light", mma_vars=words(prompt="draft"))
    await archive.made("caption", at=3, mma_vars=words(product_crt="a copper kettle"))
    await archive.made("inspiration", at=4, mma_vars=words(inspiration_crt=[None, 'a kettle\nwith "quotes" and é']))
    await archive.made("postscan", at=5, mma_vars=words(output_still_crt="The kettle stands."))
    await archive.made("tweak", at=6, mma_vars=words(feedback="less kettle"))
    await archive.made("other", at=7, mma_vars=words(brief="A cup"))
    await archive.made("theirs", at=8, owner=OTHER, mma_vars=words(brief="A kettle"))
    found = ["tweak", "postscan", "inspiration", "caption", "final prompt", "prompt", "brief"]
    assert await archive.names(search="kettle") == found
    assert await archive.names(search="KETTLES") == found
    assert await archive.names(search="kettle", of=None) == ["theirs", *found]
    assert await archive.names(search="product_crt") == [], "only what was written, not where it stands"
    assert await archive.names(search="null") == []


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("amber bottle", ["both"]),
        ("bottle amber", ["both"]),
        ('"amber bottle"', ["both"]),
        ('"bottle amber"', []),
        ("bottle -amber", ["bottle"]),
        ("amber or moss", ["moss", "both"]),
        ("bott", ["bottle", "both"]),
        ("amber bo", ["both"]),
        ("bo amber", []),
        ("-bott", ["moss", "bottle", "both"]),
        ("-bottle", ["moss"]),
        ("the", ["moss"]),
        ("the amber", ["both"]),
        ("running", ["moss"]),
        ("  amber  ", ["both"]),
    ],
)
async def test_how_words_are_put(archive, search, found):
    await archive.made("both", mma_vars=words(brief="An amber bottle"))
    await archive.made("bottle", at=1, mma_vars=words(brief="A bottle"))
    await archive.made("moss", at=2, mma_vars=words(brief="Moss that runs over thermal stones"))
    assert await archive.names(search=search) == found


async def test_words_of_what_runs_and_of_what_is_old_are_found(archive):
    for at, status in enumerate(GenerationStatus):
        await archive.made(status, at=at, mma_status=status, mma_vars=words(brief="A kettle"))
    await archive.made("old", at=10, mma_mode=None, mma_status=None, status="succeeded", prompt="kettle")
    await archive.made("old error", at=11, mma_mode=None, mma_status=None, status="failed", prompt="kettle")
    assert await archive.names(search="kettle") == ["old error", "old", *reversed([status.value for status in GenerationStatus])]


async def test_a_line_of_a_running_generation_writes_no_words_into_the_index(archive):
    """It covers finished ones only, so a line costs what it did."""
    await archive.sql.execute("create extension pgstattuple")
    written = "select pending_tuples from pgstatginindex('mega_generations_words')"
    await archive.made("a", mma_status="generating", mma_vars=words(brief="A kettle"))
    line = """update mega_generations set mg_mma_vars = mg_mma_vars || jsonb_build_object('n', $1::int), mg_mma_status = $2"""
    for n in range(3):
        await archive.sql.execute(line, n, "generating")
    assert await archive.sql.fetchval(written) == 0
    await archive.sql.execute(line, 3, "done")
    assert await archive.sql.fetchval(written) == 1


@pytest.mark.parametrize("search", ["", "   ", "\x00", "\n\t", "\ufeff"])
async def test_no_words_ask_nothing(archive, search):
    await archive.made("a")
    assert await archive.names(search=search) == ["a"]


async def test_a_megabyte_of_words_is_kept_and_cut(archive):
    """A row from before may have any prompt; what is past the cut is not found, and nothing fails."""
    await archive.made("long", prompt="kettle " + " ".join(f"word{n}" for n in range(200_000)), mma_vars={})
    await archive.made("captions", at=1, mma_vars={"scans": {"product_crt": " ".join(f"word{n}" for n in range(200_000))}})
    assert await archive.names(search="kettle") == ["long"]


ODD = st.lists(st.sampled_from([*"ab1 \"'&|!():*<>-\\,.:@%_$;/?#\x00é漢🙂\u200d\ufeff", " or ", " -", "the "]), max_size=60).map(
    "".join
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(search=ODD | st.text(max_size=SEARCH_CHARS), of=st.sampled_from([PASS, None]))
async def test_no_words_are_an_error(archive, search, of):
    await archive.names(of=of, search=search.encode("utf-8", "ignore").decode())


def test_too_many_words_are_refused():
    assert ArchiveFilter(search="x" * SEARCH_CHARS).asked() == {"search": "x" * SEARCH_CHARS}
    with pytest.raises(InvalidInput, match="at most 200 characters") as refused:
        ArchiveFilter(search="x" * (SEARCH_CHARS + 1)).asked()
    assert refused.value.field == ["filter", "search"]


@pytest.mark.parametrize(
    ("search", "before", "last"),
    [
        ("cup on sto", "cup on", "sto:*"),
        ("cup", "", "cup:*"),
        ("cup c", "", ""),
        ("cup -sto", "", ""),
        ('cup "on sto"', "", ""),
        ('cup "on sto', 'cup "on', "sto:*"),
        ("cup's", "", ""),
        ("cup:*", "", ""),
        ("", "", ""),
    ],
)
def test_the_last_word_may_be_half_typed_where_it_is_a_plain_one(search, before, last):
    assert typed(search) == (before, last)


# ---------------------------------------------------------------- dates that cannot be


@pytest.mark.parametrize(
    "asked",
    [
        {"created_after": "yesterday"},
        {"created_before": ""},
        {"created_before": "2026-11-21T12:00:00"},
        {"created_after": "0001-01-01T00:00:00+14:00"},
        {"created_after": "2026-11-21T12:00:00Z", "created_before": "2026-11-21T12:00:00Z"},
        {"created_after": "2026-11-21T12:00:00Z", "created_before": "2026-11-21T12:00:00+01:00"},
    ],
)
def test_a_moment_that_cannot_be_is_told(asked):
    with pytest.raises(InvalidInput):
        ArchiveFilter(**asked).asked()


# ---------------------------------------------------------------- together

PARTS: dict[str, Any] = {
    "kind": GenerationKind.VIDEO,
    "status": (GenerationStatus.DONE,),
    "liked": True,
    "session_id": VISIT,
    "ratio": "9:16",
    "created_after": "2026-11-21T12:00:01Z",
    "created_before": "2026-11-21T12:00:03Z",
    "search": "kettle",
}
FITTING = {
    "mma_mode": "video",
    "session_id": f"sess_{VISIT}",
    "mma_vars": {"inputs": {"brief": "A kettle", "ratio": "9:16"}},
}
MISFITS: dict[str, Any] = {
    "kind": {"mma_mode": "still"},
    "status": {"mma_status": "error"},
    "liked": {},
    "session_id": {"session_id": None},
    "ratio": {"mma_vars": {"inputs": {"brief": "A kettle", "ratio": "1:1"}}},
    "created_after": {"at": 0},
    "created_before": {"at": 3},
    "search": {"mma_vars": {"inputs": {"brief": "A cup", "ratio": "9:16"}}},
}


async def test_any_parts_together_find_what_fits_all_of_them(archive):
    """Each row but one fails one part: a set of parts leaves out exactly the rows that fail one of them."""
    await archive.made("fits", LIKE, at=2, **FITTING)
    for part, misfit in MISFITS.items():
        await archive.made(part, *([] if part == "liked" else [LIKE]), **{"at": 2, **FITTING, **misfit})
    for size in range(len(PARTS) + 1):
        for chosen in combinations(PARTS, size):
            found = await archive.names(**{part: PARTS[part] for part in chosen})
            assert set(found) == {"fits", *PARTS} - set(chosen), chosen


def test_a_statement_is_made_once_for_a_shape_and_not_kept_for_ever():
    first, _ = narrowed(frozenset(), {"pass_id": PASS, "kind": "still"})
    again, _ = narrowed(frozenset(), {"kind": "video", "pass_id": OTHER})
    assert first is again
    assert listing.cache_info().maxsize == LISTINGS_KEPT


async def test_every_part_is_a_parameter(archive):
    """Nothing a client says is text of a statement."""
    pages, values = narrowed(frozenset(), {"pass_id": PASS} | ArchiveFilter(**PARTS).asked())
    text = pages._compile(False, False, False).text
    for value in ("kettle", VISIT, "9:16", "12:00:01", PASS):
        assert value not in text
    assert {"search", "before", "typed", "session_id", "ratio"} <= values.keys()
