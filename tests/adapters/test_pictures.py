"""Promises about pictures from people, through the real sandbox: what is let in, and what is left of it (FEATURES E8)."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw, PngImagePlugin

from mina_gql.adapters.pictures import PillowPictureReader
from mina_gql.adapters.sandbox.pictures import clean_picture
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.errors import AssetRejected
from mina_gql.domain.ports import Picture

FORMATS = [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")]
SECRET = b"51.5074N-0.1278W"
SANDBOX = Sandbox()


@pytest.fixture(scope="module", autouse=True)
async def _closing():
    yield
    await SANDBOX.close()


def drawn(mode: str = "RGB", size: tuple[int, int] = (80, 48)) -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, "blue")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2 - 1, size[1]), fill="red")
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(picture: Picture) -> Image.Image:
    image = Image.open(BytesIO(picture.data))
    image.load()
    return image


async def clean(data: bytes) -> Picture:
    return await PillowPictureReader(SANDBOX).clean(data)


async def refusal(data: bytes) -> str:
    with pytest.raises(AssetRejected) as refused:
        await clean(data)
    return refused.value.message


@pytest.mark.parametrize(("kind", "content_type"), FORMATS)
async def test_format_and_size_are_kept(kind: str, content_type: str):
    picture = await clean(saved(drawn(), kind))
    assert (picture.content_type, picture.width, picture.height) == (content_type, 80, 48)
    assert (opened(picture).format, opened(picture).size) == (kind, (80, 48))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><script>1</script></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF",
        b"PK\x03\x04" + bytes(60),
        saved(drawn(), "GIF"),
        saved(drawn(), "BMP"),
        saved(drawn(), "TIFF"),
    ],
)
async def test_anything_but_jpeg_png_webp_is_refused(data: bytes):
    assert "JPEG, PNG or WebP" in await refusal(data)


@pytest.mark.parametrize(("kind", "_"), FORMATS)
@pytest.mark.parametrize("left", [0.1, 0.5, 0.97])
async def test_cut_short_is_refused(kind: str, _: str, left: float):
    noisy = Image.effect_noise((200, 200), 80).convert("RGB")
    data = saved(noisy, kind)
    assert "cut short" in await refusal(data[: int(len(data) * left)])


async def test_more_than_25_megabytes_are_refused():
    assert "25 MB" in await refusal(saved(drawn(), "PNG") + bytes(25 * 1024 * 1024))


@pytest.mark.parametrize("side", [7_072, 12_000, 60_000])
async def test_more_than_50_megapixels_are_refused_before_they_are_decoded(side: int, monkeypatch: pytest.MonkeyPatch):
    assert "50 megapixels" in await refusal(png_header(side, side))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(AssetRejected, match="50 megapixels"):
        clean_picture(png_header(side, side))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
async def test_a_header_that_lies_about_the_size_unfolds_into_nothing(kind: str):
    """A few bytes that claim the largest picture of their format: 65,535 or 16,384 pixels a side."""
    data = bytearray(saved(drawn(), kind, **({"lossless": True} if kind == "WEBP" else {})))
    if kind == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = b"\xff\xff\xff\xff"
    else:
        place = data.index(b"VP8L") + 9
        data[place : place + 4] = ((0x3FFF) | (0x3FFF << 14)).to_bytes(4, "little")
    assert "50 megapixels" in await refusal(bytes(data))


async def test_text_that_unfolds_into_gigabytes_is_refused():
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 70_000_000, zip=True)
    data = saved(drawn(), "PNG", pnginfo=text)
    assert len(data) < 100_000
    assert "damaged" in await refusal(data)


@pytest.mark.parametrize(("kind", "content_type"), FORMATS)
@pytest.mark.parametrize(
    "passenger",
    [
        b"<html><script>alert(1)</script></html>",
        b"PK\x03\x04META-INF/MANIFEST.MF" + bytes(40),
        b"%PDF-1.7\n%%EOF",
        b"#!/bin/sh\nid\n",
    ],
    ids=["html", "jar", "pdf", "script"],
)
async def test_nothing_travels_behind_a_picture(kind: str, content_type: str, passenger: bytes):
    """Polyglots: a picture that is a page, an archive, a document or a program as well."""
    picture = await clean(saved(drawn(), kind) + passenger)
    assert picture.content_type == content_type
    assert passenger not in picture.data


async def test_nothing_travels_within_a_picture():
    page = b"<html><script>alert(1)</script></html>"
    jpeg = saved(drawn(), "JPEG")
    segment = b"\xff\xec" + (len(page) + 2).to_bytes(2) + page  # APP12, which nobody reads
    png = saved(drawn(), "PNG")
    chunk = len(page).to_bytes(4) + b"mnAa" + page + struct.pack(">I", zlib.crc32(b"mnAa" + page))
    webp = saved(drawn(), "WEBP")
    riff = b"MINA" + len(page).to_bytes(4, "little") + page + b"\0" * (len(page) % 2)
    size = (int.from_bytes(webp[4:8], "little") + len(riff)).to_bytes(4, "little")
    for data in (jpeg[:2] + segment + jpeg[2:], png[:33] + chunk + png[33:], webp[:4] + size + webp[8:] + riff):
        assert page not in (await clean(data)).data


@pytest.mark.parametrize("front", [b"GIF89a/*", b"<!--", b"%PDF-1.4\n", b"\0"])
async def test_nothing_travels_before_a_picture(front: bytes):
    assert "JPEG, PNG or WebP" in await refusal(front + saved(drawn(), "JPEG"))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to no data."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_animation_is_refused(kind: str):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    assert "animated" in await refusal(saved(frames[0], kind, save_all=True, append_images=frames[1:]))


async def test_first_picture_of_a_phones_several_is_taken():
    data = saved(drawn(), "MPO", save_all=True, append_images=[Image.new("RGB", (80, 48), "green")])
    picture = await clean(data)
    assert (picture.content_type, opened(picture).format) == ("image/jpeg", "JPEG")
    assert_close(opened(picture).getpixel((10, 10)), (255, 0, 0))


# Where the red half of `drawn` is for each EXIF orientation, once the picture is upright.
UPRIGHT = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("kind", "_"), FORMATS)
async def test_picture_is_turned_upright(kind: str, _: str, orientation: int):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    picture = await clean(saved(drawn(), kind, exif=exif))
    image = opened(picture)
    assert (picture.width, picture.height) == image.size == ((80, 48) if orientation < 5 else (48, 80))
    width, height = image.size
    red = {
        "left": (5, height // 2),
        "right": (width - 5, height // 2),
        "top": (width // 2, 5),
        "bottom": (width // 2, height - 5),
    }
    assert_close(image.getpixel(red[UPRIGHT[orientation]]), (255, 0, 0))
    assert ExifTags.Base.Orientation not in image.getexif()


@pytest.mark.parametrize(("kind", "_"), FORMATS)
async def test_nothing_but_the_picture_is_left(kind: str, _: str):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = SECRET.decode()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    options = {"PNG": {"pnginfo": text}, "JPEG": {"comment": SECRET, "xmp": SECRET}, "WEBP": {"xmp": SECRET}}[kind]
    data = saved(drawn(), kind, exif=exif, icc_profile=profile, dpi=(72, 72), **options)
    assert data.count(SECRET) >= 2

    picture = await clean(data + b"<script>" + SECRET)
    assert SECRET not in picture.data
    assert b"<script>" not in picture.data
    left = opened(picture)
    assert not left.getexif()
    assert not {"exif", "icc_profile", "xmp", "comment", "Comment", "XML:com.adobe.xmp"} & set(left.info)


async def test_jpeg_loses_next_to_nothing():
    photo = Image.effect_noise((160, 120), 40).convert("RGB")
    data = saved(photo, "JPEG", quality=70, subsampling=2)
    again = opened(await clean(data))
    before = Image.open(BytesIO(data))
    assert again.quantization == before.quantization
    worst = max(abs(a - b) for a, b in zip(before.tobytes(), again.tobytes(), strict=True))
    assert worst <= 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_lossless_stays_lossless_and_see_through_stays_see_through(kind: str, mode: str):
    image = drawn(mode)
    if mode == "RGBA":
        image.putpixel((3, 3), (10, 20, 30, 128))
    cleaned = opened(await clean(saved(image, kind, **({"lossless": True} if kind == "WEBP" else {}))))
    assert cleaned.convert(mode).tobytes() == image.tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16"])
async def test_every_kind_of_png_is_read(mode: str):
    picture = await clean(saved(Image.new(mode, (5, 4)), "PNG"))
    assert (opened(picture).mode, picture.width, picture.height) == (mode, 5, 4)


async def test_transparent_colour_of_a_palette_is_kept():
    image = drawn("P")
    colour = image.getpixel((0, 0))
    cleaned = opened(await clean(saved(image, "PNG", transparency=colour))).convert("RGBA")
    assert cleaned.getpixel((0, 0))[3] == 0
    assert cleaned.getpixel((79, 0))[3] == 255


async def test_print_colours_become_screen_colours():
    image = opened(await clean(saved(drawn("CMYK"), "JPEG")))
    assert image.mode == "RGB"
    assert_close(image.getpixel((10, 10)), (255, 0, 0))


async def test_colours_of_a_profile_are_converted():
    lab_like = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The same profile with red and blue exchanged: a picture under it is red where its bytes say blue.
    tags = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ", b"rTRC": b"bTRC", b"bTRC": b"rTRC"}
    swapped = bytearray(lab_like)
    for place in range(132, 132 + 12 * struct.unpack(">I", lab_like[128:132])[0], 12):
        name = lab_like[place : place + 4]
        swapped[place : place + 4] = tags.get(name, name)
    image = opened(await clean(saved(drawn(), "PNG", icc_profile=bytes(swapped))))
    assert_close(image.getpixel((10, 10)), (0, 0, 255))


async def test_profile_that_makes_no_sense_is_left_aside():
    image = opened(await clean(saved(drawn(), "PNG", icc_profile=b"nonsense")))
    assert_close(image.getpixel((10, 10)), (255, 0, 0))


def assert_close(pixel: object, colour: tuple[int, int, int]) -> None:
    assert isinstance(pixel, tuple)
    assert max(abs(a - b) for a, b in zip(pixel[:3], colour, strict=True)) <= 12
