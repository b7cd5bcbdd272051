"""Pictures on their way in: signed, sent, looked at, and only one's own."""

import asyncio
from io import BytesIO
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest
from PIL import Image

from tests.journeys.server import Server
from tests.journeys.visitor import COFFEE, Visitor

HTML = b"<!doctype html><script>alert(1)</script>" + b" " * 2_000
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def png(width: int = 40, height: int = 30) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status


async def test_a_signed_upload_becomes_a_public_picture(visitor: Visitor) -> None:
    """E1, E8-E10, E13: nothing is public before it is confirmed, confirming twice answers the same, the owner is not told."""
    upload = (await visitor.sign(len(COFFEE)))["upload"]
    assert (upload["expiresInSec"], upload["maxBytes"], upload["timeoutSeconds"]) == (600, 25 * 1024 * 1024, 300)
    assert await status_of(upload["publicUrl"]) == 404
    assert (await visitor.confirm(upload["key"]))["userErrors"][0]["code"] == "NOT_FOUND"
    assert await visitor.put(upload, COFFEE) == 204
    assert await status_of(upload["publicUrl"]) == 404
    asset = (await visitor.confirm(upload["key"]))["asset"]
    assert (asset["key"], asset["publicUrl"]) == (upload["key"], upload["publicUrl"])
    assert (asset["contentType"], asset["width"], asset["height"]) == ("image/jpeg", 600, 400)
    assert (await visitor.confirm(upload["key"]))["asset"] == asset
    folder, owner, name = asset["key"].split("/")
    assert (folder, len(owner), len(name.removesuffix(".jpg"))) == ("user_uploads", 32, 32)
    async with aiohttp.ClientSession() as http, http.get(asset["publicUrl"], params={"download": "my ../cup?.jpg"}) as answer:
        assert (answer.status, answer.content_type) == (200, "image/jpeg")
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''my%20.._cup_.jpg"
        assert len(await answer.read()) == asset["bytes"]


@pytest.mark.parametrize(
    "data", [HTML, SVG, COFFEE[:5_000], b"\xff\xd8\xff\xe0not a picture"], ids=["html", "svg", "cut", "fake"]
)
async def test_what_is_no_picture_is_refused_and_deleted(visitor: Visitor, data: bytes, studio: Server) -> None:
    """E8: whatever it is called; the sender may not get it back from us."""
    upload = (await visitor.sign(len(data)))["upload"]
    assert await visitor.put(upload, data) == 204
    refused = await visitor.confirm(upload["key"])
    assert (refused["asset"], [error["code"] for error in refused["userErrors"]]) == (None, ["ASSET_REJECTED"])
    assert await status_of(upload["publicUrl"]) == 404
    assert (await visitor.confirm(upload["key"]))["userErrors"][0]["code"] == "NOT_FOUND"
    assert not list((studio.home / "files").rglob(upload["key"].rpartition("/")[2]))


async def test_a_picture_of_another_type_than_announced_is_refused(visitor: Visitor) -> None:
    """E8: a PNG that was announced as a JPEG."""
    upload = (await visitor.sign(len(png())))["upload"]
    assert await visitor.put(upload, png()) == 204
    assert (await visitor.confirm(upload["key"]))["userErrors"][0]["code"] == "ASSET_REJECTED"


async def test_where_and_when_a_picture_was_taken_is_not_published(visitor: Visitor) -> None:
    """E8: metadata goes, and the picture stands upright without it."""
    file = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    exif[0x010F] = "A telling camera"
    Image.new("RGB", (40, 20), "teal").save(file, "JPEG", exif=exif)
    asset = await visitor.uploaded(file.getvalue())
    assert (asset["width"], asset["height"]) == (20, 40)
    async with aiohttp.ClientSession() as http, http.get(asset["publicUrl"]) as answer:
        public = await answer.read()
    assert b"telling" not in public
    assert not Image.open(BytesIO(public)).getexif()


async def test_only_what_was_signed_is_taken(visitor: Visitor) -> None:
    """E1: another type, more or fewer bytes, a token that was changed."""
    upload = (await visitor.sign(len(COFFEE)))["upload"]
    assert await visitor.put(upload, COFFEE, Content_Type="text/html") == 400
    assert await visitor.put(upload, COFFEE + b"!") == 400
    assert await visitor.put(upload, COFFEE[:-1]) == 400
    assert await visitor.put({**upload, "url": upload["url"][:-2]}, COFFEE) == 403
    assert (await visitor.confirm(upload["key"]))["userErrors"][0]["code"] == "NOT_FOUND"
    assert await visitor.put(upload, COFFEE) == 204


@pytest.mark.parametrize(
    ("size", "content_type", "field"),
    [
        (25 * 1024 * 1024 + 1, "image/jpeg", "bytes"),
        (0, "image/jpeg", "bytes"),
        (10, "image/svg+xml", "contentType"),
        (10, "text/html", "contentType"),
        (10, "image/gif", "contentType"),
    ],
)
async def test_what_will_never_be_taken_is_not_signed(visitor: Visitor, size: int, content_type: str, field: str) -> None:
    """E8."""
    payload = await visitor.sign(size, content_type)
    assert payload["upload"] is None
    assert [(error["code"], error["field"]) for error in payload["userErrors"]] == [("INVALID_INPUT", ["input", field])]


@pytest.mark.parametrize(
    "key", ["../../secret_key", "user_uploads/../../secret_key", "generations/a/../../../secret_key", "/etc/passwd", ""]
)
async def test_keys_lead_nowhere_else(visitor: Visitor, studio: Server, key: str) -> None:
    """E10: not by confirming, and not by asking for the file, however the dots are written."""
    assert (await visitor.confirm(key))["userErrors"][0]["code"] == "NOT_FOUND"
    for path in (key, key.replace(".", "%2e"), key.replace("/", "%2f")):
        assert await _raw_status(studio.port, f"/assets/{path}") == "404"


async def _raw_status(port: int, path: str) -> str:
    """By hand: a client would tidy the path up before it sends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.split()[1].decode()


async def test_only_own_pictures_can_be_used(visitor: Visitor, studio: Server) -> None:
    """E6, E7: a foreign address, somebody else's picture, one that was never sent: told, and nothing is charged."""
    stranger = Visitor(studio)
    await stranger.arrive()
    theirs = (await stranger.uploaded())["publicUrl"]
    unsent = (await visitor.sign(len(COFFEE)))["upload"]["publicUrl"]
    foreign = ["https://studio.example/cup.jpg", f"{studio.origin}/health", "file:///etc/passwd", "cup", theirs, unsent]
    for url in foreign:
        for asset in ({"productImageUrl": url}, {"logoImageUrl": url}, {"inspirationImageUrls": [url]}):
            payload = await visitor.create(assets=asset)
            assert payload["generation"] is None
            [error] = payload["userErrors"]
            assert (error["code"], error["field"][:3]) == ("ASSET_NOT_OURS", ["input", "assets", next(iter(asset))])
    assert (await visitor.confirm(urlsplit(theirs).path.removeprefix("/assets/")))["userErrors"][0]["code"] == "NOT_FOUND"
    assert await visitor.balance() == 10


async def test_at_most_four_inspirations(visitor: Visitor) -> None:
    """E7."""
    picture = (await visitor.uploaded())["publicUrl"]
    payload = await visitor.create(assets={"inspirationImageUrls": [picture] * 5})
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID_INPUT"]
    assert await visitor.balance() == 10


async def test_a_picture_that_was_sent_and_not_confirmed_may_be_used_at_once(visitor: Visitor) -> None:
    """E1: `create` confirms the caller's own; what is no picture is refused there too."""
    upload = (await visitor.sign(len(COFFEE)))["upload"]
    assert await visitor.put(upload, COFFEE) == 204
    generation = await visitor.accepted(assets={"productImageUrl": upload["publicUrl"]})
    assert (await visitor.followed(generation))[-1]["__typename"] == "GenerationCompleted"
    page = (await visitor.sign(len(HTML)))["upload"]
    assert await visitor.put(page, HTML) == 204
    payload = await visitor.create(assets={"productImageUrl": page["publicUrl"]})
    assert [error["code"] for error in payload["userErrors"]] == ["ASSET_REJECTED"]
    assert await visitor.balance() == 9


async def test_a_finished_still_can_be_the_picture_of_the_next(visitor: Visitor) -> None:
    """E6: outputs of one's own generations are one's own."""
    generation = await visitor.accepted(f"A cup {uuid4()}")
    await visitor.followed(generation)
    made = (await visitor.generation(generation))["outputUrl"]
    assert await visitor.accepted(assets={"inspirationImageUrls": [made]})
