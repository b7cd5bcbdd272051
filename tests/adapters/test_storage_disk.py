"""Promises of the disk store: keys, addresses, whole files, and uploads that keep to what was signed."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import itsdangerous
import pytest

from mina_gql.adapters.storage_disk import DiskStore
from mina_gql.domain.errors import AssetRejected, Forbidden
from mina_gql.domain.ports import ObjectStore, StorageError
from tests.storage.keys import KEY, NOT_KEYS, NOT_TAGS, TAG, VIDEO

BASE = "http://127.0.0.1:8000"


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "files", BASE, b"s" * 32)


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def sent(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def token_for(store: DiskStore, size: int, key: str = KEY, content_type: str = "image/png") -> str:
    return (await store.sign_upload(key, content_type, size)).url.rpartition("/")[2]


def test_it_is_an_object_store(store: DiskStore):
    kept: ObjectStore = store
    assert kept.public_url(KEY) == f"{BASE}/assets/{KEY}"


async def test_written_object_is_read_back_and_replaced(store: DiskStore):
    assert not await store.exists(KEY)
    with pytest.raises(StorageError):
        await store.read(KEY)
    await store.write(KEY, b"first", "image/png")
    await store.write(KEY, b"second", "image/png")
    assert await store.exists(KEY)
    assert await store.read(KEY) == b"second"


async def test_a_file_is_stored_as_it_is_and_stays(store: DiskStore, tmp_path: Path):
    made = tmp_path / "made.mp4"
    made.write_bytes(b"first")
    await store.write_file(VIDEO, made, "video/mp4")
    assert await store.read(VIDEO) == b"first"

    made.write_bytes(b"second")  # as another try of a model does: what is stored is not touched by it
    assert await store.read(VIDEO) == b"first"
    await store.write_file(VIDEO, made, "video/mp4")
    assert (await store.read(VIDEO), made.read_bytes()) == (b"second", b"second")
    assert files_below(tmp_path / "files") == [tmp_path / "files" / "objects" / VIDEO]


async def test_a_file_that_cannot_be_stored_leaves_what_there_was(store: DiskStore, tmp_path: Path):
    await store.write(VIDEO, b"kept", "video/mp4")
    made = tmp_path / "made.mp4"
    with pytest.raises(StorageError, match="could not be written"):
        await store.write_file(VIDEO, made, "video/mp4")
    made.write_bytes(b"x")
    with pytest.raises(StorageError, match="image/png"):
        await store.write_file(VIDEO, made, "image/png")
    with pytest.raises(StorageError, match="not a key"):
        await store.write_file("../made.mp4", made, "video/mp4")
    assert await store.read(VIDEO) == b"kept"
    assert files_below(tmp_path / "files") == [tmp_path / "files" / "objects" / VIDEO]


async def test_all_of_an_owner_is_removed_and_nothing_of_another(store: DiskStore, tmp_path: Path):
    kept = KEY.replace(TAG, "cd" * 16)
    for key in (KEY, kept, VIDEO):
        await store.write(key, b"x", "video/mp4" if key == VIDEO else "image/png")
    waiting = KEY.replace("0f", "2d")
    await store.accept_upload(await token_for(store, 3, waiting), "image/png", 3, sent(b"one"))

    assert await store.remove_all(TAG) == 3
    assert files_below(tmp_path) == [tmp_path / "files" / "objects" / kept]
    assert await store.remove_all(TAG) == 0
    await store.write(KEY, b"x", "image/png")
    assert await store.exists(KEY)


@pytest.mark.parametrize("tag", NOT_TAGS)
async def test_what_is_no_tag_removes_nothing(store: DiskStore, tag: str):
    await store.write(KEY, b"x", "image/png")
    with pytest.raises(StorageError, match="not an owner tag"):
        await store.remove_all(tag)
    assert await store.exists(KEY)


async def test_removing_follows_no_link(store: DiskStore, tmp_path: Path):
    await store.write(KEY, b"x", "image/png")
    folder = tmp_path / "files" / "objects" / "user_uploads" / TAG
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert await store.remove_all(TAG) == 0
    assert len(files_below(tmp_path / "elsewhere")) == 1


@pytest.mark.parametrize("key", NOT_KEYS)
async def test_what_is_no_key_reaches_no_file(store: DiskStore, tmp_path: Path, key: str):
    with pytest.raises(StorageError):
        await store.write(key, b"x", "image/png")
    with pytest.raises(StorageError):
        await store.sign_upload(key, "image/png", 1)
    with pytest.raises(StorageError):
        await store.read(key)
    await store.discard_staged(key)
    assert await store.read_staged(key) is None
    assert not await store.exists(key)
    assert store.path_of(key) is None
    assert store.key_of(f"{BASE}/assets/{key}") is None
    assert files_below(tmp_path) == []


async def test_type_must_fit_the_key(store: DiskStore):
    with pytest.raises(StorageError, match="text/html"):
        await store.write(KEY, b"x", "text/html")
    with pytest.raises(StorageError, match="image/jpeg"):
        await store.sign_upload(KEY, "image/jpeg", 1)


@pytest.mark.parametrize("key", [KEY, VIDEO])
def test_key_of_is_the_inverse_of_public_url(store: DiskStore, key: str):
    assert store.key_of(store.public_url(key)) == key


@pytest.mark.parametrize(
    "url",
    [
        KEY,
        f"https://elsewhere.example/assets/{KEY}",
        f"{BASE}.elsewhere.example/assets/{KEY}",
        f"{BASE}/assets/{KEY}?download=x",
        f"{BASE}/assets/{KEY}#x",
        f"{BASE}/assets/../assets/{KEY}",
        f"{BASE}/uploads/{KEY}",
        f"{BASE}/assets/{BASE}/assets/{KEY}",
    ],
)
def test_any_other_address_has_no_key(store: DiskStore, url: str):
    assert store.key_of(url) is None


def test_download_address_carries_any_file_name(store: DiskStore):
    assert store.download_url(KEY, "Ré&?#.png") == f"{BASE}/assets/{KEY}?download=R%C3%A9%26%3F%23.png"


async def test_link_out_of_the_store_is_not_followed(store: DiskStore, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"key")
    await store.write(KEY, b"x", "image/png")
    path = store.path_of(KEY)
    assert path is not None
    path.unlink()
    path.symlink_to(secret)
    assert store.path_of(KEY) is None

    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    path.parent.rename(elsewhere)
    (elsewhere / path.name).write_bytes(b"x")
    path.parent.symlink_to(elsewhere)
    assert store.path_of(KEY) is None


async def test_upload_waits_until_it_is_discarded(store: DiskStore):
    signed = await store.sign_upload(KEY, "image/png", 5)
    assert signed.url.startswith(f"{BASE}/uploads/")
    assert (signed.headers, signed.expires_in) == ({"Content-Type": "image/png"}, 600)
    await store.accept_upload(signed.url.rpartition("/")[2], "image/png", 5, sent(b"he", b"llo"))
    assert await store.read_staged(KEY) == b"hello"
    assert not await store.exists(KEY)
    await store.discard_staged(KEY)
    await store.discard_staged(KEY)
    assert await store.read_staged(KEY) is None


async def test_same_token_again_replaces_the_bytes(store: DiskStore):
    token = await token_for(store, 3)
    await store.accept_upload(token, "image/png", 3, sent(b"one"))
    await store.accept_upload(token, "Image/PNG; x=y", None, sent(b"two"))
    assert await store.read_staged(KEY) == b"two"


async def test_large_upload_arrives_whole(store: DiskStore):
    chunks = [os.urandom(65_536) for _ in range(50)]
    token = await token_for(store, 50 * 65_536)
    await store.accept_upload(token, "image/png", None, sent(*chunks))
    assert await store.read_staged(KEY) == b"".join(chunks)


@pytest.mark.parametrize(
    ("content_type", "length", "chunks", "told"),
    [
        ("text/html", 3, [b"one"], "image/png"),
        ("", 3, [b"one"], "image/png"),
        ("image/png", 4, [b"one!"], "3 bytes, not 4"),
        ("image/png", None, [b"one", b"!"], "more came"),
        ("image/png", 3, [b"on"], "only 2 came"),
        ("image/png", None, [], "only 0 came"),
    ],
)
async def test_upload_other_than_signed_is_refused_and_leaves_nothing(
    store: DiskStore, tmp_path: Path, content_type: str, length: int | None, chunks: list[bytes], told: str
):
    token = await token_for(store, 3)
    with pytest.raises(AssetRejected, match=told):
        await store.accept_upload(token, content_type, length, sent(*chunks))
    assert files_below(tmp_path) == []


async def test_refused_upload_keeps_what_waits(store: DiskStore):
    token = await token_for(store, 3)
    await store.accept_upload(token, "image/png", 3, sent(b"one"))
    with pytest.raises(AssetRejected):
        await store.accept_upload(token, "image/png", None, sent(b"longer"))
    assert await store.read_staged(KEY) == b"one"


async def test_upload_that_breaks_off_leaves_nothing(store: DiskStore, tmp_path: Path):
    async def breaking() -> AsyncIterator[bytes]:
        yield b"on"
        raise ConnectionResetError

    with pytest.raises(StorageError):
        await store.accept_upload(await token_for(store, 3), "image/png", 3, breaking())
    assert files_below(tmp_path) == []


async def test_token_lasts_ten_minutes(store: DiskStore, monkeypatch: pytest.MonkeyPatch):
    token = await token_for(store, 3)
    now = itsdangerous.TimestampSigner.get_timestamp
    monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda self: now(self) + 599)
    await store.accept_upload(token, "image/png", 3, sent(b"one"))
    monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda self: now(self) + 602)
    with pytest.raises(Forbidden, match="expired"):
        await store.accept_upload(token, "image/png", 3, sent(b"two"))
    assert await store.read_staged(KEY) == b"one"


async def test_token_of_another_secret_or_changed_is_refused(store: DiskStore, tmp_path: Path):
    other = DiskStore(tmp_path / "files", BASE, b"t" * 32)
    token = await token_for(store, 3)
    for forged in (await token_for(other, 3), token[:-1], f"x{token}", "", "x.y.z"):
        with pytest.raises(Forbidden, match="not one of ours"):
            await store.accept_upload(forged, "image/png", 3, sent(b"one"))
    assert files_below(tmp_path) == []


async def test_check_tells_where_it_is_and_what_is_wrong(store: DiskStore, tmp_path: Path):
    assert str(tmp_path / "files") in await store.check()
    assert files_below(tmp_path) == []
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    with pytest.raises(StorageError, match="blocked"):
        await DiskStore(blocked, BASE, b"s" * 32).check()


async def test_uploads_that_nobody_confirmed_are_swept_after_a_day(tmp_path):
    store = DiskStore(tmp_path, "http://127.0.0.1:8000", b"s" * 32)
    old, young = (f"user_uploads/{'a' * 32}/{name * 32}.png" for name in "bc")
    for key in (old, young):
        path = tmp_path / "staging" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    os.utime(tmp_path / "staging" / old, (0, 0))
    kept = f"generations/{'a' * 32}/{'d' * 32}.png"
    await store.write(kept, b"picture", "image/png")
    os.utime(tmp_path / "objects" / kept, (0, 0))

    assert await store.sweep() == 1
    assert await store.read_staged(old) is None
    assert await store.read_staged(young) == b"picture"
    assert await store.exists(kept)
