"""Looks into clips in a child of the sandbox: MP4 with H.264, HEVC or AV1, all of its pictures decoded."""

import os
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mina_gql.adapters.sandbox.pictures import MAX_PIXELS, Decoded
from mina_gql.domain.errors import AssetRejected

CODECS = {"h264", "hevc", "av1"}
FRAME_QUALITY = 90


def see_clip(_: bytes, path: str) -> Decoded:
    """What the clip in a file is, and its first picture as a JPEG. Raises AssetRejected."""
    with Path(path).open("rb") as file:
        try:
            _check_boxes(file)
            return _see(file)
        except (av.error.FFmpegError, ValueError) as error:
            raise AssetRejected("The clip is damaged or was cut short.") from error


def _check_boxes(file: BinaryIO) -> None:
    """The outermost boxes (ISO/IEC 14496-12) fill the file, `moov` among them: none is cut short, nothing stands behind them."""
    end, place, kinds = file.seek(0, os.SEEK_END), 0, set()
    while place < end:
        file.seek(place)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4]), head[4:8]
        if place == 0 and kind != b"ftyp":
            raise AssetRejected("This is not an MP4 clip.")
        size = {0: end - place, 1: int.from_bytes(head[8:])}.get(size, size)
        if size < 8:
            raise ValueError("a box without a size")
        kinds.add(kind)
        place += size
    if place != end or b"moov" not in kinds:
        raise ValueError("a box is cut short or missing")
    file.seek(0)


def _see(file: BinaryIO) -> Decoded:
    # The format is said, so that nothing in the file can make it a playlist that leads elsewhere.
    with av.open(file, "r", format="mp4") as clip:
        stream = _picture_track(clip)
        seconds, first = _read_through(clip, stream)
        out = BytesIO()
        first.to_image().save(out, "JPEG", quality=FRAME_QUALITY)  # type: ignore[no-untyped-call] # PyAV's stub has no type
    size = os.fstat(file.fileno()).st_size
    facts = {"content_type": "video/mp4", "width": first.width, "height": first.height, "size": size, "seconds": float(seconds)}
    return facts, out.getvalue()


def _picture_track(clip: InputContainer) -> VideoStream:
    """The one track with pictures, set to be decoded by one thread."""
    if len(clip.streams.video) != 1:
        raise AssetRejected("The clip has no picture, or several.")
    stream = clip.streams.video[0]
    if stream.codec_context.name not in CODECS and stream.codec_context.codec.canonical_name not in CODECS:
        raise AssetRejected("The clip is of a kind that browsers do not show.")
    if not 0 < stream.width * stream.height <= MAX_PIXELS:
        raise AssetRejected(f"The clip has more than {MAX_PIXELS // 1_000_000} megapixels.")
    stream.thread_type, stream.codec_context.thread_count = "NONE", 1
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def _read_through(clip: InputContainer, stream: VideoStream) -> tuple[Fraction, VideoFrame]:
    """How many seconds of pictures there really are, and the first of them. Raises ValueError where one is missing or damaged."""
    count, begin, end, first = 0, None, 0, None
    for packet in clip.demux(stream):
        for frame in packet.decode():
            first = first or frame
            if frame.is_corrupt or (frame.width, frame.height) != (first.width, first.height):
                raise ValueError("a picture is damaged")
        if packet.size == 0:
            continue  # the end of the file, where the decoder gives what it held back
        if packet.is_corrupt or packet.pts is None:
            raise ValueError("a picture is missing")
        count += 1
        begin = packet.pts if begin is None else min(begin, packet.pts)
        end = max(end, packet.pts + (packet.duration or 0))
    if first is None or begin is None or count < stream.frames or end <= begin or stream.time_base is None:
        raise ValueError("pictures are missing")
    return (end - begin) * stream.time_base, first
