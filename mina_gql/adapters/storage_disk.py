"""The disk store: a plain directory as an object store, served by the app itself (DESIGN section 8).

objects/<key>    what is public
staging/<key>    uploads that wait to be confirmed
incoming/        files being written; renamed to one of the above when whole
"""

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from mina_gql.adapters.upload_tickets import UploadTickets
from mina_gql.domain.assets import OUTPUTS, UPLOADS, check_type, content_type_of, is_tag
from mina_gql.domain.ports import SignedUpload, StorageError

CHUNK_BYTES = 1024 * 1024
ABANDONED_SECONDS = 24 * 3600


class DiskStore:
    """Implements `domain.ports.ObjectStore` and `api.uploads.UploadReceiver` over the directory `root`.

    `public_base` is where clients reach the app, without a slash at the end; `secret` signs the upload tokens.
    """

    def __init__(self, root: Path, public_base: str, secret: bytes) -> None:
        self._root = root.resolve()
        self._objects = self._root / "objects"
        self._staging = self._root / "staging"
        self._incoming = self._root / "incoming"
        self._public = f"{public_base}/assets/"
        self._tickets = UploadTickets(public_base, secret)

    # ------------------------------------------------------------ uploads

    async def sign_upload(self, key: str, content_type: str, size: int | None) -> SignedUpload:
        check_type(key, content_type)
        return self._tickets.sign(key, content_type, size)

    async def accept_upload(self, token: str, content_type: str, length: int | None, body: AsyncIterator[bytes]) -> None:
        """Stage the bytes that a token was signed for; again with the same token replaces them.

        `length` is the announced size in bytes. Nothing is kept of what is refused.
        Raises Forbidden (the token) and AssetRejected (the bytes).
        """
        ticket = self._tickets.admit(token, content_type, length)
        await self._keep(self._staging / ticket.key, ticket.checked(body))

    async def read_staged(self, key: str) -> bytes | None:
        return await asyncio.to_thread(_read, self._staging / key) if content_type_of(key) else None

    async def discard_staged(self, key: str) -> None:
        if content_type_of(key):
            await asyncio.to_thread((self._staging / key).unlink, missing_ok=True)

    async def sweep(self) -> int:
        """Remove uploads that nobody confirmed within a day, and what a crash left half written; gives how many."""
        return await asyncio.to_thread(_sweep, (self._staging, self._incoming))

    # ------------------------------------------------------------ objects

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self.path_of, key) is not None

    async def read(self, key: str) -> bytes:
        path = await asyncio.to_thread(self.path_of, key)
        data = await asyncio.to_thread(_read, path) if path else None
        if data is None:
            raise StorageError(f"there is no object {key!r}")
        return data

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        check_type(key, content_type)
        await self._keep(self._objects / key, _whole(data))

    async def write_file(self, key: str, path: Path, content_type: str) -> None:
        check_type(key, content_type)
        # A copy and no hard link: whoever writes to `path` again must not write to the object.
        part = self._incoming / secrets.token_hex(16)
        try:
            await asyncio.to_thread(_copy, path, part, self._objects / key)
        except OSError as error:
            raise StorageError(f"{key} could not be written: {error.strerror}") from error

    async def remove_all(self, tag: str) -> int:
        if not is_tag(tag):
            raise StorageError(f"{tag!r} is not an owner tag")
        folders = [place / folder / tag for place in (self._objects, self._staging) for folder in (UPLOADS, OUTPUTS)]
        try:
            return sum([await asyncio.to_thread(_empty, folder) for folder in folders])
        except OSError as error:
            raise StorageError(f"files of {tag} could not be removed: {error.strerror}") from error

    def path_of(self, key: str) -> Path | None:
        """The file of a public object, or None; links are not followed, so a file is nowhere but in the store."""
        if not content_type_of(key):
            return None
        path = self._objects / key
        return path if path.is_file() and path.resolve() == path else None

    # ------------------------------------------------------------ addresses

    def public_url(self, key: str) -> str:
        return f"{self._public}{key}"

    def key_of(self, url: str) -> str | None:
        key = url.removeprefix(self._public)
        return key if key != url and content_type_of(key) else None

    def download_url(self, key: str, file_name: str) -> str:
        return f"{self.public_url(key)}?download={quote(file_name, safe='')}"

    async def check(self) -> str:
        probe = self._incoming / f"check-{secrets.token_hex(8)}"
        await self._keep(probe, _whole(b"mina"))
        await asyncio.to_thread(probe.unlink)
        return f"files below {self._root}: can be written"

    async def _keep(self, path: Path, body: AsyncIterator[bytes]) -> None:
        """Write a file whole or not at all. Raises StorageError; what `body` raises goes on."""
        part = self._incoming / secrets.token_hex(16)
        try:
            file = await asyncio.to_thread(_create, part)
            try:
                with file:
                    await _write(file, body)
                await asyncio.to_thread(_move, part, path)
            finally:
                await asyncio.to_thread(part.unlink, missing_ok=True)
        except OSError as error:
            raise StorageError(f"{path} could not be written: {error.strerror}") from error


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _write(file: BinaryIO, body: AsyncIterator[bytes]) -> None:
    """Write in chunks of about a megabyte, so that the many small ones of a socket do not each cost a thread switch."""
    waiting = bytearray()
    async for chunk in body:
        waiting += chunk
        if len(waiting) >= CHUNK_BYTES:
            await asyncio.to_thread(file.write, waiting)
            waiting = bytearray()
    await asyncio.to_thread(file.write, waiting)


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def _copy(source: Path, part: Path, path: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, part)
        _move(part, path)
    finally:
        part.unlink(missing_ok=True)


def _move(part: Path, path: Path) -> None:
    """Give a written file its name, both safe from a power cut."""
    _sync(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _empty(folder: Path) -> int:
    """Remove the files of a folder, and it; links are not followed. Gives how many."""
    if folder.resolve() != folder or not folder.is_dir():
        return 0
    removed = 0
    for path in list(folder.iterdir()):
        with suppress(FileNotFoundError):
            path.unlink()
            removed += 1
    with suppress(OSError):  # somebody writes to it again
        folder.rmdir()
    return removed


def _sweep(folders: Iterable[Path]) -> int:
    before = time.time() - ABANDONED_SECONDS
    swept = 0
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_mtime < before:
                    path.unlink()
                    swept += 1
    return swept
