"""The store: keys and addresses over a bucket's objects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote

from mina_gql.adapters.storage_r2.checkup import checkup
from mina_gql.adapters.storage_r2.objects import Bucket, Objects
from mina_gql.adapters.upload_tickets import UploadTickets
from mina_gql.domain.assets import (
    OUTPUTS,
    STAGING,
    UPLOAD_SECONDS,
    UPLOADS,
    check_type,
    content_type_of,
    is_tag,
)
from mina_gql.domain.errors import AssetRejected
from mina_gql.domain.ports import SignedUpload, StorageError


class R2Store:
    """Implements `domain.ports.ObjectStore`, `api.downloads.Downloads` and `api.uploads.UploadReceiver`.

    `app_url` is where clients reach us; `secret` signs addresses of uploads that come to us first.
    """

    def __init__(self, objects: Objects, bucket: Bucket, app_url: str, secret: bytes) -> None:
        self._objects = objects
        self._bucket = bucket
        self._public = f"{bucket.public_url}/"
        self._app = f"{app_url}/downloads/"
        self._tickets = UploadTickets(app_url, secret)

    @classmethod
    @asynccontextmanager
    async def opened(cls, bucket: Bucket, app_url: str, secret: bytes) -> AsyncIterator[Self]:
        """The store, with connections that are kept for as long as the block runs; asks for nothing yet."""
        async with Objects.opened(bucket) as objects:
            yield cls(objects, bucket, app_url, secret)

    # ------------------------------------------------------------ uploads

    async def sign_upload(self, key: str, content_type: str, size: int | None) -> SignedUpload:
        check_type(key, content_type)
        if size is None:  # a bucket could be filled through an address without a length: these bytes come to us, who count them
            return self._tickets.sign(key, content_type, None)
        url = await self._objects.sign_put(f"{STAGING}{key}", content_type, size, UPLOAD_SECONDS)
        # Every client sends the length of its body by itself, and a browser lets nobody else set it.
        return SignedUpload(url, {"Content-Type": content_type}, UPLOAD_SECONDS)

    async def accept_upload(self, token: str, content_type: str, length: int | None, body: AsyncIterator[bytes]) -> None:
        """Stage the bytes that a ticket was signed for. Raises Forbidden, AssetRejected and StorageError."""
        ticket = self._tickets.admit(token, content_type, length)
        data = bytearray()
        async for chunk in ticket.checked(body):
            data += chunk
        await self._objects.put(f"{STAGING}{ticket.key}", bytes(data), ticket.content_type)

    async def read_staged(self, key: str) -> bytes | None:
        """Raises AssetRejected, and discards it, where it is larger than any upload may be."""
        if not content_type_of(key):
            return None
        try:
            return await self._objects.read(f"{STAGING}{key}", capped=True)
        except AssetRejected:
            await self.discard_staged(key)
            raise

    async def discard_staged(self, key: str) -> None:
        if content_type_of(key):
            await self._objects.delete(f"{STAGING}{key}")

    # ------------------------------------------------------------ objects

    async def exists(self, key: str) -> bool:
        return await self.size_of(key) is not None

    async def size_of(self, key: str) -> int | None:
        """The bytes of a public object, or None where there is none. Raises StorageError."""
        return await self._objects.size(key) if content_type_of(key) else None

    async def read(self, key: str) -> bytes:
        data = await self._objects.read(key) if content_type_of(key) else None
        if data is None:
            raise StorageError(f"there is no object {key!r}")
        return data

    def chunks_of(self, key: str) -> AsyncIterator[bytes]:
        """A public object's bytes as they come. Raises StorageError."""
        if not content_type_of(key):
            raise StorageError(f"there is no object {key!r}")
        return self._objects.chunks(key)

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        check_type(key, content_type)
        await self._objects.put(key, data, content_type)

    async def write_file(self, key: str, path: Path, content_type: str) -> None:
        check_type(key, content_type)
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except OSError as error:
            raise StorageError(f"{path} could not be read: {error.strerror}") from error
        with file:
            await self._objects.put(key, file, content_type)

    async def remove_all(self, tag: str) -> int:
        if not is_tag(tag):
            raise StorageError(f"{tag!r} is not an owner tag")
        removed = 0
        for prefix in (f"{place}{folder}/{tag}/" for place in ("", STAGING) for folder in (UPLOADS, OUTPUTS)):
            async for names in self._objects.names_below(prefix):
                # One by one: stores disagree on the checksum that removing many at once must have.
                await asyncio.gather(*map(self._objects.delete, names))
                removed += len(names)
        return removed

    # ------------------------------------------------------------ addresses

    def public_url(self, key: str) -> str:
        return f"{self._public}{key}"

    def key_of(self, url: str) -> str | None:
        key = url.removeprefix(self._public)
        return key if key != url and content_type_of(key) else None

    def download_url(self, key: str, file_name: str) -> str:
        # By way of us: signed addresses of the store expire, and its public ones cannot be told to be attachments.
        return f"{self._app}{key}?name={quote(file_name, safe='')}"

    async def check(self) -> str:
        return await checkup(self._objects, self._bucket)
