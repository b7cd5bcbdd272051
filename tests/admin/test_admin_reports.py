"""What admins look at: sums, the queue, the vendors, parity, everybody's records (FEATURES P2 to P5, P9, P11, DB13, DB15)."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain.config_seed import SEED
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.reports import days_until
from mina_gql.services.pipeline.gate import FAILURES
from tests.admin.office import SET, Office
from tests.identity.edge import Who
from tests.journeys.server import external, mina
from tests.studio import BRIEF

DUBAI = ZoneInfo("Asia/Dubai")


async def made(office: Office, caller, *, run=True):
    generation = (await office.studio.orders.create(caller, BRIEF)).generation
    if run:
        await office.studio.mina.runner.run(generation.id)
    return generation


async def age(office: Office, id_: str, **by: float) -> None:
    """Let a row have been made earlier than it was."""
    await office.studio.sql.execute("set session_replication_role = replica")
    await office.studio.sql.execute(
        "update mega_generations set mg_created_at = mg_created_at - $2::interval where mg_id = $1", id_, timedelta(**by)
    )
    await office.studio.sql.execute("set session_replication_role = origin")


async def step(office: Office, caller, step_type: str, provider: str, **columns) -> str:
    name = str(uuid4())
    facts = {
        "status": "succeeded",
        "input_chars": 1,
        "payload": orjson.dumps({"timing": {"ended_at": datetime.now(UTC).isoformat()}}).decode(),
    }
    row = {"generation_id": name, "parent_id": f"generation:{name}", "step_no": 0, "step_type": step_type, "provider": provider}
    await office.studio.row("generation", name, caller, generation_id=name, mma_mode="still", mma_status="done")
    return await office.studio.row("mma_step", f"{name}:0", caller, **row, **(facts | columns))


# ---------------------------------------------------------------- sums

SUMMARY = """{ admin { summary { passes activePasses24h generations generations24h failures24h matchaOutstanding matchaSold30d queued } } }"""


async def test_the_sums_are_those_of_the_tables(unsound: Office):
    """P2: what is deleted, expired or too old does not count."""
    one, two, gone = [await unsound.studio.person(matcha=10) for _ in range(3)]
    await made(unsound, one)
    waits = await made(unsound, one, run=False)
    failed = await made(unsound, two, run=False)
    await unsound.studio.mina.endings.fail(failed.id, GenerationFailed("INTERNAL", "Sorry."), lease=None)
    old = await made(unsound, two)
    await age(unsound, old.id, hours=25)
    deleted = await made(unsound, two)
    await unsound.studio.generations.delete(two, deleted.id)
    for days, matcha in ((1, 50), (29, 100), (31, 1_000)):
        id_ = await unsound.studio.row(
            "credit_transaction",
            f"shopify:{days}:1",
            one,
            delta=matcha,
            reason="purchase",
            source="shopify",
            ref_type="shopify_order",
            ref_id="1",
        )
        await age(unsound, id_, days=days)
    await unsound.studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", gone.pass_id)
    await unsound.studio.expire(two)
    await unsound.studio.sql.execute(
        "update mega_customers set mg_last_active = now() - interval '25 hours' where mg_pass_id = $1", two.pass_id
    )
    assert (await unsound.ask(SUMMARY))["summary"] == {
        "passes": 2,
        "activePasses24h": 1,
        "generations": 4,
        "generations24h": 3,
        "failures24h": 1,
        "matchaOutstanding": await unsound.studio.balance(one),
        "matchaSold30d": 150,
        "queued": 1,
    }
    assert waits.status == "queued"


async def test_an_empty_studio_has_sums_too(office: Office):
    assert set((await office.ask(SUMMARY))["summary"].values()) == {0}


async def test_the_queue_says_what_waits_and_for_how_long(office: Office):
    caller = await office.studio.person(matcha=10)
    query = "{ admin { queue { queued running oldestQueuedSeconds workers } } }"
    assert (await office.ask(query))["queue"] == {"queued": 0, "running": 0, "oldestQueuedSeconds": 0, "workers": 0}
    await made(office, caller)
    waits, _, runs = [await made(office, caller, run=False) for _ in range(3)]
    await age(office, waits.id, seconds=90)
    await office.studio.sql.execute("update mega_generations set mg_mma_status = 'generating' where mg_id = $1", runs.id)
    found = (await office.ask(query))["queue"]
    assert (found["queued"], found["running"], found["workers"]) == (2, 1, 0)
    assert 90 <= found["oldestQueuedSeconds"] < 120


# ---------------------------------------------------------------- vendors

PROVIDERS = "{ admin { providers { name kind model configured state p50Seconds failures24h } } }"


async def providers(office: Office):
    return {each["kind"]: each for each in (await office.ask(PROVIDERS))["providers"]}


async def test_who_fills_each_role_is_told_by_the_name_that_steps_store(office: Office):
    """DESIGN section 14: here offline ones stand in, but for moderation, which nobody does."""
    found = await providers(office)
    assert set(found) == {"vision", "writer", "moderation", "still", "video"}
    assert {kind: (each["name"], each["configured"]) for kind, each in found.items()} == {
        "vision": ("offline", True), "writer": ("offline", True), "moderation": ("openai", False), "still": ("offline", True), "video": ("offline", True)
    }  # fmt: skip
    assert {(each["state"], each["p50Seconds"], each["failures24h"]) for each in found.values()} == {("closed", None, 0)}


async def test_the_median_is_of_a_role_s_own_steps_and_only_of_those_that_asked(office: Office):
    caller = await office.studio.person()
    for ms in (1_000, 2_000, 9_000):
        await step(office, caller, "scan_product", "offline", latency_ms=ms)
    await step(office, caller, "scan_logo", "offline", latency_ms=1, input_chars=0)  # was known before
    await step(office, caller, "postscan", "openai", latency_ms=1)
    await step(office, caller, "gpt_reader", "offline", latency_ms=700)
    await step(office, caller, "seedream_generate", "offline", latency_ms=4_000)
    found = await providers(office)
    assert {kind: each["p50Seconds"] for kind, each in found.items()} == {
        "vision": 2.0, "writer": 0.7, "moderation": None, "still": 4.0, "video": None
    }  # fmt: skip


async def test_failures_are_those_of_a_day_by_the_vendor_s_fault(office: Office):
    """P11, too: `errors` tells each once, with its generation."""
    caller = await office.studio.person()
    ids = [
        await step(office, caller, "seedream_generate", "offline", status="failed", error=error)
        for error in ("PROVIDER_ERROR", "PROVIDER_TIMEOUT", "PROVIDER_ERROR", "CANCELLED", "MODERATED")
    ]
    await age(office, ids[2], hours=25)
    found = await providers(office)
    assert (found["still"]["failures24h"], found["video"]["failures24h"]) == (2, 0)
    deleted = f"generation:{ids[3].split(':')[1]}"
    await office.studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = $1", deleted)
    errors = (await office.ask("{ admin { errors { nodes { id generation { id } } totalCount } } }"))["errors"]
    assert [node["id"] for node in errors["nodes"]] == [ids[4], ids[1], ids[0], ids[2]]
    assert errors["totalCount"] == 4


async def test_a_failed_vendor_call_is_told_once_with_its_generation(office: Office, monkeypatch):
    """P11"""
    caller = await office.studio.person(matcha=5)
    generation = await made(office, caller, run=False)

    async def fail(*_, **__):
        raise GenerationFailed("PROVIDER_ERROR", "Sorry.", detail="HTTP 500")

    model = type(office.studio.mina.models.media(await office.studio.config.role("still")))
    monkeypatch.setattr(model, "generate", fail)
    await office.studio.mina.runner.run(generation.id)
    (told,) = (await office.ask("{ admin { errors { nodes { stepType error payload generation { id status } } } } }"))["errors"][
        "nodes"
    ]
    assert (told["stepType"], told["error"]) == ("seedream_generate", "PROVIDER_ERROR")
    assert told["generation"] == {"id": generation.id, "status": "ERROR"}
    assert "HTTP 500" in str(told["payload"])


@pytest.mark.parametrize(("seconds_ago", "state"), [(1, "open"), (60, "half-open")])
async def test_the_breaker_s_state_is_the_gate_s_own(office: Office, seconds_ago, state):
    caller = await office.studio.person()
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    for _ in range(FAILURES):
        payload = orjson.dumps({"timing": {"ended_at": at}}).decode()
        await step(office, caller, "kling_generate", "offline", status="failed", error="PROVIDER_ERROR", payload=payload)
    assert (await providers(office))["video"]["state"] == state


async def test_a_fallback_is_told_behind_whom_it_stands_in_for(office: Office):
    registry = orjson.loads(orjson.dumps(SEED["mma.provider.registry"]))
    registry["roles"]["still"]["fallback"] = {"provider": "flux", "model": "acme/flux"}
    assert (await office.publish("mma.provider.registry", registry))["userErrors"] == []
    kinds = [each["kind"] for each in (await office.ask(PROVIDERS))["providers"]]
    assert kinds == ["vision", "writer", "moderation", "still", "still", "video"]


# ---------------------------------------------------------------- parity

PARITY = """query($days: Int! = 30, $sample: Int! = 100) { admin { parity(days: $days, sample: $sample) {
  days { day recordType count } mismatches { balance ledgerSum pass { id } } sampled sampleFaults } } }"""


async def parity(office: Office, **arguments):
    return (await office.ask(PARITY, **arguments))["parity"]


async def test_a_sound_studio_is_sound(office: Office):
    """P5, DB13"""
    caller = await office.studio.person(matcha=20)
    for _ in range(2):
        await made(office, caller)
    failed = await made(office, caller, run=False)
    await office.studio.mina.endings.fail(failed.id, GenerationFailed("INTERNAL", "Sorry."), lease=None)
    await made(office, caller, run=False)
    found = await parity(office)
    assert (found["sampled"], found["sampleFaults"], found["mismatches"]) == (4, [], [])
    counted = {row["recordType"]: row["count"] for row in found["days"]}
    tables = dict(await office.studio.sql.fetch("select mg_record_type, count(*) from mega_generations group by 1"))
    tables |= dict(await office.studio.sql.fetch("select mg_record_type, count(*) from mega_admin group by 1"))
    assert counted == tables


WRONG = {
    "charged too little": ("update mega_generations set mg_delta = 0 where mg_id = 'credit_transaction:charge:' || $1", "0 were charged"),
    "not charged at all": ("update mega_generations set mg_id = mg_id || 'x' where mg_id = 'credit_transaction:charge:' || $1", "0 were charged"),
    "refunded though it succeeded": (
        "insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id, mg_source_system) "
        "select 'credit_transaction:refund:' || $1, mg_record_type, mg_pass_id, 1, 'refund', mg_source, mg_ref_type, mg_ref_id, 'api' "
        "from mega_generations where mg_id = 'credit_transaction:charge:' || $1", "refunded 1 matcha where 0 were due",
    ),
    "failed and not refunded": ("update mega_generations set mg_mma_status = 'error' where mg_id = 'generation:' || $1", "refunded 0 matcha where 1 were due"),
    "a step is missing": ("update mega_generations set mg_step_no = 9 where mg_id = 'mma_step:' || $1 || ':0'", "the last one has number 9"),
    "a step is still open": ("update mega_generations set mg_status = 'running' where mg_id = 'mma_step:' || $1 || ':0'", "1 of its steps are still open"),
    "the ledger was below 0": (
        "update mega_generations set mg_created_at = '2020-01-01' where mg_id = 'credit_transaction:charge:' || $1", "once came to -1 matcha",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
async def test_what_is_wrong_with_a_generation_is_told_in_a_sentence(unsound: Office, what):
    """P5: the sound one beside it is not mentioned."""
    other, caller = await unsound.studio.person(matcha=5), await unsound.studio.person(matcha=5)
    await made(unsound, other)
    wrong = await made(unsound, caller)
    await unsound.studio.sql.execute("set session_replication_role = replica")
    await unsound.studio.sql.execute(WRONG[what][0], wrong.generation_id)
    found = await parity(unsound)
    assert len(found["sampleFaults"]) == 1, found["sampleFaults"]
    assert wrong.id in found["sampleFaults"][0]
    assert WRONG[what][1] in found["sampleFaults"][0]


async def test_what_was_merged_capped_or_brought_along_is_no_fault(unsound: Office):
    """A refund that a merge has capped, a legacy generation, a ledger that began below 0 elsewhere."""
    source, into = await unsound.studio.person(matcha=0), await unsound.studio.person(matcha=5)
    await unsound.studio.row(
        "generation", "old", into, type="image", status="succeeded", meta='{"cost": 3}', source_system="legacy"
    )
    await unsound.studio.row(
        "credit_transaction", "old", into, delta=-3, reason="spent", source="legacy", ref_type="legacy", ref_id="1",
        source_system="legacy", created_at=datetime(2020, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    await made(unsound, into)
    await unsound.studio.sql.execute(
        "update mega_customers set mg_credits = 1, mg_expires_at = now() + interval '1 day' where mg_pass_id = $1", source.pass_id
    )
    free = ("grant", 1, "grant", "test", "grant", "1")
    await unsound.studio.row(
        "credit_transaction",
        f"grant:{uuid4()}",
        source,
        **dict(zip(("delta", "reason", "source", "ref_type", "ref_id"), free[1:], strict=True)),
        source_system="api",
    )
    runs = await made(unsound, source, run=False)
    merge = 'mutation($s: ID!, $i: ID!) { mergePasses(fromPassId: $s, intoPassId: $i, reason: "r") { userErrors { code } } }'
    assert (await unsound.ask(merge, s=source.pass_id, i=into.pass_id))["userErrors"] == []
    await unsound.studio.mina.endings.fail(runs.id, GenerationFailed("INTERNAL", "Sorry."), lease=None)
    assert (await parity(unsound))["sampleFaults"] == []


async def test_days_are_days_of_the_configured_zone(office: Office):
    """DB15: a minute before midnight in Dubai and a minute after are two days, and both are one in UTC."""
    caller = await office.studio.person()
    midnight = datetime.now(DUBAI).replace(hour=0, minute=0, second=0, microsecond=0)
    for minutes in (-1, 0, 1):
        await office.studio.row("feedback", f"{minutes}", caller, created_at=midnight + timedelta(minutes=minutes))
    today, yesterday = midnight.date().isoformat(), (midnight - timedelta(days=1)).date().isoformat()

    async def counted():
        return {row["day"]: row["count"] for row in (await parity(office))["days"] if row["recordType"] == "feedback"}

    assert await counted() == {today: 2, yesterday: 1}
    assert {row["day"] for row in (await parity(office, days=1))["days"]} == {today}
    await office.ask(SET, values={"reports.timezone": "UTC"})
    assert await counted() == {midnight.astimezone(UTC).date().isoformat(): 3}


@given(
    now=st.integers(946_684_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    count=st.integers(1, 40),
    zone=st.sampled_from(["Asia/Dubai", "UTC", "Europe/Paris", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"]),
)
def test_days_lie_side_by_side_and_the_last_one_has_now_in_it(now, count, zone):
    """DB15: whatever clocks do."""
    days = days_until(now, count, ZoneInfo(zone))
    assert len(days) == count
    assert days[-1].begins <= now < days[-1].ends
    assert [day.ends for day in days[:-1]] == [day.begins for day in days[1:]]
    assert [day.name for day in days] == sorted({day.name for day in days})
    assert days[-1].name == now.astimezone(ZoneInfo(zone)).date().isoformat()


@pytest.mark.parametrize("asked", [{"days": 0}, {"days": 367}, {"sample": -1}, {"sample": 1_001}])
async def test_a_report_without_end_is_refused(office: Office, asked):
    answer = await office.edge.ask(office.boss, PARITY, **asked)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


# ---------------------------------------------------------------- everybody's records

LISTINGS = {
    "generations": "generations(first: $first, after: $after, passId: $pass) { nodes { id } totalCount pageInfo { endCursor hasNextPage } }",
    "events": "events(first: $first, after: $after, passId: $pass) { nodes { id } totalCount pageInfo { endCursor hasNextPage } }",
    "creditTransactions": "creditTransactions(first: $first, after: $after, passId: $pass) { nodes { id } totalCount pageInfo { endCursor hasNextPage } }",
}
RECORD = {"generations": "generation", "events": "mma_event", "creditTransactions": "credit_transaction"}


@pytest.mark.parametrize("listing", LISTINGS)
async def test_everybody_s_records_come_page_by_page_newest_first_or_those_of_one_pass(office: Office, listing):
    """P4, N5"""
    people = [await office.studio.person(matcha=5) for _ in range(3)]
    for caller in people * 2:
        await made(office, caller, run=False)
    query = f"query($first: Int, $after: String, $pass: ID) {{ admin {{ {LISTINGS[listing]} }} }}"
    for caller in (None, people[1]):
        rows = await office.studio.sql.fetch(
            "select mg_id from mega_generations where mg_record_type = $1 and ($2::text is null or mg_pass_id = $2) order by mg_created_at desc, mg_id desc",
            RECORD[listing], caller and caller.pass_id,
        )  # fmt: skip
        ids, after, more = [], None, True
        while more:
            page = (await office.ask(query, first=2, after=after, **{"pass": caller and caller.pass_id}))[listing]
            ids += [node["id"] for node in page["nodes"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert ids == [row[0] for row in rows]
        assert page["totalCount"] == len(rows)


async def test_generations_are_narrowed_and_events_are_by_type(office: Office):
    one, two = await office.studio.person(matcha=5), await office.studio.person(matcha=5)
    done, waits = await made(office, one), await made(office, two, run=False)
    query = "query($f: GenerationFilter) { admin { generations(filter: $f) { nodes { id pass { id } } } } }"
    for status, expected, owner in (("DONE", done, one), ("QUEUED", waits, two)):
        nodes = (await office.ask(query, f={"status": [status]}))["generations"]["nodes"]
        assert nodes == [{"id": expected.id, "pass": {"id": owner.pass_id}}]
    likes = "{ admin { events(types: [LIKE]) { nodes { type } totalCount } } }"
    assert (await office.ask(likes))["events"] == {"nodes": [], "totalCount": 0}
    await office.studio.signals.like(one, done.id, value=True, context=None)
    assert (await office.ask(likes))["events"] == {"nodes": [{"type": "LIKE"}], "totalCount": 1}


WHAT_HAPPENED = """query($id: ID!) { admin { generation(id: $id) { status pass { id } charge { delta } failure { code }
  steps { stepNo stepType status durationMs input output payload config { version } } } } }"""


async def test_what_happened_to_a_generation_is_one_query(office: Office):
    """P4: its steps in order, with what each was given and found; by the bare id too."""
    caller = await office.studio.person(matcha=5)
    generation = await made(office, caller)
    for id_ in (generation.id, generation.generation_id):
        found = (await office.ask(WHAT_HAPPENED, id=id_))["generation"]
        assert (found["status"], found["pass"]["id"], found["charge"]["delta"]) == ("DONE", caller.pass_id, -1)
        assert [step["stepNo"] for step in found["steps"]] == list(range(len(found["steps"])))
        for step in found["steps"]:
            assert step["payload"].keys() == {"input", "output", "timing", "error"}
            assert (step["input"], step["output"]) == (step["payload"]["input"], step["payload"]["output"])
    assert (await office.ask(WHAT_HAPPENED, id="nothing"))["generation"] is None


async def test_an_owner_sees_steps_without_what_is_inside(office: Office):
    caller = await office.studio.person(matcha=5)
    generation = await made(office, caller)
    query = "query($id: ID!) { generation(id: $id) { steps { stepType input output payload } } }"
    steps = (await office.edge.ask(Who(caller.pass_id), query, id=generation.id))["data"]["generation"]["steps"]
    assert steps
    assert {(step["input"], step["output"], step["payload"]) for step in steps} == {(None, None, None)}


async def test_an_admin_finds_every_record_by_its_id(office: Office):
    caller = await office.studio.person(matcha=5)
    generation = await made(office, caller)
    await office.ask(SET, values={"price.create": 1})
    (audit,) = await office.studio.sql.fetch("select mg_id from mega_admin where mg_record_type = 'admin_audit'")
    event = await office.studio.sql.fetchval("select mg_id from mega_generations where mg_record_type = 'mma_event'")
    ids = {
        "Pass": caller.pass_id, "Generation": generation.id, "MmaStep": f"mma_step:{generation.generation_id}:0", "MmaEvent": event,
        "CreditTransaction": f"credit_transaction:charge:{generation.generation_id}", "Audit": audit[0],
        "ConfigVersion": "app_config:mma.ctx.gpt_reader.v1",
    }  # fmt: skip
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    found = (await office.edge.ask(office.boss, query, ids=[*ids.values(), "nothing", "\x00"]))["data"]["nodes"]
    assert found == [*({"__typename": kind, "id": id_} for kind, id_ in ids.items()), None, None]
    stranger = await office.studio.person()
    assert (await office.edge.ask(Who(stranger.pass_id), query, ids=list(ids.values())))["data"]["nodes"] == [None] * len(ids)


async def test_audits_are_by_action_and_page_by_page(office: Office):
    """P7"""
    for price in range(1, 4):
        await office.ask(SET, values={"price.create": price})
    await office.edge.ask(Who(), "{ admin { queue { queued } } }")
    query = "query($a: String, $n: Int, $c: String) { admin { audits(action: $a, first: $n, after: $c) { nodes { action actor status detail } totalCount pageInfo { endCursor } } } }"
    everything = (await office.ask(query))["audits"]
    assert [node["action"] for node in everything["nodes"]] == ["refused.admin", "runtime.set", "runtime.set", "runtime.set"]
    assert everything["nodes"][0] == {"action": "refused.admin", "actor": "anonymous", "status": 403, "detail": {}}
    first = (await office.ask(query, a="runtime.set", n=2))["audits"]
    assert first["totalCount"] == 3
    rest = (await office.ask(query, a="runtime.set", n=2, c=first["pageInfo"]["endCursor"]))["audits"]["nodes"]
    assert [node["detail"]["after"]["price.create"] for node in first["nodes"] + rest] == [3, 2, 1]


async def test_profiles_of_the_old_tables_can_be_read(office: Office):
    """P9"""
    caller, profile = await office.studio.person(), str(uuid4())
    await office.studio.sql.execute(
        "insert into mega_admin (mg_id, mg_record_type, mg_profile_id, mg_email, mg_shopify_customer_id, mg_actor_pass_id) "
        "values ($1, 'profile', $2, 'old@mina.example', '77', $3)",
        f"profile:{profile}", profile, caller.pass_id,
    )  # fmt: skip
    found = (
        await office.ask("{ admin { profiles { nodes { id profileId email shopifyCustomerId pass { id } } totalCount } } }")
    )["profiles"]
    assert found == {
        "nodes": [
            {
                "id": f"profile:{profile}",
                "profileId": profile,
                "email": "old@mina.example",
                "shopifyCustomerId": "77",
                "pass": {"id": caller.pass_id},
            }
        ],
        "totalCount": 1,
    }


async def test_mina_parity_prints_counts_and_faults_and_ends_with_1_where_something_is_wrong(unsound: Office, tmp_path):
    """DB13: by names that tell no Pass."""
    caller = await unsound.studio.person(matcha=5)
    generation = await made(unsound, caller)
    well = await mina(tmp_path / "home", "parity", "--days", "2", **external(unsound.studio.mina.dsn))
    assert (well.code, well.err) == (0, "")
    today = datetime.now(DUBAI).date().isoformat()
    assert re.search(rf"^  {today}  credit_transaction +2$", well.out, re.MULTILINE), well.out
    assert well.out.endswith("and 1 generations drawn by lot are as they should be.\n")
    await unsound.studio.sql.execute("set session_replication_role = replica")
    await unsound.studio.sql.execute(
        "update mega_generations set mg_delta = -3 where mg_id = $1", f"credit_transaction:charge:{generation.generation_id}"
    )
    wrong = await mina(tmp_path / "home", "parity", **external(unsound.studio.mina.dsn))
    assert wrong.code == 1
    assert f"{generation.id} cost 1 matcha and 3 were charged." in wrong.out
    assert "balance 4, ledger 2" in wrong.out
    assert caller.pass_id not in wrong.out + wrong.err
