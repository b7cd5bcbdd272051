"""From nothing to a finished still where files are kept in a bucket: signed by the API, sent to the store, read by everybody."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from tests.journeys.server import Server, external, free_port, mina, running
from tests.journeys.visitor import COFFEE, Visitor
from tests.storage.s3 import BUCKET, S3, s3, serving

__all__ = ["s3"]

TEXTS = """select table_name, column_name from information_schema.columns
           where table_schema = 'public' and data_type in ('text', 'json', 'jsonb', 'character varying', 'ARRAY')"""
TRACES = ("X-Amz-", "Signature=", "/staging/", "mina-test-key-id")


@pytest.fixture
async def studio(own_database: str, home: Path, s3: S3) -> AsyncIterator[Server]:
    """An API and a worker that share nothing on disk: each has a home of its own."""
    port = free_port()
    settings = external(own_database, MINA_PUBLIC_URL=f"http://127.0.0.1:{port}", **s3.settings)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(running(home, "serve", "--no-worker", port=port, **settings))
        await stack.enter_async_context(running(home.with_name("worker"), "work", **settings))
        yield api


async def uploaded(visitor: Visitor, data: bytes = COFFEE) -> str:
    """The public URL of a confirmed picture."""
    upload = (await visitor.sign(len(data)))["upload"]
    assert await visitor.put(upload, data) == 200
    payload = await visitor.confirm(upload["key"])
    assert payload["userErrors"] == []
    url: str = payload["asset"]["publicUrl"]
    return url


async def traces_in(dsn: str) -> list[tuple[str, str, str]]:
    """Where a text or JSON column of ours holds what belongs in no row."""
    connection = await asyncpg.connect(dsn)
    try:
        columns = [(row["table_name"], row["column_name"]) for row in await connection.fetch(TEXTS)]
        assert ("mega_generations", "mg_payload") in columns
        assert ("mega_generations", "mg_output_url") in columns
        return [
            (table, column, trace)
            for table, column in columns
            for trace in TRACES
            if await connection.fetchval(f'select exists (select from "{table}" where strpos("{column}"::text, $1) > 0)', trace)
        ]
    finally:
        await connection.close()


async def test_a_still_is_made_of_an_upload_and_loads_without_a_signature(studio: Server, own_database: str, s3: S3) -> None:
    """E1, E4, E5, E8, E10-E13, J3."""
    visitor = Visitor(studio)
    await visitor.arrive()
    upload = (await visitor.sign(len(COFFEE)))["upload"]
    assert (upload["expiresInSec"], upload["headers"]) == (600, {"Content-Type": "image/jpeg"})
    assert urlsplit(upload["url"])._replace(query="").geturl() == f"{s3.endpoint_url}/{BUCKET}/staging/{upload['key']}"
    assert upload["publicUrl"] == f"{s3.public_url}/{upload['key']}"
    assert await visitor.put(upload, COFFEE, Content_Type="text/html") == 403
    assert await visitor.put(upload, COFFEE + b"!") == 403
    assert (await visitor.confirm(upload["key"]))["userErrors"][0]["code"] == "NOT_FOUND"

    assert await visitor.put(upload, COFFEE) == 200
    async with aiohttp.ClientSession() as http:
        async with http.get(upload["publicUrl"]) as answer:
            assert answer.status == 404
        asset = (await visitor.confirm(upload["key"]))["asset"]
        assert (asset["publicUrl"], asset["width"], asset["height"]) == (upload["publicUrl"], 600, 400)
        assert not [name for name in s3.files() if name == f"staging/{upload['key']}"]

        assert await visitor.put(upload, b"\0" * len(COFFEE)) == 200  # the same address again, with something else
        assert (await visitor.confirm(upload["key"]))["asset"] == asset
        async with http.get(asset["publicUrl"]) as answer:
            assert (answer.status, answer.content_type, len(await answer.read())) == (200, "image/jpeg", asset["bytes"])

        generation = await visitor.accepted(assets={"productImageUrl": asset["publicUrl"]})
        assert (await visitor.followed(generation))[-1]["__typename"] == "GenerationCompleted"
        made = await visitor.generation(generation)
        assert made["outputUrl"] == f"{s3.public_url}/{made['outputKey']}"
        async with http.get(made["outputUrl"]) as answer:
            still = await answer.read()
            assert (answer.status, answer.content_type) == (200, made["contentType"])
        assert urlsplit(made["downloadUrl"]).netloc == f"127.0.0.1:{studio.port}"
        async with http.get(made["downloadUrl"]) as answer:
            assert (answer.status, await answer.read()) == (200, still)
            assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''mina-")

    assert await traces_in(own_database) == []
    assert not [trace for trace in TRACES if trace in studio.log]


async def test_what_is_no_picture_leaves_the_bucket(studio: Server, s3: S3) -> None:
    """E8: refused, and gone from where it waited."""
    visitor = Visitor(studio)
    await visitor.arrive()
    html = b"<!doctype html><script>alert(1)</script>" * 50
    upload = (await visitor.sign(len(html)))["upload"]
    assert await visitor.put(upload, html) == 200
    assert (await visitor.confirm(upload["key"]))["userErrors"][0]["code"] == "ASSET_REJECTED"
    assert not [name for name in s3.files() if upload["key"] in name]


async def test_pictures_of_others_and_addresses_of_the_store_itself_are_not_ours_to_use(studio: Server, s3: S3) -> None:
    """E6, E10: nothing is charged for them."""
    owner, stranger = Visitor(studio), Visitor(studio)
    await owner.arrive()
    await stranger.arrive()
    theirs = await uploaded(owner)
    signed = (await owner.sign(len(COFFEE)))["upload"]["url"]
    for url in (theirs, signed, theirs.replace(s3.public_url, f"{s3.endpoint_url}/{BUCKET}"), f"{theirs}?x=1"):
        refused = await stranger.create(assets={"productImageUrl": url})
        assert [error["code"] for error in refused["userErrors"]] == ["ASSET_NOT_OURS"]
    assert await stranger.balance() == 10


async def test_a_store_that_goes_away_fails_the_generation_and_gives_its_matcha_back(own_database: str, home: Path) -> None:
    """E11: the output is nowhere, so nothing is done and nothing is paid; no address of anybody's is left behind."""
    async with AsyncExitStack() as store:
        bucket = await store.enter_async_context(serving())
        async with running(home, **external(own_database, **bucket.settings)) as server:
            visitor = Visitor(server)
            await visitor.arrive()
            await store.aclose()
            generation = await visitor.accepted()
            end = (await visitor.followed(generation))[-1]
            assert end["__typename"] == "GenerationFailed"
            assert (end["failure"]["code"], end["failure"]["refunded"]) == ("STORAGE_ERROR", True)
            made = await visitor.generation(generation)
            assert (made["status"], made["outputUrl"], made["outputKey"], made["downloadUrl"]) == ("ERROR", None, None, None)
            assert await visitor.balance() == 10
    assert await traces_in(own_database) == []


async def test_doctor_says_what_is_wrong_with_the_bucket(own_database: str, home: Path, s3: S3) -> None:
    """E1: with a secret that is not the one, and with all as it should be; no secret is said."""
    told = await mina(home, "doctor", **external(own_database, **s3.settings))
    assert f"ok    storage   bucket {BUCKET}" in told.out
    wrong = {**s3.settings, "MINA_R2_SECRET_ACCESS_KEY": "hunter2hunter2"}
    told = await mina(home, "doctor", **external(own_database, **wrong))
    assert (told.code, "FAIL  storage   MINA_R2_SECRET_ACCESS_KEY" in told.out) == (1, True)
    assert "hunter2" not in told.out + told.err
