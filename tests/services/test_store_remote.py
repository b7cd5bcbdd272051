"""Pictures from elsewhere become the caller's own, cleaned like an upload (FEATURES E2, E3, E10)."""

import re
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from PIL import ExifTags, Image

from mina_gql.domain.assets import RemoteKind
from mina_gql.domain.errors import AccountDisabled, AssetNotOurs, AssetRejected, RemoteFetchRefused, Unauthenticated
from mina_gql.domain.passes import owner_tag
from mina_gql.services.assets import owns
from tests.adapters.remote_world import HOST, Internet, answer, internet
from tests.studio import NOBODY, PNG, SECRET, picture_bytes

URL = f"https://{HOST}/p.png"
FIELD = ["input", "sourceUrl"]


@pytest.fixture
async def world(studio, tmp_path_factory) -> AsyncIterator[Internet]:
    """The internet that the studio fetches from."""
    async with internet(tmp_path_factory.mktemp("internet")) as made:
        studio.assets._remote = made.fetcher()
        yield made


def files(studio) -> set[str]:
    root = studio.mina.store._root
    return {path.relative_to(root).as_posix() for path in root.rglob("*.*") if path.is_file()}


@pytest.mark.parametrize(("kind", "folder"), [(RemoteKind.UPLOAD, "user_uploads"), (RemoteKind.GENERATION, "generations")])
@pytest.mark.parametrize(("form", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
async def test_a_picture_from_elsewhere_is_kept_as_the_caller_s(studio, world, kind, folder, form, extension):
    caller = await studio.person()
    world.answers["/p.png"] = answer(picture_bytes(form), content_type="application/octet-stream")
    one, two = [await studio.assets.store_remote(caller, URL, kind) for _ in range(2)]
    tag = owner_tag(caller.pass_id, SECRET.encode())
    assert re.fullmatch(rf"{folder}/{tag}/[0-9a-f]{{32}}\.{extension}", one.key)
    assert one.key != two.key
    assert (one.width, one.height, one.content_type) == (8, 6, f"image/{form.lower()}")
    data = await studio.mina.store.read(one.key)
    assert (len(data), one.public_url) == (one.size, studio.mina.store.public_url(one.key))
    assert owns(caller, one.key)
    assert not owns(await studio.person(), one.key)


async def test_it_can_be_used_like_an_upload(studio, world):
    caller = await studio.person()
    stored = await studio.assets.store_remote(caller, URL, RemoteKind.UPLOAD)
    assert await studio.assets.own_picture(caller, stored.public_url, []) == stored.public_url
    with pytest.raises(AssetNotOurs):
        await studio.assets.own_picture(await studio.person(), stored.public_url, [])


async def test_it_is_cleaned_like_an_upload(studio, world):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = "SECRET PLACE"
    out = BytesIO()
    Image.new("RGB", (8, 6)).save(out, "JPEG", exif=exif)
    world.answers["/p.png"] = answer(out.getvalue() + b"<script>alert(1)</script>", content_type="image/jpeg")
    assert b"SECRET PLACE" in out.getvalue()
    stored = await studio.assets.store_remote(await studio.person(), URL, RemoteKind.UPLOAD)
    data = await studio.mina.store.read(stored.key)
    assert b"SECRET PLACE" not in data
    assert b"<script>" not in data


@pytest.mark.parametrize(
    "body",
    [
        b"<html><script>1</script></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        picture_bytes("GIF"),
        PNG[:30],
        b"\x1f\x8b\x08" + bytes(40),
    ],
    ids=["page", "svg", "gif", "cut", "packed"],
)
async def test_what_is_no_picture_is_refused_and_nothing_is_kept(studio, world, body):
    world.answers["/p.png"] = answer(body, content_type="image/png")
    with pytest.raises(AssetRejected) as refused:
        await studio.assets.store_remote(await studio.person(), URL, RemoteKind.UPLOAD)
    assert refused.value.field == FIELD
    assert files(studio) == set()


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.example/p.png",
        "file:///etc/passwd",
        "https://127.0.0.1/",
        "https://inner.example/p.png",
        "nonsense",
        "",
        f"https://{HOST}/nothing",
    ],
)
async def test_what_may_not_be_fetched_is_refused_where_it_stands(studio, world, url):
    world.names["inner.example"] = ["169.254.169.254"]
    with pytest.raises(RemoteFetchRefused) as refused:
        await studio.assets.store_remote(await studio.person(), url, RemoteKind.GENERATION)
    assert refused.value.field == FIELD
    assert set(world.connected) <= {(world.names[HOST][0], 443)}
    assert files(studio) == set()


# ---------------------------------------------------------------- what is here already


async def test_the_caller_s_own_picture_stays_where_it_is(studio, world):
    caller = await studio.person()
    url = await studio.picture(caller)
    before = files(studio)
    for given in (url, f"{url}?download=a.png", f"{url}#part"):
        stored = await studio.assets.store_remote(caller, given, RemoteKind.GENERATION)
        assert (stored.public_url, stored.width, stored.height) == (url, 8, 6)
    assert (world.looked_up, files(studio)) == ([], before)


async def test_an_upload_that_waits_is_confirmed(studio, world):
    caller = await studio.person()
    upload = await studio.assets.create_upload(caller, "image/png", "p.png", len(PNG))
    with pytest.raises(AssetNotOurs):
        await studio.assets.store_remote(caller, upload.public_url, RemoteKind.UPLOAD)
    await studio.stage(upload.key)
    assert (await studio.assets.store_remote(caller, upload.public_url, RemoteKind.UPLOAD)).key == upload.key


async def test_a_clip_that_was_made_for_the_caller_is_told_without_its_size(studio, world):
    caller = await studio.person()
    key = f"generations/{owner_tag(caller.pass_id, SECRET.encode())}/{'a' * 32}.mp4"
    await studio.mina.store.write(key, b"clip", "video/mp4")
    stored = await studio.assets.store_remote(caller, studio.mina.store.public_url(key), RemoteKind.UPLOAD)
    assert (stored.content_type, stored.size, stored.width, stored.height) == ("video/mp4", 4, None, None)
    with pytest.raises(AssetNotOurs):
        await studio.assets.store_remote(caller, studio.mina.store.public_url(key.replace("a" * 32, "b" * 32)), RemoteKind.UPLOAD)


@pytest.mark.parametrize("more", ["", "?download=a.png", "#part", "?"])
async def test_somebody_else_s_picture_is_not_copied(studio, world, more):
    url = await studio.picture(await studio.person())
    stranger, before = await studio.person(), files(studio)
    with pytest.raises(AssetNotOurs) as refused:
        await studio.assets.store_remote(stranger, url + more, RemoteKind.UPLOAD)
    assert refused.value.field == FIELD
    assert (world.looked_up, files(studio)) == ([], before)


async def test_it_takes_a_pass_that_is_not_switched_off(studio, world):
    with pytest.raises(Unauthenticated):
        await studio.assets.store_remote(NOBODY, URL, RemoteKind.UPLOAD)
    with pytest.raises(AccountDisabled):
        await studio.assets.store_remote(await studio.disable(await studio.person()), URL, RemoteKind.UPLOAD)
    assert world.looked_up == []
