"""The offline clip: a camera that moves over the start still as the prompt says, and fades to the end still if there is one."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image, ImageOps

from mina_gql.adapters.ai.offline import camera, cutout, easel, lettering
from mina_gql.adapters.ai.offline.camera import Movement, View
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.ports import Accepted, JsonObject, Media, MediaRequest, Picture

LONG_SIDE = 960
"""In pixels: every ratio of the studio comes out exact and even."""
SECONDS = (5, 10)
FPS = 24
_MARGIN = 1.15
"""How much larger than the frame the picture is kept, so that a closer look stays sharp."""
_FADE = (0.4, 0.9)
"""When the end still begins to show, and stands alone, as shares of the clip."""
_BT709 = 1
"""`AVCOL_PRI_BT709`, and the same for transfer and matrix (ITU-T H.273)."""


class OfflineClip:
    """A `MediaModel` that films with Pillow and PyAV. No account, no network, nothing to pay, and it says so on the picture."""

    name = "offline"
    model = "offline-clip-1"

    def __init__(self, easels: easel.Easels | None = None) -> None:
        self._easels = easels or easel.Easels()

    async def generate(self, request: MediaRequest, into: Path, *, prediction_id: str | None, accepted: Accepted) -> Media:
        """Film an MP4 of `durationSec` 5 or 10 at `fps`; the same request gives the same bytes, so a resumed run films again.

        Raises GenerationFailed: ASSET_UNREADABLE for a start or end picture that is none, PROVIDER_ERROR for an unknown
        ratio or without a start.
        """
        size = easel.frame(request.ratio, LONG_SIDE)
        if "start" not in request.pictures:
            raise GenerationFailed(
                "PROVIDER_ERROR", "A clip needs a still to begin with.", detail="no start picture", retryable=False
            )
        await easel.announce(request, prediction_id, accepted)
        return await self._easels.paint(partial(_filmed, request, into, (size[0] & ~1, size[1] & ~1)))

    async def cancel(self, prediction_id: str) -> None:
        """Nothing runs elsewhere, so there is nothing to stop."""


def _filmed(request: MediaRequest, into: Path, size: tuple[int, int], stopped: easel.Stopped) -> Media:
    seconds, fps = _length(request.settings)
    movement = camera.read(request.prompt, easel.dice(request.generation, request.prompt).random())
    start = _covering(request.pictures["start"], size)
    end = _covering(request.pictures["end"], size) if "end" in request.pictures else None
    with av.open(into, "w", format="mp4", options={"movflags": "+faststart"}) as file:
        file.metadata["comment"] = lettering.LABEL
        stream = file.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "20"})
        _set_up(stream.codec_context, size, fps)
        for number, image in enumerate(_frames(seconds * fps, size, movement, start, end)):
            if stopped.is_set():
                break
            frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]  # PyAV's stub does not say: a Pillow image
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    told: JsonObject = {"movement": movement.name, "pace": round(movement.pace, 3), "seconds": seconds, "fps": fps}
    return easel.media(request, told)


def _length(settings: JsonObject) -> tuple[int, int]:
    """Seconds and frames a second; what a model of the registry allows otherwise falls back to ours."""
    seconds, fps = settings.get("durationSec"), settings.get("fps")
    return (
        seconds if seconds in SECONDS else SECONDS[0],
        fps if isinstance(fps, int) and 12 <= fps <= 60 else FPS,
    )


def _set_up(codec: VideoCodecContext, size: tuple[int, int], fps: int) -> None:
    codec.width, codec.height = size
    codec.pix_fmt = "yuv420p"
    codec.gop_size = 2 * fps
    codec.thread_count = 1  # one core a clip, and the same bytes on every machine
    codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
    codec.color_range = ColorRange.MPEG


def _covering(picture: Picture, size: tuple[int, int]) -> Image.Image:
    """The picture, cropped to the frame's ratio, a little larger than the frame."""
    larger = round(size[0] * _MARGIN), round(size[1] * _MARGIN)
    return ImageOps.fit(cutout.flattened(cutout.opened(picture)), larger, Image.Resampling.LANCZOS)


def _frames(
    count: int, size: tuple[int, int], movement: Movement, start: Image.Image, end: Image.Image | None
) -> Iterator[Image.Image]:
    """One frame after the other; none is kept."""
    badge, place = lettering.badge(size), lettering.label_box(size)[:2]
    for number in range(count):
        moment = number / (count - 1)
        view = movement.view(moment)
        share = 0.0 if end is None else camera.smooth((moment - _FADE[0]) / (_FADE[1] - _FADE[0]))
        if end is None or share == 0:
            image = _seen(start, view, size)
        else:
            rest = _seen(end, view.towards(View(), camera.smooth(moment / _FADE[1])), size)
            image = rest if share == 1 else Image.blend(_seen(start, view, size), rest, share)
        image.paste(badge, place, badge)
        yield image


def _seen(picture: Image.Image, view: View, size: tuple[int, int]) -> Image.Image:
    return picture.transform(size, Image.Transform.QUAD, view.corners(picture.size), Image.Resampling.BILINEAR)
