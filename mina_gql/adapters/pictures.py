"""Reads pictures from people: checked, turned upright, freed of all that is not picture (DESIGN section 8)."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms, ImageOps, JpegImagePlugin, UnidentifiedImageError

from mina_gql.domain.assets import MAX_UPLOAD_BYTES
from mina_gql.domain.errors import AssetRejected
from mina_gql.domain.ports import Picture

MAX_PIXELS = 50_000_000
AT_ONCE = 2
"""So many pictures are decoded at a time: a hundred bytes may unfold into `MAX_PIXELS` and a gigabyte of memory."""

# What a phone with several lenses writes (MPO) is a JPEG with more JPEGs behind it; the first one is the picture.
_FORMATS = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WEBP"}
_CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, MemoryError, struct.error)
"""What Pillow's decoders raise at bytes that are not what they claim to be."""

Run = Callable[[Callable[[bytes], Picture], bytes], Awaitable[Picture]]
"""Runs a plain function away from the event loop."""


class PillowPictureReader:
    """Implements `domain.ports.PictureReader`. `run` says where pictures are decoded: threads of its own unless told otherwise.

    `clean_picture` and what it takes, gives and raises can be pickled, so a pool of processes will do as well.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run or _few_at_once()

    async def clean(self, data: bytes) -> Picture:
        return await self._run(clean_picture, data)

    def measure(self, data: bytes) -> Picture:
        try:
            with Image.open(BytesIO(data), formats=["JPEG", "PNG", "WEBP"]) as opened:
                return Picture(data, _CONTENT_TYPES[_FORMATS[opened.format or ""]], opened.width, opened.height)
        except (UnidentifiedImageError, *_BROKEN) as error:
            raise AssetRejected("The stored picture cannot be read.") from error


def _few_at_once() -> Run:
    """Threads apart from everybody's: pictures that wait keep no file from being served, and one given up still counts."""
    threads = ThreadPoolExecutor(AT_ONCE, "pictures")

    async def run(function: Callable[[bytes], Picture], data: bytes) -> Picture:
        return await asyncio.get_running_loop().run_in_executor(threads, function, data)

    return run


def clean_picture(data: bytes) -> Picture:
    """The picture in `data` written anew in its own format: upright, in sRGB, without metadata or anything behind it.

    Raises AssetRejected with a message that says what to change.
    """
    if len(data) > MAX_UPLOAD_BYTES:
        raise AssetRejected("The picture has more than 25 MB. Make it smaller and upload it again.")
    try:
        with Image.open(BytesIO(data), formats=["JPEG", "PNG", "WEBP"]) as opened:
            _check(opened)
            opened.load()
            return _rewrite(opened, lossless=b"VP8L" in data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except UnidentifiedImageError:
        raise AssetRejected("This is not a JPEG, PNG or WebP picture. Save it as one of these and upload it again.") from None
    except _BROKEN as error:
        raise AssetRejected("The picture is damaged or was cut short. Open it, save it anew and upload it again.") from error


def _check(opened: Image.Image) -> None:
    """What the header alone tells, before anything is decoded."""
    if opened.width * opened.height > MAX_PIXELS:
        raise _too_many_pixels()
    if opened.format != "MPO" and getattr(opened, "is_animated", False):
        raise AssetRejected("The picture is animated. Upload a still one.")


def _too_many_pixels() -> AssetRejected:
    return AssetRejected(f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels. Make it smaller and upload it again.")


def _rewrite(opened: Image.Image, *, lossless: bool) -> Picture:
    kind = _FORMATS[opened.format or ""]
    how = _same_quality(opened, kind, lossless=lossless)
    image = _in_srgb(ImageOps.exif_transpose(opened))
    if kind == "JPEG" and image.mode not in {"L", "RGB"}:
        image = image.convert("RGB")
    # The encoders would write what else the file said of itself; of that only a transparent colour is picture.
    image.info = {name: value for name, value in image.info.items() if name == "transparency"}
    out = BytesIO()
    image.save(out, kind, **how)
    return Picture(out.getvalue(), _CONTENT_TYPES[kind], image.width, image.height)


def _same_quality(opened: Image.Image, kind: str, *, lossless: bool) -> dict[str, Any]:
    """The encoder's options that lose least: a JPEG keeps its own tables, so writing it anew costs it next to nothing.

    `lossless` is about WebP, which is either.
    """
    if kind == "PNG":
        return {}
    if kind == "WEBP":
        return {"lossless": True, "quality": 50} if lossless else {"quality": 95}
    if isinstance(opened, JpegImagePlugin.JpegImageFile) and opened.mode in {"L", "RGB"}:
        return {"qtables": opened.quantization, "subsampling": JpegImagePlugin.get_sampling(opened)}
    return {"quality": 95}


def _in_srgb(image: Image.Image) -> Image.Image:
    """Colours as a browser shows them without a profile; a profile that makes no sense is left aside."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "RGBA", "CMYK"}:
        return image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image
