"""What `mina doctor` asks of a bucket: write, read where everybody does, remove. Each fault names the setting to mend."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from secrets import token_bytes, token_hex
from typing import Any

import httpx2

from mina_gql.adapters.storage_r2.objects import Bucket, Objects, StorageRefused
from mina_gql.domain.assets import OUTPUTS, STAGING
from mina_gql.domain.ports import StorageError

PUBLIC_SECONDS = 10
PROBE_TYPE = "image/png"

_KEY_UNKNOWN = "MINA_R2_ACCESS_KEY_ID: the store does not know this key id: copy it again, with its secret"
_CURES = {
    "NoSuchBucket": "MINA_R2_BUCKET: there is no bucket of this name at the endpoint: make it, or mend the name",
    "InvalidAccessKeyId": _KEY_UNKNOWN,
    "Unauthorized": _KEY_UNKNOWN,
    "SignatureDoesNotMatch": "MINA_R2_SECRET_ACCESS_KEY: this is not the secret of the key id: copy both again",
    "AccessDenied": "MINA_R2_ACCESS_KEY_ID: this key may not do all it must: make one that may read and write objects",
}


async def checkup(objects: Objects, bucket: Bucket) -> str:
    """One line that says it works, and what could be better. Raises StorageError with what to mend."""
    if bucket.endpoint_url.endswith(f"/{bucket.name}"):
        raise StorageError(f"MINA_R2_ENDPOINT_URL: must be the endpoint alone: take /{bucket.name} off its end")
    key, data = f"{OUTPUTS}/{token_hex(16)}/{token_hex(16)}.png", token_bytes(16)
    async with _written(objects, key, data):
        _check_public(await _asked(f"{bucket.public_url}/{key}"), data)
    line = f"bucket {bucket.name}: can be written and removed from, and read at {bucket.public_url}"
    async with _written(objects, f"{STAGING}{key}", data):
        if (await _asked(f"{bucket.public_url}/{STAGING}{key}")).content == data:
            line += f"; keep the public from {STAGING}, which nobody has looked at (docs/deploy.md)"
    if not await _staging_expires(objects):
        line += f"; give it a rule that removes old uploads below {STAGING} (docs/deploy.md)"
    return line


@asynccontextmanager
async def _written(objects: Objects, name: str, data: bytes) -> AsyncIterator[None]:
    """An object that is there for as long as the block runs."""
    with _cured():
        await objects.put(name, data, PROBE_TYPE)
    try:
        yield
    finally:
        with _cured():
            await objects.delete(name)


@contextmanager
def _cured() -> Iterator[None]:
    """What the store says of a call, as the setting to mend."""
    try:
        yield
    except StorageRefused as error:
        raise StorageError(_CURES.get(error.code, f"MINA_R2_ENDPOINT_URL, MINA_R2_BUCKET: {error}")) from None
    except StorageError as error:
        raise StorageError(f"MINA_R2_ENDPOINT_URL: {error}: is it right, and does it run?") from None


async def _asked(url: str) -> httpx2.Response:
    """What everybody is answered."""
    try:
        async with httpx2.AsyncClient(timeout=PUBLIC_SECONDS) as http:
            return await http.get(url)
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        raise StorageError(f"MINA_R2_PUBLIC_URL: cannot be reached ({type(error).__name__}): is it right?") from None


def _check_public(answer: httpx2.Response, data: bytes) -> None:
    if answer.status_code != 200 or answer.content != data:
        raise StorageError(
            f"MINA_R2_PUBLIC_URL: what is in the bucket is not found there (HTTP {answer.status_code}): "
            "it must lead to this bucket, and everybody must be allowed to read"
        )
    if answer.headers.get("content-type") != PROBE_TYPE:
        raise StorageError("MINA_R2_PUBLIC_URL: files are served there with another type than they were stored with")


async def _staging_expires(objects: Objects) -> bool:
    """Whether a rule removes old uploads, or it is not for our key to know."""
    try:
        return any(removes_staged(rule) for rule in await objects.rules())
    except StorageRefused as error:
        return error.code != "NoSuchLifecycleConfiguration"


def removes_staged(rule: dict[str, Any]) -> bool:
    """Whether a lifecycle rule is on, and removes whatever lies below STAGING."""
    prefix: str = rule.get("Filter", {}).get("Prefix", rule.get("Prefix", ""))
    return rule.get("Status") == "Enabled" and "Expiration" in rule and STAGING.startswith(prefix)
