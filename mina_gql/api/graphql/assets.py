"""Assets: uploads and their confirmation."""

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import RemoteKind
from mina_gql.api.graphql.scalars import JSON, URL
from mina_gql.api.graphql.user_errors import UserError, answered
from mina_gql.domain.assets import MAX_UPLOAD_BYTES, UPLOAD_TIMEOUT_SECONDS
from mina_gql.services import assets as service
from mina_gql.services.passes import required


@strawberry.type(description="`PUT` the bytes to `url` with exactly `headers`, then call `confirmUpload(key)`.")
class Upload:
    """A signed upload."""

    url: str
    headers: JSON
    key: str
    public_url: URL
    expires_in_sec: int
    max_bytes: int
    timeout_seconds: int


@strawberry.type
class CreateUploadPayload:
    """Where to PUT the bytes, or why not."""

    upload: Upload | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class Asset:
    """A confirmed picture."""

    key: str
    public_url: URL
    content_type: str
    bytes: int
    width: int | None
    height: int | None


@strawberry.type
class AssetPayload:
    """The picture, or why not."""

    asset: Asset | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.input
class CreateUploadInput:
    """What will be uploaded: JPEG, PNG or WebP, at most 25 MB."""

    content_type: str
    file_name: str
    bytes: int


@strawberry.input
class StoreRemoteInput:
    """A picture on the web: https, at most 25 MB."""

    source_url: str
    kind: RemoteKind = RemoteKind.UPLOAD


@strawberry.type
class AssetMutations:
    """Mutations of assets."""

    @strawberry.mutation
    async def create_upload(self, info: Info, input: CreateUploadInput) -> CreateUploadPayload | None:
        """Sign the upload of one picture."""
        context = info.context

        async def sign() -> CreateUploadPayload:
            runtime = await context.services.config.runtime()
            await context.services.rates.hit("upload", required(context.caller), runtime.per_minute("upload"))
            made = await context.services.assets.create_upload(context.caller, input.content_type, input.file_name, input.bytes)
            return CreateUploadPayload(upload=_upload(made))

        return await answered(CreateUploadPayload, sign)

    @strawberry.mutation
    async def confirm_upload(self, info: Info, key: str) -> AssetPayload | None:
        """Check an upload and make it public. What is not a picture is refused and deleted."""

        async def confirm() -> AssetPayload:
            return AssetPayload(asset=_asset(await info.context.services.assets.confirm(info.context.caller, key)))

        return await answered(AssetPayload, confirm)

    @strawberry.mutation
    async def store_remote(self, info: Info, input: StoreRemoteInput) -> AssetPayload | None:
        """Fetch a picture from elsewhere and keep it like an upload."""
        context = info.context

        async def store() -> AssetPayload:
            runtime = await context.services.config.runtime()
            await context.services.rates.hit("remote", required(context.caller), runtime.per_minute("remote"))
            stored = await context.services.assets.store_remote(context.caller, input.source_url, input.kind)
            return AssetPayload(asset=_asset(stored))

        return await answered(AssetPayload, store)


def _upload(made: service.Upload) -> Upload:
    return Upload(
        url=made.signed.url,
        headers=JSON(dict(made.signed.headers)),
        key=made.key,
        public_url=URL(made.public_url),
        expires_in_sec=made.signed.expires_in,
        max_bytes=MAX_UPLOAD_BYTES,
        timeout_seconds=UPLOAD_TIMEOUT_SECONDS,
    )


def _asset(asset: service.Asset) -> Asset:
    return Asset(
        key=asset.key,
        public_url=URL(asset.public_url),
        content_type=asset.content_type,
        bytes=asset.size,
        width=asset.width,
        height=asset.height,
    )
