"""Promises about what a model made: it is decoded before anybody sees it, and what is cut short is no output (FEATURES E11)."""

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from mina_gql.adapters.media import SandboxedInspector
from mina_gql.adapters.sandbox import clips
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.errors import AssetRejected
from mina_gql.domain.pipeline import GenerationKind
from mina_gql.domain.ports import MediaFacts

SIZE = (160, 96)


@pytest.fixture(scope="module")
async def inspector() -> AsyncIterator[SandboxedInspector]:
    sandbox = Sandbox()
    yield SandboxedInspector(sandbox)
    await sandbox.close()


@pytest.fixture
def look(inspector, tmp_path):
    """Inspect bytes."""

    async def inspect(data: bytes, kind: GenerationKind) -> MediaFacts:
        path = tmp_path / "output"
        path.write_bytes(data)
        return await inspector.inspect(path, kind)

    return inspect


def clip(codec: str = "libx264", count: int = 24, kind: str = "mp4", size: tuple[int, int] = SIZE, **options: str) -> bytes:
    """A clip of noise, 24 pictures a second, whose first picture is red on its left half; the others blue."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip")
        if codec == "libsvtav1":
            # Apart from us: where we are root, this encoder gives the thread that calls it real-time priority, for good.
            code = f"from tests.adapters.test_media_inspector import write; write({str(path)!r}, {codec!r}, {count}, {kind!r}, {size}, {options})"
            subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
        else:
            write(str(path), codec, count, kind, size, options)
        return path.read_bytes()


def write(path: str, codec: str, count: int, kind: str, size: tuple[int, int], options: dict[str, str]) -> None:
    with av.open(path, "w", format=kind, options=options) as made:
        stream = made.add_stream(codec, rate=24, options={"preset": "ultrafast"} if "x26" in codec else {})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for n in range(count):
            image = Image.effect_noise(size, 80).convert("RGB")
            image.paste("blue" if n else "red", (0, 0, size[0] // 2, size[1]))
            made.mux(stream.encode(av.VideoFrame.from_image(image)))
        made.mux(stream.encode())


@pytest.fixture(scope="module")
def h264() -> bytes:
    return clip()


@pytest.fixture(scope="module")
def streaming() -> bytes:
    """With its table of contents in front, as vendors write it."""
    return clip(movflags="faststart")


def still(kind: str, size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    out = BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, kind, **options)
    return out.getvalue()


# ---------------------------------------------------------------- stills


@pytest.mark.parametrize(("kind", "content_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
async def test_a_still_is_told_by_its_bytes(look, kind, content_type):
    data = still(kind)
    assert await look(data, GenerationKind.STILL) == MediaFacts(content_type, *SIZE, len(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("left", [0.02, 0.5, 0.97])
async def test_a_still_that_is_cut_short_is_no_still(look, kind, left):
    data = still(kind)
    with pytest.raises(AssetRejected):
        await look(data[: int(len(data) * left)], GenerationKind.STILL)


@pytest.mark.parametrize("data", [b"", b"<html></html>", b'{"error": "no"}', still("GIF"), still("TIFF")])
async def test_anything_but_jpeg_png_webp_is_no_still(look, data):
    with pytest.raises(AssetRejected):
        await look(data, GenerationKind.STILL)


async def test_a_still_with_too_many_pixels_is_refused(look):
    with pytest.raises(AssetRejected, match="50 megapixels"):
        data, size = still("JPEG"), SIZE[1].to_bytes(2) + SIZE[0].to_bytes(2)
        assert data.count(size) == 1
        await look(data.replace(size, b"\xff\xff\xff\xff"), GenerationKind.STILL)


async def test_a_clip_is_no_still_and_a_still_no_clip(look, h264):
    with pytest.raises(AssetRejected):
        await look(h264, GenerationKind.STILL)
    with pytest.raises(AssetRejected, match="not an MP4"):
        await look(still("PNG"), GenerationKind.VIDEO)


# ---------------------------------------------------------------- clips


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
async def test_a_clip_is_told_by_decoding_it(look, codec):
    data = clip(codec)
    facts = await look(data, GenerationKind.VIDEO)
    assert (facts.content_type, facts.width, facts.height, facts.size) == ("video/mp4", *SIZE, len(data))
    assert facts.seconds == pytest.approx(1.0)


async def test_its_first_picture_comes_along_as_a_jpeg(look, h264):
    frame = (await look(h264, GenerationKind.VIDEO)).frame
    assert frame is not None
    assert (frame.content_type, frame.width, frame.height) == ("image/jpeg", *SIZE)
    image = Image.open(BytesIO(frame.data))
    assert image.format == "JPEG"
    red, green, blue = image.getpixel((20, 48))
    assert red > 180
    assert max(green, blue) < 70


async def test_seconds_are_counted_not_believed(look, streaming):
    """The headers say another duration than the pictures have."""
    data, place = bytearray(streaming), streaming.index(b"mvhd")
    data[place + 20 : place + 24] = (3_600_000).to_bytes(4)
    assert (await look(bytes(data), GenerationKind.VIDEO)).seconds == pytest.approx(1.0)


@pytest.mark.parametrize("count", [1, 2, 73])
async def test_short_and_odd_lengths(look, count):
    assert (await look(clip(count=count), GenerationKind.VIDEO)).seconds == pytest.approx(count / 24, abs=0.05)


async def test_a_fragmented_clip_is_a_clip(look):
    assert (await look(clip(movflags="frag_keyframe+empty_moov"), GenerationKind.VIDEO)).seconds == pytest.approx(1.0)


@pytest.mark.parametrize("left", [0.001, 0.1, 0.5, 0.9, 0.98, 0.999])
@pytest.mark.parametrize("made", ["h264", "streaming"])
async def test_a_clip_that_is_cut_short_is_no_clip(look, request, made, left):
    data = request.getfixturevalue(made)
    with pytest.raises(AssetRejected):
        await look(data[: int(len(data) * left)], GenerationKind.VIDEO)


async def test_a_clip_whose_pictures_were_lost_on_the_way_is_no_clip(look, streaming):
    """As long as it should be, with nothing in the second half."""
    place = streaming.index(b"mdat") + 4
    middle = (place + len(streaming)) // 2
    with pytest.raises(AssetRejected):
        await look(streaming[:middle] + bytes(len(streaming) - middle), GenerationKind.VIDEO)


async def test_a_clip_without_its_table_of_contents_is_no_clip(look, streaming):
    with pytest.raises(AssetRejected):
        await look(streaming.replace(b"moov", b"free"), GenerationKind.VIDEO)


async def test_nothing_stands_behind_a_clip(look, h264):
    with pytest.raises(AssetRejected):
        await look(h264 + b"<script>alert(1)</script>", GenerationKind.VIDEO)


@pytest.mark.parametrize(
    ("codec", "kind"),
    [("mpeg4", "mp4"), ("libvpx-vp9", "mp4"), ("libx264", "matroska"), ("libx264", "mpegts"), ("libx264", "avi")],
)
async def test_other_kinds_of_clip_are_refused(look, codec, kind):
    with pytest.raises(AssetRejected):
        await look(clip(codec, count=3, kind=kind), GenerationKind.VIDEO)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/inner.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<html></html>",
        bytes(64),
    ],
    ids=["empty", "playlist", "concat", "page", "zeros"],
)
async def test_what_leads_elsewhere_is_no_clip(look, data):
    with pytest.raises(AssetRejected):
        await look(data, GenerationKind.VIDEO)


async def test_sound_alone_is_no_clip(look):
    out = BytesIO()
    with av.open(out, "w", format="mp4") as made:
        stream = made.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.planes[0].update(bytes(4096))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        made.mux(stream.encode(frame))
        made.mux(stream.encode())
    with pytest.raises(AssetRejected, match="no picture"):
        await look(out.getvalue(), GenerationKind.VIDEO)


def test_a_clip_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch, h264):
    path = tmp_path / "clip.mp4"
    path.write_bytes(h264)
    monkeypatch.setattr(clips, "MAX_PIXELS", SIZE[0] * SIZE[1] - 1)
    monkeypatch.setattr(clips, "_read_through", lambda *_: pytest.fail("decoded"))
    with pytest.raises(AssetRejected, match="megapixels"):
        clips.see_clip(b"", str(path))


async def test_a_file_that_is_not_there_is_no_fault_of_the_model(inspector, tmp_path):
    with pytest.raises(Exception, match="FileNotFoundError"):
        await inspector.inspect(tmp_path / "nothing", GenerationKind.VIDEO)
