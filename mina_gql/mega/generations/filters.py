"""Listings of generations, narrowed: a condition for each part of a filter, a statement for each set of parts."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, TextClause, bindparam, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import Boolean, Text

from mina_gql.mega.generations.archive import COLUMNS, GenerationRow, visible
from mina_gql.mega.models import LedgerRow
from mina_gql.mega.pages import Pages

LISTINGS_KEPT = 256
"""A client chooses fields and parts, so the statements made of them are bounded."""
_TYPED = re.compile(r"(?:^|\s)([^\W_]{2,})$")
"""The last word, where it is a plain one that may still be being typed."""

_g = LedgerRow


def _moment(name: str) -> Any:
    return bindparam(name, type_=TIMESTAMP(timezone=True))


def _sql(condition: str, *parameters: str) -> TextClause:
    return text(condition).bindparams(*(bindparam(name, type_=Text()) for name in parameters))


# The latest like, unlike or dislike counts, as in `events.LIKES`. Asked row by row: a page stops when it is full.
_LIKED = """coalesce((
    select e.mg_meta ->> 'event_type' = 'like' and coalesce(e.mg_meta #>> '{payload,value}', 'true') = 'true'
    from mega_generations e
    where e.mg_generation_id = substr(mega_generations.mg_id, 12) and e.mg_record_type = 'mma_event' and e.mg_deleted_at is null
      and e.mg_meta ->> 'event_type' in ('like', 'dislike')
    order by e.mg_created_at desc, e.mg_id desc limit 1), false) = :liked"""


# Words are looked up in the index of finished generations; the few in flight are read. A Pass is a word, too, so that the index
# gives what one Pass wrote. All words count, or all before the last one with any that begins like that: it may be half typed.
# An array is found once; a subquery to join with might be asked again for each row.
def _search(*, of_pass: bool) -> TextClause:
    words = "ops.words_of(w.mg_pass_id, w.mg_prompt, w.mg_mma_vars)"
    sought = """(websearch_to_tsquery('english', :search)
        || (websearch_to_tsquery('english', :before) && to_tsquery('simple', :typed)))"""
    own_word = f"and {words} @@ cast(quote_literal('#' || md5(:pass_id)) as tsquery)" if of_pass else ""
    own = "and w.mg_pass_id = :pass_id" if of_pass else ""
    found = f"""
        select w.mg_id from mega_generations w
        where w.mg_record_type = 'generation' and w.mg_deleted_at is null and {words} @@ {sought} {own_word}
          and coalesce(w.mg_mma_status, case when w.mg_status = 'failed' then 'error' else 'done' end) in ('done', 'error')
        union all
        select w.mg_id from mega_generations w
        where w.mg_record_type = 'generation' and w.mg_deleted_at is null and {words} @@ {sought} {own}
          and w.mg_mma_status not in ('done', 'error')"""
    return _sql(f"mega_generations.mg_id = any(array({found}))", "search", "before", "typed", *(["pass_id"] if of_pass else []))


def _conditions(*, of_pass: bool) -> Mapping[str, ColumnElement[bool] | TextClause]:
    return {
        "pass_id": _g.pass_id == bindparam("pass_id"),
        "kind": COLUMNS["kind"] == bindparam("kind", type_=Text()),
        "status": COLUMNS["status"] == func.any(bindparam("status")),
        "liked": text(_LIKED).bindparams(bindparam("liked", type_=Boolean())),
        "session_id": _g.session_id == bindparam("session_id"),
        "parent_id": _g.parent_id == bindparam("parent_id"),
        "ratio": COLUMNS["ratio"] == bindparam("ratio", type_=Text()),
        "created_after": _g.created_at >= _moment("created_after"),
        "created_before": _g.created_at < _moment("created_before"),
        "search": _search(of_pass=of_pass),
    }


_CONDITIONS = {of_pass: _conditions(of_pass=of_pass) for of_pass in (True, False)}
PARTS = frozenset(_CONDITIONS[True])
"""What a listing can be narrowed by."""


@lru_cache(LISTINGS_KEPT)
def listing(wanted: frozenset[str], parts: frozenset[str]) -> Pages[GenerationRow]:
    """Generations that meet all `parts`, names of conditions; `wanted` says what of `archive.FROM_VARS` to read.

    Without the part `pass_id` it is a listing of all Passes.
    """
    conditions = _CONDITIONS["pass_id" in parts]
    return Pages(visible(wanted).where(*(conditions[part] for part in sorted(parts))), GenerationRow, _g.created_at, _g.id)


def narrowed(wanted: frozenset[str], asked: Mapping[str, Any]) -> tuple[Pages[GenerationRow], dict[str, Any]]:
    """The listing for the parts asked for, `{part: value}`, and the parameters of its statements."""
    values = dict(asked)
    if "search" in values:
        values["before"], values["typed"] = typed(values["search"])
    return listing(wanted, frozenset(asked)), values


def typed(search: str) -> tuple[str, str]:
    """What stands before the last word, and that word as PostgreSQL looks for its beginning: `cup on sto` -> `cup on`, `sto:*`.

    Both are empty where the search does not end in a plain word.
    """
    last = _TYPED.search(search)
    return ("", "") if last is None else (search[: last.start(1)].strip(), f"{last[1]}:*")
