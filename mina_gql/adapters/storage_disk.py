"""The disk store: files in a directory that the app serves itself, uploads by signed tokens."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from mina_gql.domain.errors import AssetRejected
from mina_gql.domain.ports import SignedUpload, StorageError

KEY = re.compile(r"^(?:user_uploads|generations)/[0-9a-f]{16,64}/[0-9a-f]{32}\.(?:jpg|png|webp|mp4)$")
EXPIRES_IN = 600


class UploadRefused(AssetRejected):
    """A PUT that its token does not allow; `status` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class DiskStore:
    """`domain.ports.ObjectStore` below `root`; `public_base` is the app's own address, `secret` signs the uploads."""

    def __init__(self, root: Path, public_base: str, secret: bytes) -> None:
        self._objects = root / "objects"
        self._staging = root / "staging"
        self._base = public_base
        self._tokens = URLSafeTimedSerializer(secret, salt="mina.upload")

    async def sign_upload(self, key: str, content_type: str, size: int) -> SignedUpload:
        """A token with key, type and length in it, good for ten minutes."""
        token = self._tokens.dumps([_checked(key), content_type, size])
        return SignedUpload(f"{self._base}/uploads/{token}", {"Content-Type": content_type}, EXPIRES_IN)

    async def accept_upload(self, token: str, content_type: str, length: int | None, body: AsyncIterator[bytes]) -> None:
        """Take the bytes that a token allows. Raises UploadRefused; nothing lands then."""
        try:
            key, kind, size = self._tokens.loads(token, max_age=EXPIRES_IN)
        except SignatureExpired as error:
            raise UploadRefused("This upload link has expired. Ask for a new one.", 403) from error
        except BadData as error:
            raise UploadRefused("This upload link is not one of ours.", 403) from error
        if content_type != kind:
            raise UploadRefused(f"This link is for {kind}.", 400)
        if length is not None and length != size:
            raise UploadRefused(f"This link is for exactly {size} bytes.", 413 if length > size else 400)
        data = bytearray()
        async for chunk in body:
            data += chunk
            if len(data) > size:
                raise UploadRefused(f"This link is for exactly {size} bytes.", 413)
        if len(data) != size:
            raise UploadRefused(f"This link is for exactly {size} bytes; {len(data)} came.", 400)
        await self._write(self._staging / _checked(key), bytes(data))

    async def read_staged(self, key: str) -> bytes | None:
        """The bytes that wait under `key`."""
        return await asyncio.to_thread(_read, self._staging / _checked(key))

    async def discard_staged(self, key: str) -> None:
        """Remove what waits under `key`."""
        await asyncio.to_thread((self._staging / _checked(key)).unlink, missing_ok=True)

    async def exists(self, key: str) -> bool:
        """Whether the final object is there."""
        return await asyncio.to_thread((self._objects / _checked(key)).is_file)

    async def read(self, key: str) -> bytes:
        """The final object's bytes. Raises StorageError."""
        data = await asyncio.to_thread(_read, self._objects / _checked(key))
        if data is None:
            raise StorageError("the object is not there")
        return data

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        """Store the final object. Raises StorageError."""
        del content_type  # the extension says it
        await self._write(self._objects / _checked(key), data)

    def public_url(self, key: str) -> str:
        """Where the app serves it."""
        return f"{self._base}/assets/{_checked(key)}"

    def key_of(self, url: str) -> str | None:
        """The exact inverse of `public_url`."""
        key = url.removeprefix(f"{self._base}/assets/")
        return key if key != url and KEY.match(key) else None

    def download_url(self, key: str, file_name: str) -> str:
        """The same address, asking for an attachment."""
        return f"{self.public_url(key)}?download={quote(file_name)}"

    def path_of(self, key: str) -> Path | None:
        """The file behind a key, for serving it; None for what is no key or is not there."""
        path = self._objects / key
        return path if KEY.match(key) and path.is_file() and not path.is_symlink() else None

    async def check(self) -> str:
        """Write, read and remove a file."""
        probe = self._objects / f".probe-{token_hex(4)}"
        await self._write(probe, b"probe")
        await asyncio.to_thread(probe.unlink)
        return f"files in {self._objects.resolve()}"

    async def _write(self, path: Path, data: bytes) -> None:
        try:
            await asyncio.to_thread(_write, path, data)
        except OSError as error:
            raise StorageError(f"cannot write below {self._objects.parent}: {error.strerror}") from error


def _checked(key: str) -> str:
    if not KEY.match(key):
        raise StorageError("not a key")
    return key


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{token_hex(4)}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
