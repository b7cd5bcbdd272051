"""Pictures by REST: signed uploads, and pictures taken from elsewhere (seed 003, 5)."""

from typing import Literal

from pydantic import Field

from mina_gql.api.rest.table import Asks, Call, Operation, Tells
from mina_gql.domain.assets import OUTPUTS, UPLOADS, RemoteKind
from mina_gql.services.assets import Asset

KINDS = {UPLOADS: RemoteKind.UPLOAD, OUTPUTS: RemoteKind.GENERATION}


class SignUpload(Asks):
    """What will be uploaded. With `bytes` the address is signed for that length; without, the picture goes through the app."""

    content_type: str
    file_name: str
    bytes: int | None = None
    folder: Literal["user_uploads"] = "user_uploads"


class SignedUpload(Tells):
    """`PUT` the bytes to `uploadUrl` with the same `Content-Type`; generations then take `publicUrl`."""

    upload_url: str
    public_url: str
    key: str
    expires_in_sec: int


class StoreRemote(Asks):
    """A picture on the web: https, at most 25 MB."""

    source_url: str
    folder: Literal["user_uploads", "generations"] = "user_uploads"


class StoredRemote(Tells):
    """Where it is kept."""

    public_url: str
    key: str


class StoreGeneration(Asks):
    """The older way to say the same (seed 003, 5.C)."""

    url: str
    type: Literal["image"] = Field(default="image", description="Pictures only: clips are made here.")


class StoredGeneration(Tells):
    """Where it is kept."""

    public_url: str


async def sign_upload(call: Call[SignUpload]) -> SignedUpload:
    """Sign the upload of one picture."""
    asked = call.asked
    await call.count("upload")
    made = await call.services.assets.create_upload(call.caller, asked.content_type, asked.file_name, asked.bytes)
    return SignedUpload(
        upload_url=made.signed.url, public_url=made.public_url, key=made.key, expires_in_sec=made.signed.expires_in
    )


async def store_remote(call: Call[StoreRemote]) -> StoredRemote:
    """Fetch a picture and keep it like an upload."""
    stored = await _stored(call, call.asked.source_url, KINDS[call.asked.folder])
    return StoredRemote(public_url=stored.public_url, key=stored.key)


async def store_generation(call: Call[StoreGeneration]) -> StoredGeneration:
    """Fetch something that was made for the person elsewhere."""
    return StoredGeneration(public_url=(await _stored(call, call.asked.url, RemoteKind.GENERATION)).public_url)


async def _stored(call: Call[StoreRemote] | Call[StoreGeneration], url: str, kind: RemoteKind) -> Asset:
    await call.count("remote")
    return await call.services.assets.store_remote(call.caller, url, kind)


OPERATIONS = (
    Operation("POST", "/api/r2/upload-signed", "Sign the upload of a picture.", SignUpload, sign_upload, {200: SignedUpload}),
    Operation(
        "POST", "/api/r2/store-remote-signed", "Keep a picture from the web.", StoreRemote, store_remote, {200: StoredRemote}
    ),
    Operation(
        "POST",
        "/store-remote-generation",
        "Keep a picture that was made elsewhere.",
        StoreGeneration,
        store_generation,
        {200: StoredGeneration},
    ),
)
