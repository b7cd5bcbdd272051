"""The offline clip: a true MP4 of the still that moves as the prompt says, decoded and played (FEATURES L4, L6)."""

import asyncio
import http.server
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat
from playwright.async_api import Page, async_playwright

from mina_gql.adapters.ai.offline import OfflineClip, OfflineVendor, camera, easel, lettering
from mina_gql.domain.config import role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.errors import GenerationFailed, LeaseLost
from mina_gql.domain.pipeline import RATIOS
from mina_gql.domain.ports import Accepted, Media, MediaRequest, Picture

RED, BLUE, PAPER = (200, 40, 30), (30, 80, 210), (240, 236, 228)
COARSE = {"durationSec": 5, "fps": 12}
CHROMIUM = shutil.which("chromium")  # the system's where there is one, else the one playwright installed
OFFERS = st.sampled_from(
    ["push in", "pan left", "orbit", "handheld", "tilt up", "parallax", "still camera", "faster", "slower", "no", "too fast"]
)


def png(image: Image.Image) -> Picture:
    file = BytesIO()
    image.save(file, "PNG")
    return Picture(file.getvalue(), "image/png", *image.size)


def plain(colour: tuple[int, int, int]) -> Picture:
    return png(Image.new("RGB", (600, 600), colour))


def boxed(size: tuple[int, int] = (800, 800)) -> Picture:
    """A blue box, a fifth of the width, in the middle of paper."""
    image = Image.new("RGB", size, PAPER)
    across = size[0] // 10
    x, y = size[0] // 2, size[1] // 2
    ImageDraw.Draw(image).rectangle((x - across, y - across, x + across - 1, y + across - 1), fill=BLUE)
    return png(image)


@dataclass
class Filmed:
    """A clip as its model left it, decoded: three frames of it, and what it told."""

    media: Media
    codec: str
    pixels: str
    fps: float
    seconds: float
    size: tuple[int, int]
    count: int
    frames: list[Image.Image]
    comment: str


async def accept(_: str) -> None:
    """Any id is kept."""


async def film(
    into: Path, prompt: str = "push in", ratio: str = "1:1", *, settings: dict[str, Any] | None = None, **pictures: Picture
) -> Media:
    request = MediaRequest("g1", prompt, ratio, COARSE if settings is None else settings, pictures or {"start": boxed()})
    return await OfflineClip().generate(request, into, prediction_id=None, accepted=accept)


async def filmed(into: Path, *args: Any, **kwargs: Any) -> Filmed:
    media = await film(into, *args, **kwargs)
    with av.open(into) as file:
        stream = file.streams.video[0]
        frames = [frame.to_image() for frame in file.decode(stream)]
        return Filmed(
            media,
            stream.codec_context.name,
            str(stream.codec_context.pix_fmt),
            float(stream.average_rate or 0),
            float(stream.duration * stream.time_base),
            frames[0].size,
            len(frames),
            [frames[0], frames[len(frames) // 2], frames[-1]],
            file.metadata["comment"],
        )


def apart(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures are apart, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def box_of(image: Image.Image) -> tuple[int, int, int, int]:
    """Where the blue box stands."""
    red, _, blue = image.split()
    found = ImageChops.subtract(blue, red).point([0] * 60 + [255] * 196).getbbox()
    assert found is not None
    return found


def mean(image: Image.Image) -> tuple[int, ...]:
    middle = image.crop((image.width // 4, image.height // 4, 3 * image.width // 4, 3 * image.height // 4))
    return tuple(round(value) for value in ImageStat.Stat(middle).mean)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the size tells nothing, a third of it is filmed in a tenth of the time."""
    monkeypatch.setattr("mina_gql.adapters.ai.offline.clip.LONG_SIDE", 320)


@pytest.mark.parametrize("ratio", RATIOS)
async def test_every_ratio_gives_an_exact_h264_clip_that_every_player_takes(tmp_path: Path, ratio: str) -> None:
    """L4: the still's ratio, h264 with yuv420p, even sides of at most 1024, five seconds that move."""
    clip = await filmed(tmp_path / "clip", ratio=ratio)
    across, down = (int(part) for part in ratio.split(":"))
    assert (clip.codec, clip.pixels) == ("h264", "yuv420p")
    assert clip.size[0] * down == clip.size[1] * across
    assert max(clip.size) <= 1024
    assert [side % 2 for side in clip.size] == [0, 0]
    assert (clip.seconds, clip.fps, clip.count) == (5.0, 12.0, 60)
    first, middle, last = clip.frames
    assert min(apart(first, middle), apart(middle, last), apart(first, last)) > 0.5


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("settings", "length"),
    [
        ({}, (5.0, 24.0, 120)),
        ({"durationSec": 10, "mode": "pro"}, (10.0, 24.0, 240)),
        ({"durationSec": 5, "fps": 30}, (5.0, 30.0, 150)),
        ({"durationSec": 7, "fps": 900}, (5.0, 24.0, 120)),
    ],
)
async def test_length_and_frame_rate_follow_the_settings(
    tmp_path: Path, settings: dict[str, Any], length: tuple[float, ...]
) -> None:
    clip = await filmed(tmp_path / "clip", ratio="9:16", settings=settings)
    assert (clip.seconds, clip.fps, clip.count) == length
    assert (clip.media.response["seconds"], clip.media.response["fps"]) == length[:2]


@pytest.mark.usefixtures("small")
async def test_a_player_may_begin_before_the_file_has_come(tmp_path: Path) -> None:
    """`faststart`: the index stands before the pictures, and the file says that it is an MP4."""
    await film(tmp_path / "clip", ratio="16:9")
    data, boxes, place = (tmp_path / "clip").read_bytes(), [], 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4])
        boxes.append(data[place + 4 : place + 8].decode())
        place += size
    assert place == len(data)
    assert boxes[0] == "ftyp"
    assert boxes.index("moov") < boxes.index("mdat")


@pytest.mark.usefixtures("small")
async def test_the_same_request_gives_the_same_bytes_also_when_resumed(tmp_path: Path) -> None:
    request = MediaRequest("g1", "handheld", "16:9", COARSE, {"start": boxed()})
    for name, generation, prediction in (("first", "g1", None), ("again", "g1", "offline-1"), ("other", "g2", None)):
        asked = MediaRequest(generation, request.prompt, request.ratio, request.settings, request.pictures)
        await OfflineClip().generate(asked, tmp_path / name, prediction_id=prediction, accepted=accept)
    first, again, other = ((tmp_path / name).read_bytes() for name in ("first", "again", "other"))
    assert first == again
    assert first != other


@pytest.mark.usefixtures("small")
async def test_a_push_in_comes_closer_and_a_pull_out_goes_away(tmp_path: Path) -> None:
    def width(image: Image.Image) -> int:
        left, _, right, _ = box_of(image)
        return right - left

    closer = [width(image) for image in (await filmed(tmp_path / "in", "Slow push-in.")).frames]
    away = [width(image) for image in (await filmed(tmp_path / "out", "Pull out slowly.")).frames]
    assert closer[2] > 1.1 * closer[0]
    assert sorted(closer) == closer
    assert away[0] > 1.1 * away[2]


@pytest.mark.usefixtures("small")
async def test_a_pan_to_the_left_lets_the_picture_go_right(tmp_path: Path) -> None:
    left = [box_of(image)[0] for image in (await filmed(tmp_path / "left", "pan to the left")).frames]
    right = [box_of(image)[0] for image in (await filmed(tmp_path / "right", "pan slowly to the right")).frames]
    assert left[0] + 12 < left[1] < left[2] - 12
    assert right[0] - 12 > right[1] > right[2] + 12


async def test_a_still_camera_hardly_moves(tmp_path: Path) -> None:
    still = [box_of(image) for image in (await filmed(tmp_path / "clip", "Locked camera that holds still.")).frames]
    assert still[0] != still[2]
    assert max(abs(here - there) for here, there in zip(still[0], still[2], strict=True)) <= 4


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000)])
async def test_any_picture_can_be_begun_with(tmp_path: Path, size: tuple[int, int]) -> None:
    assert (await filmed(tmp_path / "clip", ratio="9:16", start=png(Image.new("RGBA", size, (*RED, 128))))).size == (540, 960)


@pytest.mark.usefixtures("small")
async def test_an_end_still_is_reached_and_stands(tmp_path: Path) -> None:
    """L3: start and end frame: the clip begins as the one, ends as the other, whole and in its place."""
    clip = await filmed(tmp_path / "clip", "push in", start=plain(RED), end=boxed())
    first, _, last = clip.frames
    assert max(abs(here - there) for here, there in zip(mean(first), RED, strict=True)) < 10
    left, top, right, bottom = box_of(last)
    side = clip.size[0]
    assert (left / side, top / side, right / side, bottom / side) == pytest.approx((0.4, 0.4, 0.6, 0.6), abs=0.01)
    assert last.getpixel((side // 2, side // 2)) == pytest.approx(BLUE, abs=10)
    assert last.getpixel((side // 8, side // 8)) == pytest.approx(PAPER, abs=10)


async def test_it_is_labelled_as_offline_on_every_frame_and_in_the_file(tmp_path: Path) -> None:
    clip = await filmed(tmp_path / "clip", start=plain(PAPER))
    assert clip.media.response["label"] == clip.comment == "offline preview"
    box = lettering.label_box(clip.size)
    for image in clip.frames:
        grey = image.convert("L")
        above = (box[0], box[1] - 60, box[2], box[1] - 20)
        assert ImageStat.Stat(grey.crop(box)).stddev[0] > 10 > ImageStat.Stat(grey.crop(above)).stddev[0]


@pytest.mark.usefixtures("small")
async def test_request_and_response_are_kept_as_facts_without_pictures_or_urls(tmp_path: Path) -> None:
    request = MediaRequest("g1", "orbit", "16:9", COARSE, {"start": boxed()}, {"start": "https://tmp.test/x"})
    media = await OfflineClip().generate(request, tmp_path / "clip", prediction_id=None, accepted=accept)
    assert media.request == {"prompt": "orbit", "ratio": "16:9", "settings": COARSE, "pictures": ["start"]}
    assert media.response["movement"] == "orbit"
    assert "tmp.test" not in str(media)


async def test_the_id_is_told_before_anything_is_filmed_and_one_that_cannot_be_kept_stops_it(tmp_path: Path) -> None:
    told: list[str] = []

    async def lost(prediction_id: str) -> None:
        told.append(prediction_id)
        raise LeaseLost

    request = MediaRequest("g1", "orbit", "16:9", COARSE, {"start": boxed()})
    lost_: Accepted = lost
    for _ in range(2):
        with pytest.raises(LeaseLost):
            await OfflineClip().generate(request, tmp_path / "clip", prediction_id=None, accepted=lost_)
    assert told[0] == told[1]
    assert told[0].startswith("offline-")
    assert not (tmp_path / "clip").exists()


@pytest.mark.usefixtures("small")
async def test_what_cannot_be_filmed_fails_with_its_code(tmp_path: Path) -> None:
    async def code(ratio: str = "1:1", **pictures: Picture) -> str:
        request = MediaRequest("g1", "orbit", ratio, COARSE, pictures)
        with pytest.raises(GenerationFailed) as failed:
            await OfflineClip().generate(request, tmp_path / "clip", prediction_id=None, accepted=accept)
        return failed.value.code

    assert await code("1:9", start=boxed()) == "PROVIDER_ERROR"
    assert await code(end=boxed()) == "PROVIDER_ERROR"
    assert await code(start=Picture(b"no picture", "image/png", 1, 1)) == "ASSET_UNREADABLE"


async def test_a_cancelled_painting_stops_before_the_cancellation_is_over() -> None:
    """Whoever cancels may remove the file at once: nobody writes to it any more."""
    started, ended = threading.Event(), threading.Event()

    def work(stopped: easel.Stopped) -> Media:
        started.set()
        stopped.wait(60)
        ended.set()
        return Media({}, {})

    painting = asyncio.ensure_future(easel.Easels().paint(work))
    await asyncio.to_thread(started.wait, 60)
    painting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await painting
    assert ended.is_set()


async def test_a_stopped_clip_is_filmed_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, stopped = [], easel.Stopped()
    seen = camera.View.corners

    def counting(view: camera.View, size: tuple[int, int]) -> tuple[float, ...]:
        frames.append(view)
        if len(frames) == 3:
            stopped.set()
        return seen(view, size)

    monkeypatch.setattr(camera.View, "corners", counting)
    monkeypatch.setattr(easel, "Stopped", lambda: stopped)
    await film(tmp_path / "clip", ratio="16:9")
    assert len(frames) == 3


def test_the_offline_vendor_makes_clips() -> None:
    registry = SEED["mma.provider.registry"]
    assert isinstance(OfflineVendor().media(role_of(registry, "video")), OfflineClip)


# ---------------------------------------------------------------- the camera


@pytest.mark.parametrize(
    ("prompt", "movement"),
    [
        ("Slow cinematic camera push-in. Gentle parallax.", "push_in"),
        ("Zoom out, then orbit.", "pull_out"),
        ("The camera orbits the bottle.", "orbit"),
        ("pan gently to the left", "pan_left"),
        ("camera pan to the right", "pan_right"),
        ("tilt slowly up", "tilt_up"),
        ("camera tilt downwards", "tilt_down"),
        ("hand-held look", "handheld"),
        ("Gentle parallax.", "parallax"),
        ("Keep the camera perfectly still.", "still"),
        ("no camera movement, please", "still"),
        ("no zoom in, but a parallax", "parallax"),
        ("Orbit. Change: pan left. Change: push in; in the person's words, “too fast. Push in”. Avoid: handheld.", "push_in"),
        ("Animate the still as it is (a ring that circles a still camera). Pull back.", "pull_out"),
        ("Avoid: orbit. Avoid: handheld.", "push_in"),
        ("Orbit, with parallax. Avoid: orbit.", "parallax"),
        ("Avoid: push in.", "still"),
        ("日本の静物 ☕", "push_in"),
        ("", "push_in"),
    ],
)
def test_the_camera_does_what_the_words_say(prompt: str, movement: str) -> None:
    assert camera.read(prompt).name == movement


def test_words_of_pace_change_how_far_it_goes() -> None:
    slow, usual, fast = (camera.read(f"{word} push in").pace for word in ("slow", "", "fast"))
    assert slow < usual == 1 < fast
    assert camera.read("push in. Change: slower; in the person's words, “too fast”.").pace < usual
    assert camera.read("push in. Change: slower. Change: slower.").pace < camera.read("push in. Change: slower.").pace


@given(
    words=st.lists(OFFERS, max_size=8),
    moment=st.floats(0, 1),
    phase=st.floats(0, 1),
    size=st.tuples(st.integers(20, 1200), st.integers(20, 1200)),
)
def test_the_camera_never_looks_past_the_picture(words: list[str], moment: float, phase: float, size: tuple[int, int]) -> None:
    movement = camera.read(". ".join(words), phase)
    for view in (movement.view(moment), movement.view(moment).towards(camera.View(), moment)):
        corners = view.corners(size)
        assert all(0 <= x <= size[0] for x in corners[::2])
        assert all(0 <= y <= size[1] for y in corners[1::2])
        across = min(corners[4] - corners[2], corners[6] - corners[0])
        assert across > 0.5 * size[0]


def test_every_movement_moves_from_frame_to_frame_without_a_jump() -> None:
    for name in camera._VIEWS:
        movement = camera.Movement(name, 1.0, 0.3)
        path = [movement.view(number / 119).corners((960, 960)) for number in range(120)]
        steps = [max(abs(a - b) for a, b in zip(here, there, strict=True)) for here, there in pairwise(path)]
        assert max(steps) < 6, name
        assert max(abs(a - b) for a, b in zip(path[0], path[60], strict=True)) > 1, name


# ---------------------------------------------------------------- in a browser


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a free port of 127.0.0.1."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield await browser.new_page()
        await browser.close()


@pytest.mark.browser
async def test_it_plays_in_a_browser(tmp_path: Path, page: Page) -> None:
    """L6: what the archive shows in `<video>` has its length and size, and moves."""
    await film(tmp_path / "clip.mp4", "orbit", "3:4")
    (tmp_path / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><video src="clip.mp4" muted preload="metadata"></video>'
    )
    with served(tmp_path) as origin:
        await page.goto(origin)
        told = await page.evaluate(
            """async () => {
              const video = document.querySelector("video")
              const faults = []
              video.onerror = () => faults.push(video.error.message)
              const moved = new Promise((done, failed) => {
                video.ontimeupdate = () => video.currentTime > 0.2 && done(video.currentTime)
                setTimeout(() => failed(video.error?.message ?? "it stands still"), 30000)
              })
              if (video.readyState < 1) await new Promise(done => video.onloadedmetadata = done)
              const facts = { duration: video.duration, width: video.videoWidth, height: video.videoHeight }
              await video.play()
              return { ...facts, moved: await moved, faults }
            }"""
        )
    assert told["faults"] == []
    assert told["duration"] == pytest.approx(5, abs=0.05)
    assert (told["width"], told["height"]) == (720, 960)
    assert 0.2 < told["moved"] <= 5
