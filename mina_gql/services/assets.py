"""Assets: signed uploads, their confirmation, and whose a picture is (DESIGN section 8)."""

import re
from dataclasses import dataclass
from secrets import token_hex

from mina_gql.domain.assets import (
    FILE_NAME_CHARS,
    MAX_UPLOAD_BYTES,
    OUTPUTS,
    PICTURE_EXTENSIONS,
    UPLOADS,
    RemoteKind,
    content_type_of,
    tag_of,
)
from mina_gql.domain.errors import AssetNotOurs, AssetRejected, InvalidInput, NotFound, RemoteFetchRefused
from mina_gql.domain.passes import Caller, owner_tag
from mina_gql.domain.ports import ObjectStore, Picture, PictureReader, RemoteFetcher, SignedUpload
from mina_gql.services.passes import required


@dataclass(frozen=True, slots=True)
class Upload:
    """A signed upload: PUT the bytes to `signed.url` with exactly `signed.headers`, then confirm `key`."""

    key: str
    public_url: str
    signed: SignedUpload


@dataclass(frozen=True, slots=True)
class Asset:
    """A confirmed picture, or a clip that was made here. `size` in bytes, `width` and `height` in pixels, None of a clip."""

    key: str
    public_url: str
    content_type: str
    size: int
    width: int | None
    height: int | None


class AssetService:
    """Uploads and pictures of a Pass. `secret` keys the owner tags."""

    def __init__(self, store: ObjectStore, pictures: PictureReader, remote: RemoteFetcher, secret: bytes) -> None:
        self._store = store
        self._pictures = pictures
        self._remote = remote
        self._secret = secret

    async def create_upload(self, caller: Caller, content_type: str, file_name: str, size: int | None) -> Upload:
        """Sign the upload of one picture; type and size, where it is known, are part of the signature. Raises InvalidInput."""
        pass_id = required(caller)
        kind = content_type.strip().lower()
        if kind not in PICTURE_EXTENSIONS:
            raise InvalidInput("Pictures are JPEG, PNG or WebP.", ["input", "contentType"])
        if not 0 < len(file_name) <= FILE_NAME_CHARS:
            raise InvalidInput("A file name has 1 to 255 characters.", ["input", "fileName"])
        if size is not None and not 0 < size <= MAX_UPLOAD_BYTES:
            raise InvalidInput("A picture has at most 25 MB.", ["input", "bytes"])
        key = self._new_key(UPLOADS, pass_id, kind)
        return Upload(key, self._store.public_url(key), await self._store.sign_upload(key, kind, size))

    async def confirm(self, caller: Caller, key: str) -> Asset:
        """Read an upload back, check that it is a picture, make it public. Again for the same key: the same answer.

        Raises NotFound (not the caller's, or nothing uploaded) and AssetRejected (the bytes are gone then).
        """
        required(caller)
        if not owns(caller, key):
            raise NotFound("There is no such upload.", ["key"])
        picture = await self._confirm(key)
        if picture is None:
            raise NotFound("Nothing has been uploaded under this key yet. PUT the bytes first.", ["key"])
        return self._asset(key, picture)

    async def store_remote(self, caller: Caller, url: str, kind: RemoteKind) -> Asset:
        """Fetch a picture from elsewhere, clean it like an upload, keep it as the caller's; what is theirs here already stays.

        Raises RemoteFetchRefused, AssetRejected, and AssetNotOurs for an address of ours that is not theirs.
        """
        pass_id, field = required(caller), ["input", "sourceUrl"]
        key = self._store.key_of(re.split(r"[?#]", url, maxsplit=1)[0])
        try:
            if key is not None:
                return await self._kept(caller, key, field)
            picture = await self._pictures.clean((await self._remote.fetch(url)).data)
        except (RemoteFetchRefused, AssetRejected) as error:
            raise type(error)(error.message, field) from error
        folder = OUTPUTS if kind is RemoteKind.GENERATION else UPLOADS
        key = self._new_key(folder, pass_id, picture.content_type)
        await self._store.write(key, picture.data, picture.content_type)
        return self._asset(key, picture)

    async def own_picture(self, caller: Caller, url: str, field: list[str]) -> str:
        """The URL of a confirmed picture of the caller, confirming it if need be. Raises AssetNotOurs and AssetRejected."""
        key = self._store.key_of(url)
        if key is None or not owns(caller, key):
            raise AssetNotOurs("Use a picture you uploaded here, or one that was made for you.", field)
        if content_type_of(key) not in PICTURE_EXTENSIONS:
            raise AssetRejected("This is a clip. Choose a picture.", field)
        try:
            if not await self._store.exists(key) and await self._confirm(key) is None:
                raise AssetNotOurs("Nothing has been uploaded under this address yet. PUT the bytes first.", field)
        except AssetRejected as error:
            raise AssetRejected(error.message, field) from error
        return self._store.public_url(key)

    async def read(self, url: str) -> Picture:
        """The bytes behind one of our URLs. Raises StorageError and AssetRejected."""
        key = self._store.key_of(url)
        if key is None:
            raise AssetRejected("not one of our pictures")
        return self._pictures.measure(await self._store.read(key))

    def key_of(self, url: str) -> str | None:
        """The key behind one of our URLs, or None."""
        return self._store.key_of(url)

    def download_url(self, key: str, file_name: str) -> str:
        """The output as an attachment with a file name."""
        return self._store.download_url(key, file_name)

    def _new_key(self, folder: str, pass_id: str, content_type: str) -> str:
        return f"{folder}/{owner_tag(pass_id, self._secret)}/{token_hex(16)}.{PICTURE_EXTENSIONS[content_type]}"

    def _asset(self, key: str, picture: Picture) -> Asset:
        url = self._store.public_url(key)
        return Asset(key, url, picture.content_type, len(picture.data), picture.width, picture.height)

    async def _kept(self, caller: Caller, key: str, field: list[str]) -> Asset:
        """What the caller has here under a key. Raises AssetNotOurs and AssetRejected."""
        if owns(caller, key):
            if content_type_of(key) not in PICTURE_EXTENSIONS and await self._store.exists(key):
                size = len(await self._store.read(key))
                return Asset(key, self._store.public_url(key), str(content_type_of(key)), size, None, None)
            if picture := await self._confirm(key):
                return self._asset(key, picture)
        raise AssetNotOurs("Use a picture you uploaded here, or one that was made for you.", field)

    async def _confirm(self, key: str) -> Picture | None:
        if await self._store.exists(key):
            return self._pictures.measure(await self._store.read(key))
        staged = await self._store.read_staged(key)
        if staged is None:
            return None
        try:
            picture = await self._as_announced(key, staged)
        except AssetRejected:
            await self._store.discard_staged(key)
            raise
        await self._store.write(key, picture.data, picture.content_type)
        await self._store.discard_staged(key)
        return picture

    async def _as_announced(self, key: str, staged: bytes) -> Picture:
        picture = await self._pictures.clean(staged)
        if not key.endswith(f".{PICTURE_EXTENSIONS[picture.content_type]}"):
            raise AssetRejected(
                "The picture is of another type than announced. Ask for a new upload with its true type.", ["key"]
            )
        return picture


def owns(caller: Caller, key: str) -> bool:
    """Whether a key is the caller's: its owner tag says so, no table is asked."""
    return tag_of(key) in caller.owner_tags
