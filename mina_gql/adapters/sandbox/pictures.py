"""Reads pictures in a child of the sandbox: checked, turned upright, freed of all that is not picture (DESIGN section 8)."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import (
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,  # noqa: F401 -- loaded before the first picture
    PngImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from mina_gql.domain.errors import AssetRejected

MAX_PIXELS = 50_000_000

# What a phone with several lenses writes (MPO) is a JPEG with more JPEGs behind it; the first one is the picture.
FORMATS = {"JPEG": "JPEG", "MPO": "JPEG", "PNG": "PNG", "WEBP": "WEBP"}
CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)
"""What Pillow's decoders raise at bytes that are not what they claim to be."""

Decoded = tuple[dict[str, Any], bytes]
"""What a task of the sandbox gives: facts for JSON, and bytes."""


def clean_picture(data: bytes) -> Decoded:
    """The picture in `data` written anew in its own format: upright, in sRGB, without metadata or anything behind it.

    Raises AssetRejected with a message that says what to change.
    """
    with reading(BytesIO(data)) as opened:
        return _rewrite(opened, lossless=b"VP8L" in data)


def see_still(_: bytes, path: str) -> Decoded:
    """What the picture in a file is, after decoding all of it. Raises AssetRejected."""
    with Path(path).open("rb") as file, reading(file) as opened:
        return {**_facts(CONTENT_TYPES[FORMATS[opened.format or ""]], opened), "size": os.fstat(file.fileno()).st_size}, b""


@contextmanager
def reading(file: BinaryIO) -> Iterator[Image.Image]:
    """A picture, checked and decoded. Raises AssetRejected, also for what goes wrong in the block."""
    try:
        with Image.open(file, formats=["JPEG", "PNG", "WEBP"]) as opened:
            _check(opened)
            opened.load()
            yield opened
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except UnidentifiedImageError:
        raise AssetRejected("This is not a JPEG, PNG or WebP picture. Save it as one of these and upload it again.") from None
    except BROKEN as error:
        raise AssetRejected("The picture is damaged or was cut short. Open it, save it anew and upload it again.") from error


def _check(opened: Image.Image) -> None:
    """What the header alone tells, before anything is decoded."""
    if opened.width * opened.height > MAX_PIXELS:
        raise _too_many_pixels()
    if opened.format != "MPO" and getattr(opened, "is_animated", False):
        raise AssetRejected("The picture is animated. Upload a still one.")


def _too_many_pixels() -> AssetRejected:
    return AssetRejected(f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels. Make it smaller and upload it again.")


def _rewrite(opened: Image.Image, *, lossless: bool) -> Decoded:
    kind = FORMATS[opened.format or ""]
    how = _same_quality(opened, kind, lossless=lossless)
    image = _in_srgb(ImageOps.exif_transpose(opened))
    if kind == "JPEG" and image.mode not in {"L", "RGB"}:
        image = image.convert("RGB")
    # The encoders would write what else the file said of itself; of that only a transparent colour is picture.
    image.info = {name: value for name, value in image.info.items() if name == "transparency"}
    out = BytesIO()
    image.save(out, kind, **how)
    return _facts(CONTENT_TYPES[kind], image), out.getvalue()


def _facts(content_type: str, image: Image.Image) -> dict[str, Any]:
    return {"content_type": content_type, "width": image.width, "height": image.height}


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
