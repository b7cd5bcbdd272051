"""Promises of the bucket store, kept before a real S3 server: what is signed is all that is taken, and faults tell no secrets."""

import asyncio
import gc
import hashlib
import os
import traceback
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from urllib.parse import parse_qs, urlsplit

import aiohttp
import botocore.auth
import pytest
from aiohttp import web

from mina_gql.adapters.storage_r2 import Bucket, R2Store
from mina_gql.adapters.storage_r2.checkup import removes_staged
from mina_gql.domain.assets import MAX_UPLOAD_BYTES
from mina_gql.domain.errors import AssetRejected, Forbidden
from mina_gql.domain.ports import ObjectStore, SignedUpload, StorageError
from tests.storage.keys import KEY, NOT_KEYS, NOT_TAGS, SIGNING, TAG, VIDEO
from tests.storage.s3 import BUCKET, KEY_ID, S3, SECRET

APP = "https://api.studio.example"
MEGABYTE = 1024 * 1024


def bucket_of(s3: S3) -> Bucket:
    return Bucket(s3.endpoint_url, BUCKET, KEY_ID, SECRET, s3.public_url)


@pytest.fixture(scope="session")
async def store(s3: S3) -> AsyncIterator[R2Store]:
    async with R2Store.opened(bucket_of(s3), APP, SIGNING) as store:
        yield store


@pytest.fixture
def key() -> str:
    """A key that nothing was stored under."""
    return f"user_uploads/{token_hex(16)}/{token_hex(16)}.png"


async def put(url: str, data: object, **headers: str) -> int:
    """The status of sending bytes to an address."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as http,
        http.put(url, data=data, headers=sent) as answer,
    ):
        return answer.status


async def upload(signed: SignedUpload, data: bytes) -> int:
    return await put(signed.url, data, **signed.headers)


async def chunked(data: bytes) -> AsyncIterator[bytes]:
    yield data


@asynccontextmanager
async def refusal(match: str) -> AsyncIterator[None]:
    """A StorageError that says this, and neither who we are nor how we signed, however it is printed."""
    with pytest.raises(StorageError, match=match) as refused:
        yield
    told = "".join(traceback.format_exception(refused.value))
    assert not [secret for secret in (KEY_ID, SECRET, "X-Amz", "Signature=") if secret in told]


@asynccontextmanager
async def answering(handler: web.RequestHandler) -> AsyncIterator[str]:
    """A store that answers as it is told to; its address."""
    app = web.Application(client_max_size=64 * MEGABYTE)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# ---------------------------------------------------------------- uploads


async def test_a_signed_upload_names_the_type_the_length_and_ten_minutes(store: R2Store, s3: S3, key: str):
    """E1: S3 holds the client to every header that is signed."""
    signed = await store.sign_upload(key, "image/png", 5)
    url = urlsplit(signed.url)
    query = parse_qs(url.query)
    assert url.path == f"/{BUCKET}/staging/{key}"
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert query["X-Amz-Expires"] == ["600"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert SECRET not in signed.url
    assert (signed.headers, signed.expires_in) == ({"Content-Type": "image/png"}, 600)


async def test_an_upload_waits_unseen_until_it_is_discarded(store: R2Store, s3: S3, key: str):
    """E1: what was put is not public before it is confirmed, and is gone when it is discarded, once or twice."""
    assert await store.read_staged(key) is None
    assert await upload(await store.sign_upload(key, "image/png", 5), b"hello") == 200
    assert await store.read_staged(key) == b"hello"
    assert not await store.exists(key)
    async with aiohttp.ClientSession() as http, http.get(store.public_url(key)) as answer:
        assert answer.status == 404
    await store.discard_staged(key)
    await store.discard_staged(key)
    assert await store.read_staged(key) is None


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"hello", {"Content_Type": "text/html"}),
        (b"hello", {"Content_Type": "image/jpeg"}),
        (b"hello", {}),
        (b"hello!", {"Content_Type": "image/png"}),
        (b"hell", {"Content_Type": "image/png"}),
        (b"", {"Content_Type": "image/png"}),
    ],
    ids=["html", "jpeg", "no type", "more", "fewer", "none"],
)
async def test_another_type_or_length_is_refused(store: R2Store, key: str, data: bytes, headers: dict[str, str]):
    """E1."""
    signed = await store.sign_upload(key, "image/png", 5)
    assert await put(signed.url, data, **headers) == 403
    assert await store.read_staged(key) is None


async def test_a_body_of_unknown_length_is_refused(store: R2Store, key: str):
    """E1: chunked, so that no length is told before the bytes come."""
    signed = await store.sign_upload(key, "image/png", 5)
    assert await put(signed.url, chunked(b"hello"), Content_Type="image/png") == 403
    assert await store.read_staged(key) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("staging/user_uploads", "user_uploads"),
        ("user_uploads", "generations"),
        ("X-Amz-Expires=600", "X-Amz-Expires=86400"),
        ("content-length%3B", ""),
        ("content-type%3B", ""),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
)
async def test_a_tampered_address_is_refused(store: R2Store, s3: S3, key: str, old: str, new: str):
    """E1, E10: another place, a longer time, fewer promises."""
    signed = await store.sign_upload(key, "image/png", 5)
    assert old in signed.url
    before = s3.files()
    assert await put(signed.url.replace(old, new, 1), b"hello", Content_Type="image/png") == 403
    assert s3.files() == before


async def test_an_address_holds_for_ten_minutes_and_no_longer(store: R2Store, key: str, monkeypatch: pytest.MonkeyPatch):
    """E1: the signer's clock is shifted, the store's is not."""
    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now() - timedelta(seconds=590))
    held = await store.sign_upload(key, "image/png", 5)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now() - timedelta(seconds=602))
    expired = await store.sign_upload(key, "image/png", 5)
    monkeypatch.undo()
    assert await upload(expired, b"hello") in {400, 403}  # rclone says 400, R2 and S3 say 403
    assert await store.read_staged(key) is None
    assert await upload(held, b"hello") == 200


async def test_sending_again_after_confirming_does_not_touch_the_public_file(store: R2Store, s3: S3, key: str):
    """E1, E8: what was looked at is what stays public."""
    signed = await store.sign_upload(key, "image/png", 5)
    assert await upload(signed, b"hello") == 200
    await store.write(key, b"clean", "image/png")
    await store.discard_staged(key)
    assert await upload(signed, b"<svg>") == 200
    assert await store.read(key) == b"clean"


async def test_an_upload_larger_than_any_may_be_is_not_read_and_goes(store: R2Store, s3: S3, key: str):
    """E8: should a store not hold to the length that was signed."""
    path = s3.folder / "staging" / key
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, MAX_UPLOAD_BYTES + 1)
    with pytest.raises(AssetRejected, match="25 MB"):
        await store.read_staged(key)
    assert not path.exists()


# ---------------------------------------------------------------- objects


async def test_it_is_an_object_store(store: R2Store):
    kept: ObjectStore = store
    assert isinstance(await kept.check(), str)


async def test_a_written_object_is_read_back_and_replaced(store: R2Store, key: str):
    assert not await store.exists(key)
    await store.write(key, b"first", "image/png")
    await store.write(key, b"second", "image/png")
    assert (await store.exists(key), await store.size_of(key), await store.read(key)) == (True, 6, b"second")


async def test_everybody_reads_it_without_a_signature_as_what_it_is(store: R2Store, s3: S3):
    """J3, E4: a permanent address; the bucket's own may not be read without one."""
    for key, content_type in ((KEY, "image/png"), (VIDEO, "video/mp4")):
        await store.write(key, b"bytes", content_type)
        async with aiohttp.ClientSession() as http:
            async with http.get(store.public_url(key)) as answer:
                assert (answer.status, answer.content_type, await answer.read()) == (200, content_type, b"bytes")
            async with http.get(f"{s3.endpoint_url}/{BUCKET}/{key}") as answer:
                assert answer.status in {400, 403}


async def test_it_is_stored_with_its_type_and_may_be_kept_for_ever(store: R2Store, key: str):
    await store.write(key, b"bytes", "image/png")
    found = await store._objects._client.head_object(Bucket=BUCKET, Key=key)
    assert (found["ContentType"], found["CacheControl"]) == ("image/png", "public, max-age=31536000, immutable")
    assert "ContentDisposition" not in found


async def test_what_is_missing_is_missing(store: R2Store, key: str):
    assert (await store.exists(key), await store.size_of(key), await store.read_staged(key)) == (False, None, None)
    await store.discard_staged(key)
    async with refusal("there is no object"):
        await store.read(key)
    async with refusal("NoSuchKey"):
        [chunk async for chunk in store.chunks_of(key)]


@pytest.mark.parametrize("key", NOT_KEYS)
async def test_what_is_no_key_reaches_no_object(store: R2Store, s3: S3, tmp_path: Path, key: str):
    """E10."""
    before = s3.files()
    made = tmp_path / "made"
    made.write_bytes(b"x")
    for attempt in (
        store.write(key, b"x", "image/png"),
        store.write_file(key, made, "image/png"),
        store.sign_upload(key, "image/png", 1),
        store.read(key),
    ):
        async with refusal("is not a key|no object"):
            await attempt
    with pytest.raises(StorageError):
        store.chunks_of(key)
    await store.discard_staged(key)
    assert (await store.read_staged(key), await store.exists(key)) == (None, False)
    assert store.key_of(store.public_url(key)) is None
    assert s3.files() == before


async def test_type_must_fit_the_key(store: R2Store, key: str):
    async with refusal("text/html"):
        await store.write(key, b"x", "text/html")
    async with refusal("image/jpeg"):
        await store.sign_upload(key, "image/jpeg", 1)


async def test_a_big_file_goes_through_in_pieces(store: R2Store, tmp_path: Path):
    """E11: a clip is neither held in memory on its way in nor on its way out, and arrives as it was."""
    video, made = VIDEO.replace(TAG, token_hex(16)), tmp_path / "made.mp4"
    part = os.urandom(MEGABYTE)
    made.write_bytes(part * 96)
    gc.collect()
    tracemalloc.start()
    try:
        await store.write_file(video, made, "video/mp4")
        digest, size = hashlib.sha256(), 0
        async for chunk in store.chunks_of(video):
            digest.update(chunk)
            size += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (size, digest.digest()) == (96 * MEGABYTE, hashlib.sha256(part * 96).digest())
    assert peak < 12 * MEGABYTE
    assert made.stat().st_size == 96 * MEGABYTE


async def test_a_download_that_is_broken_off_makes_room_for_the_next(store: R2Store, key: str, monkeypatch: pytest.MonkeyPatch):
    """Slow or gone, people can hold no more than their share of the connections."""
    await store.write(key, bytes(4 * MEGABYTE), "image/png")
    monkeypatch.setattr(store._objects, "_streams", asyncio.Semaphore(1))
    first = aiter(store.chunks_of(key))
    await anext(first)
    second = asyncio.ensure_future(anext(aiter(store.chunks_of(key))))
    await store.read(key)  # the work is not held up by them
    assert not second.done()
    await first.aclose()
    assert await second


async def test_a_file_that_cannot_be_read_is_told(store: R2Store, tmp_path: Path):
    async with refusal("could not be read: No such file"):
        await store.write_file(VIDEO, tmp_path / "missing.mp4", "video/mp4")


async def test_a_store_that_stumbles_gets_the_whole_file_again(tmp_path: Path):
    """A fault is survived, and the next try begins at the first byte, with the checksum of all of it."""
    made, came = tmp_path / "made.mp4", []
    made.write_bytes(os.urandom(MEGABYTE))

    async def stumble(request: web.Request) -> web.Response:
        came.append((await request.read(), request.headers["Content-MD5"]))
        return web.Response(status=503 if len(came) == 1 else 200)

    async with answering(stumble) as url, R2Store.opened(Bucket(url, BUCKET, KEY_ID, SECRET, url), APP, SIGNING) as store:
        await store.write_file(VIDEO, made, "video/mp4")
    assert len(came) == 2
    assert came[0] == came[1]
    assert came[1][0] == made.read_bytes()


async def test_an_answer_that_breaks_off_is_no_file():
    """Half a picture is never taken for one."""

    async def break_off(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        request.transport.close()
        return answer

    async with answering(break_off) as url, R2Store.opened(Bucket(url, BUCKET, KEY_ID, SECRET, url), APP, SIGNING) as store:
        async with refusal("cannot be reached"):
            await store.read(KEY)
        async with refusal("cannot be reached"):
            [chunk async for chunk in store.chunks_of(KEY)]


async def test_all_of_an_owner_is_removed_and_nothing_of_another(store: R2Store, s3: S3):
    """Of an erased person nothing stays, confirmed or not, however much there is."""
    tag, other = token_hex(16), token_hex(16)
    for place in ("user_uploads", "generations", "staging/user_uploads"):
        folder = s3.folder / place / tag
        folder.mkdir(parents=True)
        for number in range(120 if place == "generations" else 2):
            (folder / f"{number:032x}.png").write_bytes(b"x")
    kept = f"generations/{other}/{'0' * 32}.png"
    await store.write(kept, b"x", "image/png")
    assert await store.remove_all(tag) == 124
    assert await store.remove_all(tag) == 0
    assert not [name for name in s3.files() if tag in name]
    assert await store.exists(kept)


@pytest.mark.parametrize("tag", NOT_TAGS)
async def test_what_is_no_tag_removes_nothing(store: R2Store, s3: S3, key: str, tag: str):
    await store.write(key, b"x", "image/png")
    before = s3.files()
    async with refusal("is not an owner tag"):
        await store.remove_all(tag)
    assert s3.files() == before


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize("key", [KEY, VIDEO])
async def test_key_of_is_the_inverse_of_public_url(store: R2Store, key: str):
    assert store.key_of(store.public_url(key)) == key


async def test_any_other_address_has_no_key(store: R2Store, s3: S3):
    """E6."""
    for url in (
        KEY,
        f"{s3.endpoint_url}/{BUCKET}/{KEY}",
        f"{s3.public_url}.elsewhere.example/{KEY}",
        f"{s3.public_url}/{KEY}?x",
        f"{s3.public_url}/{KEY}#x",
        f"{s3.public_url}/../{KEY}",
        f"{s3.public_url}/staging/{KEY}",
        store.download_url(KEY, "a.png"),
        (await store.sign_upload(KEY, "image/png", 1)).url,
    ):
        assert store.key_of(url) is None


async def test_download_address_is_ours_permanent_and_carries_any_file_name(store: R2Store):
    """E13."""
    assert store.download_url(KEY, "Ré&?#.png") == f"{APP}/downloads/{KEY}?name=R%C3%A9%26%3F%23.png"


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"name": "no-such-bucket"}, "NoSuchBucket"),
        ({"secret_access_key": "another-secret"}, "SignatureDoesNotMatch"),
        ({"access_key_id": "another-key-id"}, "InvalidAccessKeyId"),
    ],
)
async def test_a_store_that_refuses_is_told_in_few_words(s3: S3, key: str, fault: dict[str, str], told: str):
    async with R2Store.opened(replace(bucket_of(s3), **fault), APP, SIGNING) as store:
        for attempt in (store.write(key, b"x", "image/png"), store.read(key), store.remove_all(TAG)):
            async with refusal(told):
                await attempt


async def test_a_store_that_is_away_is_told_in_few_words(s3: S3, key: str, free_port: int):
    bucket = replace(bucket_of(s3), endpoint_url=f"http://127.0.0.1:{free_port}")
    async with R2Store.opened(bucket, APP, SIGNING) as store:
        for attempt in (store.write(key, b"x", "image/png"), store.exists(key)):
            async with refusal("cannot be reached"):
                await attempt


def test_a_bucket_does_not_show_its_secrets(s3: S3):
    assert KEY_ID not in repr(bucket_of(s3))
    assert SECRET not in repr(bucket_of(s3))


# ---------------------------------------------------------------- mina doctor


async def test_check_tells_that_it_works_and_leaves_nothing(store: R2Store, s3: S3):
    before = s3.files()
    said = await store.check()
    assert f"bucket {BUCKET}" in said
    assert s3.public_url in said
    assert "keep the public from staging/" in said  # this server shows all of its folder
    assert "a rule that removes old uploads" in said  # and has no such rules
    assert s3.files() == before


@pytest.mark.parametrize(
    ("fault", "setting"),
    [
        ({"name": "no-such-bucket"}, "MINA_R2_BUCKET"),
        ({"secret_access_key": "another-secret"}, "MINA_R2_SECRET_ACCESS_KEY"),
        ({"access_key_id": "another-key-id"}, "MINA_R2_ACCESS_KEY_ID"),
        ({"endpoint_url": "http://127.0.0.1:1"}, "MINA_R2_ENDPOINT_URL"),
        ({"endpoint_url": f"http://127.0.0.1:1/{BUCKET}"}, "MINA_R2_ENDPOINT_URL: must be the endpoint alone"),
        ({"public_url": "http://127.0.0.1:1"}, "MINA_R2_PUBLIC_URL: cannot be reached"),
        ({"public_url": "{endpoint_url}"}, "MINA_R2_PUBLIC_URL: what is in the bucket is not found there"),
    ],
)
async def test_check_names_the_setting_that_is_wrong(s3: S3, fault: dict[str, str], setting: str):
    before = s3.files()
    wrong = {name: value.format(endpoint_url=s3.endpoint_url) for name, value in fault.items()}
    async with R2Store.opened(replace(bucket_of(s3), **wrong), APP, SIGNING) as store, refusal(f"^{setting}"):
        await store.check()
    assert s3.files() == before


@pytest.mark.parametrize(
    ("rule", "removes"),
    [
        ({"Status": "Enabled", "Filter": {"Prefix": "staging/"}, "Expiration": {"Days": 1}}, True),
        ({"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 7}}, True),
        ({"Status": "Disabled", "Filter": {"Prefix": "staging/"}, "Expiration": {"Days": 1}}, False),
        ({"Status": "Enabled", "Filter": {"Prefix": "staging/user_uploads/"}, "Expiration": {"Days": 1}}, False),
        ({"Status": "Enabled", "Filter": {"Prefix": "staging/"}, "AbortIncompleteMultipartUpload": {}}, False),
    ],
)
def test_which_rule_removes_old_uploads(rule: dict[str, object], removes: bool):
    assert removes_staged(rule) is removes


# ---------------------------------------------------------------- uploads of an unknown length


async def test_an_upload_of_an_unknown_length_comes_to_us_who_count_it(store: R2Store, key: str):
    """Seed 003, 5.A names no length: an address of the bucket's without one could be used to fill it."""
    signed = await store.sign_upload(key, "image/png", None)
    assert signed.url.startswith(f"{APP}/uploads/")
    token = signed.url.rpartition("/")[2]
    await store.accept_upload(token, "image/png", None, chunked(b"bytes"))
    assert await store.read_staged(key) == b"bytes"
    with pytest.raises(AssetRejected, match="more came"):
        await store.accept_upload(token, "image/png", None, chunked(b"x" * (25 * MEGABYTE + 1)))
    with pytest.raises(AssetRejected, match="image/png"):
        await store.accept_upload(token, "text/html", None, chunked(b"bytes"))
    with pytest.raises(Forbidden):
        await store.accept_upload(f"{token}x", "image/png", None, chunked(b"bytes"))
    assert await store.read_staged(key) == b"bytes"
