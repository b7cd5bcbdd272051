"""Assets: signed uploads, their confirmation, and whose a picture is (DESIGN section 8)."""

import re
from dataclasses import dataclass
from secrets import token_hex

from mina_gql.domain.assets import FILE_NAME_CHARS, MAX_UPLOAD_BYTES, OUTPUTS, PICTURE_EXTENSIONS, UPLOADS
from mina_gql.domain.errors import AssetNotOurs, AssetRejected, InvalidInput, NotFound
from mina_gql.domain.passes import Caller, owner_tag
from mina_gql.domain.ports import ObjectStore, Picture, PictureReader, SignedUpload
from mina_gql.services.passes import required

_KEY = re.compile(rf"^(?:{UPLOADS}|{OUTPUTS})/([0-9a-f]+)/[0-9a-f]{{32}}\.[a-z0-9]+$")


@dataclass(frozen=True, slots=True)
class Upload:
    """A signed upload: PUT the bytes to `signed.url` with exactly `signed.headers`, then confirm `key`."""

    key: str
    public_url: str
    signed: SignedUpload


@dataclass(frozen=True, slots=True)
class Asset:
    """A confirmed picture. `size` in bytes, `width` and `height` in pixels."""

    key: str
    public_url: str
    content_type: str
    size: int
    width: int
    height: int


class AssetService:
    """Uploads and pictures of a Pass. `secret` keys the owner tags."""

    def __init__(self, store: ObjectStore, pictures: PictureReader, secret: bytes) -> None:
        self._store = store
        self._pictures = pictures
        self._secret = secret

    async def create_upload(self, caller: Caller, content_type: str, file_name: str, size: int) -> Upload:
        """Sign the upload of one picture; type and size are part of the signature. Raises InvalidInput."""
        pass_id = required(caller)
        kind = content_type.strip().lower()
        if kind not in PICTURE_EXTENSIONS:
            raise InvalidInput("Pictures are JPEG, PNG or WebP.", ["input", "contentType"])
        if not 0 < len(file_name) <= FILE_NAME_CHARS:
            raise InvalidInput("A file name has 1 to 255 characters.", ["input", "fileName"])
        if not 0 < size <= MAX_UPLOAD_BYTES:
            raise InvalidInput("A picture has at most 25 MB.", ["input", "bytes"])
        key = f"{UPLOADS}/{owner_tag(pass_id, self._secret)}/{token_hex(16)}.{PICTURE_EXTENSIONS[kind]}"
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
        url = self._store.public_url(key)
        return Asset(key, url, picture.content_type, len(picture.data), picture.width, picture.height)

    async def own_picture(self, caller: Caller, url: str, field: list[str]) -> str:
        """The URL of a confirmed picture of the caller, confirming it if need be. Raises AssetNotOurs and AssetRejected."""
        key = self._store.key_of(url)
        if key is None or not owns(caller, key):
            raise AssetNotOurs("Use a picture you uploaded here, or one that was made for you.", field)
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

    def download_url(self, key: str, file_name: str) -> str:
        """The output as an attachment with a file name."""
        return self._store.download_url(key, file_name)

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
    found = _KEY.fullmatch(key)
    return found is not None and found[1] in caller.owner_tags
