"""Reads pictures from people: the sandbox decodes and rewrites them, so what is in them can do no harm here."""

from io import BytesIO

from PIL import Image, UnidentifiedImageError

from mina_gql.adapters.sandbox.pictures import BROKEN, CONTENT_TYPES, FORMATS, clean_picture
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.assets import MAX_UPLOAD_BYTES
from mina_gql.domain.errors import AssetRejected
from mina_gql.domain.ports import Picture


class PillowPictureReader:
    """Implements `domain.ports.PictureReader`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def clean(self, data: bytes) -> Picture:
        if len(data) > MAX_UPLOAD_BYTES:
            raise AssetRejected("The picture has more than 25 MB. Make it smaller and upload it again.")
        facts, cleaned = await self._sandbox.run(clean_picture, data)
        return Picture(cleaned, **facts)

    def measure(self, data: bytes) -> Picture:
        try:
            with Image.open(BytesIO(data), formats=["JPEG", "PNG", "WEBP"]) as opened:
                return Picture(data, CONTENT_TYPES[FORMATS[opened.format or ""]], opened.width, opened.height)
        except (UnidentifiedImageError, *BROKEN) as error:
            raise AssetRejected("The stored picture cannot be read.") from error
