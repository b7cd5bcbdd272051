"""What holds for every row at every moment (DESIGN sections 5, 6, 7), read from the tables alone."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from jsonschema import Draft202012Validator

VARS = Draft202012Validator(json.loads((Path(__file__).parents[1] / "schemas" / "mma_vars.json").read_text(encoding="utf-8")))
ORDER = ["queued", "scanning", "prompting", "generating", "postscan", "done", "error"]
ENDED = {"done", "error"}
STATUS_OF = {"done": "succeeded", "error": "failed"}
LANGUAGE_STEPS = {
    *("scan_product", "scan_logo", "scan_inspiration", "gpt_reader", "postscan"),
    *("gpt_feedback_still", "postscan_feedback"),
    *("scan_input_still", "motion_suggestion", "gpt_reader_motion"),
    "gpt_feedback_motion",
}
"""DESIGN section 6; the step that generates is named for its provider."""
INTERNALS = re.compile(r"openai|replicate|seedream|kling|gpt|\bscan_|\bmodel\b|Traceback|Error\b|\blease|https?:", re.IGNORECASE)
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

UNFINISHED = """select count(*) from mega_generations
  where mg_record_type = 'generation' and mg_mma_status not in ('done', 'error')"""

Row = Mapping[str, Any]


class Story(NamedTuple):
    """A generation with its steps in order, JSON decoded."""

    generation: Row
    steps: list[Row]

    @property
    def status(self) -> str:
        """Where it stands."""
        return str(self.generation["mg_mma_status"])

    def of_type(self, step_type: str) -> list[Row]:
        """Its steps of one type, in order."""
        return [step for step in self.steps if step["mg_step_type"] == step_type]

    @property
    def checkpoints(self) -> dict[str, Row]:
        """The whole rows of the steps that succeeded, by id: they never change again."""
        return {step["mg_id"]: step for step in self.steps if step["mg_status"] == "succeeded"}


async def connect(dsn: str) -> asyncpg.Connection:
    """A connection for looking: JSON decoded."""
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "looking on"})
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    return connection


async def stories(looking: asyncpg.Connection) -> dict[str, Story]:
    """Every generation by its mg_id."""
    rows = [dict(row) for row in await looking.fetch("select * from mega_generations order by mg_step_no, mg_created_at")]
    steps = [row for row in rows if row["mg_record_type"] == "mma_step"]
    return {
        row["mg_id"]: Story(row, [step for step in steps if step["mg_parent_id"] == row["mg_id"]])
        for row in rows
        if row["mg_record_type"] == "generation"
    }


async def kept(looking: asyncpg.Connection) -> dict[str, Story]:
    """Check every promise on every row; gives the stories for more questions."""
    await money_adds_up(looking)
    told = await stories(looking)
    for story in told.values():
        events_are_in_order(story)
        vars_are_canonical(story)
        steps_are_in_order(story)
        await ended_once(looking, story)
    return told


async def money_adds_up(looking: asyncpg.Connection) -> None:
    """`sum(mg_delta) = mg_credits >= 0` for every Pass."""
    off = await looking.fetch("""
        select c.mg_pass_id, c.mg_credits, coalesce(sum(g.mg_delta), 0) as entries from mega_customers c
        left join mega_generations g on g.mg_pass_id = c.mg_pass_id and g.mg_record_type = 'credit_transaction'
        group by c.mg_pass_id having c.mg_credits < 0 or c.mg_credits <> coalesce(sum(g.mg_delta), 0)
    """)
    assert off == [], f"balances that do not equal their ledger: {off}"


def events_are_in_order(story: Story) -> None:
    """Lines and statuses share one `seq` from 1 without gaps or doubles; times never go back, statuses neither."""
    vars_ = story.generation["mg_mma_vars"]
    lines, statuses, final = vars_["userMessages"]["scan_lines"], vars_["statuses"], vars_["userMessages"]["final_line"]
    events = sorted([*lines, *statuses, *([final] if final else [])], key=lambda event: event["seq"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), events
    assert [event["at"] for event in events] == sorted(event["at"] for event in events), events
    for recorded in (lines, statuses):
        assert all(earlier["seq"] < later["seq"] for earlier, later in pairwise(recorded)), recorded
    names = [entry["status"] for entry in statuses]
    assert names[0] == "queued"
    assert names == sorted(set(names), key=ORDER.index), names
    assert names[-1] == story.status, (names, story.status)
    assert (story.status == "done") == (final is not None)
    if story.status in ENDED:
        assert events[-1] is statuses[-1], "the end is the last event"


def vars_are_canonical(story: Story) -> None:
    """The map follows `tests/schemas/mma_vars.json`."""
    faults = [f"{list(fault.path)}: {fault.message}" for fault in VARS.iter_errors(story.generation["mg_mma_vars"])]
    assert faults == [], faults


def steps_are_in_order(story: Story) -> None:
    """Numbers from 0 without gaps, ids and parents made of them, one success a step, and a payload of exactly four parts."""
    bare = story.generation["mg_generation_id"]
    assert [step["mg_step_no"] for step in story.steps] == list(range(len(story.steps)))
    for step in story.steps:
        assert step["mg_id"] == f"mma_step:{bare}:{step['mg_step_no']}"
        assert step["mg_parent_id"] == f"generation:{bare}"
        assert step["mg_step_type"] in LANGUAGE_STEPS | {"like_history"} | _generating(story)
        assert step["mg_status"] in ({"succeeded", "failed"} if story.status in ENDED else {"running", "succeeded", "failed"})
        _payload_is_whole(step)
    standing = Counter(
        (step["mg_step_type"], step["mg_meta"]["index"]) for step in story.steps if step["mg_status"] in {"succeeded", "running"}
    )
    assert all(count == 1 for count in standing.values()), standing


def _generating(story: Story) -> set[str]:
    suffix = "_feedback" if story.generation["mg_mma_vars"]["feedback"] else ""
    return {f"{name}_generate{suffix}" for name in (*story.generation["mg_mma_vars"]["settings"], "understudy")}


def _payload_is_whole(step: Row) -> None:
    payload, timing = step["mg_payload"], step["mg_payload"]["timing"]
    assert set(payload) == {"input", "output", "timing", "error"}
    assert set(timing) == {"started_at", "ended_at", "duration_ms"}
    assert _AT.fullmatch(timing["started_at"])
    if step["mg_status"] == "running":
        assert (timing["ended_at"], timing["duration_ms"], payload["error"]) == (None, None, None)
        return
    assert _AT.fullmatch(timing["ended_at"])
    assert timing["ended_at"] >= timing["started_at"]
    assert timing["duration_ms"] == step["mg_latency_ms"] >= 0
    assert (payload["error"] is None) == (step["mg_error"] is None) == (step["mg_status"] == "succeeded")
    if step["mg_step_type"] in LANGUAGE_STEPS:
        used = payload["input"]
        assert used["ctx_id"] == f"app_config:{used['ctx_key']}.v{used['ctx_version']}"
        if step["mg_status"] == "succeeded":
            told = [
                step[f"mg_{name}"]
                for name in ("input_tokens", "output_tokens", "input_chars", "output_chars", "provider", "model")
            ]
            assert None not in told, step["mg_step_type"]


async def ended_once(looking: asyncpg.Connection, story: Story) -> None:
    """A DONE one is paid for and complete; an ERROR one is given back and explained; nothing else is either."""
    row = story.generation
    assert row["mg_status"] == STATUS_OF.get(story.status, "pending")
    assert "failure" in row["mg_meta"] or story.status != "error"
    entries = await looking.fetch(
        "select mg_reason, mg_delta from mega_generations where mg_record_type = 'credit_transaction' and mg_generation_id = $1",
        row["mg_generation_id"],
    )
    cost = row["mg_meta"]["cost"]
    expected = {("charge", -cost)} | ({("refund", cost)} if story.status == "error" else set())
    assert {tuple(entry) for entry in entries} == expected
    assert len(entries) == len(expected)
    if story.status == "done":
        facts = ("mg_prompt", "mg_output_url", "mg_output_key", "mg_provider", "mg_model", "mg_latency_ms")
        assert None not in [row[name] for name in facts]
        assert row["mg_output_url"] == row["mg_mma_vars"]["outputs"]["url"]
    if story.status in ENDED:
        assert not {"lease", "lease_until"} & row["mg_meta"].keys()
    if story.status == "error":
        failure = row["mg_meta"]["failure"]
        assert row["mg_error"]
        assert set(failure) == {"message", "step_type", "retryable", "refunded"}
        assert failure["refunded"] is (cost > 0)
        assert not INTERNALS.search(failure["message"]), failure["message"]
