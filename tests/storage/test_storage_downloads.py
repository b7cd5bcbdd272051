"""Promises of the download route: our files alone, as attachments with a tame name (FEATURES E13)."""

from collections.abc import AsyncIterator
from secrets import token_hex

import httpx2
import pytest
from starlette.applications import Starlette

from mina_gql.adapters.storage_r2 import Bucket, R2Store
from mina_gql.api.downloads import routes
from tests.storage.keys import NOT_KEYS, SIGNING
from tests.storage.s3 import BUCKET, KEY_ID, S3, SECRET

APP = "http://127.0.0.1:8000"
BYTES = bytes(range(256)) * 4096


@pytest.fixture(scope="session")
async def store(s3: S3) -> AsyncIterator[R2Store]:
    async with R2Store.opened(Bucket(s3.endpoint_url, BUCKET, KEY_ID, SECRET, s3.public_url), APP, SIGNING) as store:
        yield store


@pytest.fixture
async def browser(store: R2Store) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody at the app's address."""
    transport = httpx2.ASGITransport(Starlette(routes=routes(store)))
    async with httpx2.AsyncClient(transport=transport, base_url=APP) as browser:
        yield browser


@pytest.fixture
async def key(store: R2Store) -> str:
    """The key of a clip that is there."""
    key = f"generations/{token_hex(16)}/{token_hex(16)}.mp4"
    await store.write(key, BYTES, "video/mp4")
    return key


async def test_a_download_is_the_file_as_an_attachment(browser: httpx2.AsyncClient, store: R2Store, key: str):
    answer = await browser.get(store.download_url(key, "mina-1a2b3c4d.mp4"))
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''mina-1a2b3c4d.mp4"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(BYTES))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_head_tells_the_size_without_the_bytes(browser: httpx2.AsyncClient, store: R2Store, key: str):
    answer = await browser.head(store.download_url(key, "a.mp4"))
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(BYTES)))
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Résumé 1.mp4", "R%C3%A9sum%C3%A9%201.mp4"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\r\nX-Evil: 1", "a__X-Evil_%201"),
        ("...", "download"),
    ],
)
async def test_the_name_is_tame(browser: httpx2.AsyncClient, store: R2Store, key: str, asked: str, name: str):
    answer = await browser.head(store.download_url(key, asked))
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert "x-evil" not in answer.headers


async def test_without_a_name_it_has_its_own(browser: httpx2.AsyncClient, key: str):
    answer = await browser.head(f"/downloads/{key}")
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{key.rpartition('/')[2]}"


@pytest.mark.parametrize("key", [each for each in NOT_KEYS if each.isascii() and each.isprintable()])
async def test_nothing_else_is_fetched_for_anybody(browser: httpx2.AsyncClient, key: str):
    """No open proxy: neither other places of the bucket nor other addresses."""
    dots = key.replace("..", "%2e%2e")  # plain ones are resolved by the client
    assert (await browser.get(f"/downloads/{dots}")).status_code == 404


@pytest.mark.parametrize("address", ["https://elsewhere.example/a.png", "//elsewhere.example/a.png", "%2e%2e/secret", "?name=a"])
async def test_no_address_is_fetched_for_anybody(browser: httpx2.AsyncClient, address: str):
    answer = await browser.get(f"/downloads/{address}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_what_waits_to_be_confirmed_is_not_given_out(browser: httpx2.AsyncClient, s3: S3):
    key = f"user_uploads/{token_hex(16)}/{token_hex(16)}.png"
    path = s3.folder / "staging" / key
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<svg>")
    for address in (key, f"staging/{key}"):
        assert (await browser.get(f"/downloads/{address}")).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_other_methods_are_not_allowed(browser: httpx2.AsyncClient, key: str, method: str):
    assert (await browser.request(method, f"/downloads/{key}")).status_code == 405


async def test_a_store_that_is_away_is_said_to_be(s3: S3, key: str, free_port: int):
    """To be tried again, and without a word about where it is."""
    away = Bucket(f"http://127.0.0.1:{free_port}", BUCKET, KEY_ID, SECRET, s3.public_url)
    async with R2Store.opened(away, APP, SIGNING) as store:
        transport = httpx2.ASGITransport(Starlette(routes=routes(store)))
        async with httpx2.AsyncClient(transport=transport, base_url=APP) as browser:
            answer = await browser.get(f"/downloads/{key}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert str(free_port) not in answer.text
