"""Promises of traces: sent where an exporter is configured, one trace from the request to the vendor, and nothing personal in it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.journeys.server import Server, external, running
from tests.journeys.visitor import Visitor
from tests.observability import canaries
from tests.observability.otlp import Receiver, attributes, receiving


def traced(dsn: str, receiver: Receiver) -> dict[str, str]:
    """The settings of a server that sends its traces."""
    return external(dsn, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="50")


async def one_create(server: Server) -> str:
    """Somebody orders a still, with canaries in all they say, and sees it done; the generation's id."""
    visitor = Visitor(server)
    await visitor.arrive()
    picture = await visitor.uploaded()
    generation = await visitor.accepted(canaries.BRIEF, assets={"productImageUrl": picture["publicUrl"]})
    assert (await visitor.followed(generation))[-1]["__typename"] == "GenerationCompleted"
    return generation


def has_the_whole_way(receiver: Receiver, generation: str) -> None:
    """Request, service, run, steps and vendor calls of a generation are one trace."""
    (run,) = [span for span in receiver.named("run") if attributes(span)["mina.generation"] == generation]
    assert receiver.way_up(run) == ["run", "order", "POST /graphql mutation"]
    steps = [span for span in receiver.named("step") if receiver.parent(span) == run]
    assert {attributes(step)["mina.step"] for step in steps} >= {"scan_product", "gpt_reader", "seedream_generate", "postscan"}
    calls = [span for span in receiver.named("vendor call") if span.trace_id == run.trace_id]
    assert {attributes(call)["mina.task"] for call in calls} >= {"vision", "writer", "still"}
    for call in calls:
        assert receiver.way_up(call) == ["vendor call", "step", "run", "order", "POST /graphql mutation"]
    assert len({span.trace_id for span in (run, *steps, *calls)}) == 1


async def test_a_create_is_one_trace_from_its_request_to_its_vendor_calls(own_database, home):
    async with receiving() as receiver:
        async with running(home, **traced(own_database, receiver)) as server:
            generation = await one_create(server)
        has_the_whole_way(receiver, generation)  # what was left was sent at the end
    assert receiver.resources[0]["service.name"] == "mina"
    personal = [text for body in receiver.bodies if (text := canaries.found_in(body.decode("utf-8", "replace")))]
    assert personal == []


async def test_the_trace_goes_on_in_a_worker_of_its_own(own_database, home, free_port):
    async with receiving() as receiver:
        settings = traced(own_database, receiver) | {"MINA_PORT": str(free_port)}
        api = running(home, "serve", "--no-worker", port=free_port, **settings)
        async with api as server, running(home, "work", **settings):
            generation = await one_create(server)
        has_the_whole_way(receiver, generation)


async def test_a_span_that_failed_tells_the_type_of_its_error_and_none_of_its_words(own_database, home):
    async with receiving() as receiver:
        async with running(home, **traced(own_database, receiver)) as server:
            visitor = Visitor(server)
            await visitor.arrive()
            payload = await visitor.create(
                canaries.BRIEF, assets={"productImageUrl": f"https://elsewhere.example/{canaries.PATH}"}
            )
            assert payload["userErrors"] != []
        (order,) = receiver.named("order")
    assert order.status.code == Status.STATUS_CODE_ERROR
    assert attributes(order)["error.type"] == "AssetNotOurs"
    assert order.events == []
    assert not any(canaries.MARK in value for span in receiver.spans for value in attributes(span).values())


async def test_a_receiver_that_is_away_stops_nothing(own_database, home, free_port):
    away = f"http://127.0.0.1:{free_port}"
    settings = external(own_database, OTEL_EXPORTER_OTLP_ENDPOINT=away, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    async with running(home, **settings) as server:
        await one_create(server)


@pytest.mark.parametrize("environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}])
async def test_nothing_of_opentelemetry_is_loaded_where_no_exporter_is_configured(environment: dict[str, str], tmp_path: Path):
    program = (
        "import asyncio, sys, mina_gql.asgi\nfrom mina_gql.adapters import observability\n"
        "async def main():\n  async with observability.watching(): pass\n"
        "asyncio.run(main())\nprint(sorted(name for name in sys.modules if name.startswith('opentelemetry.sdk')))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        cwd=tmp_path,
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.decode().strip()) == (0, "[]")
