"""Files of people and of models: their types, their limits, their keys and addresses (DESIGN section 8)."""

import re
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from mina_gql.domain.ports import StorageError

MAX_UPLOAD_BYTES = 25 * 1024 * 1024
UPLOAD_SECONDS = 600
"""How long the address of a signed upload holds."""
UPLOAD_TIMEOUT_SECONDS = 300
"""25 MB over a slow 4G line of about 0.7 Mbit/s: after that the button says “Upload image again” (seed 003, 4.1)."""
FILE_NAME_CHARS = 255

PICTURE_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
"""What people may upload, by media type."""
EXTENSIONS = {**PICTURE_EXTENSIONS, "video/mp4": "mp4"}
"""What is kept and served, by media type."""
CONTENT_TYPES = {extension: content_type for content_type, extension in EXTENSIONS.items()}

UPLOADS = "user_uploads"
OUTPUTS = "generations"


class RemoteKind(StrEnum):
    """What a picture from elsewhere is kept as: an input, or something made for the person before they came here."""

    UPLOAD = "upload"
    GENERATION = "generation"


STAGING = "staging/"
"""In a bucket, what stands before the key of an upload that waits to be confirmed."""

_TAG = re.compile(r"[0-9a-f]{1,64}")
_KEY = re.compile(rf"(?:{UPLOADS}|{OUTPUTS})/({_TAG.pattern})/[0-9a-f]{{32}}\.({'|'.join(CONTENT_TYPES)})")
_INNER_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


def is_tag(text: str) -> bool:
    """Whether a text can be an owner tag, and so never a part of a path that leads elsewhere."""
    return _TAG.fullmatch(text) is not None


def tag_of(key: str) -> str | None:
    """The owner tag of a key `<folder>/<owner tag>/<32 hex digits>.<extension>`; None for what is no key."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def content_type_of(key: str) -> str | None:
    """What a key holds, by its extension; None for what is no key."""
    found = _KEY.fullmatch(key)
    return CONTENT_TYPES[found[2]] if found else None


def check_type(key: str, content_type: str) -> None:
    """Refuse what is no key, and what a key cannot hold. Raises StorageError."""
    held = content_type_of(key)
    if held is None:
        raise StorageError(f"{key!r} is not a key of this store")
    if content_type != held:
        raise StorageError(f"{key} cannot hold {content_type}")


def is_reachable(url: str) -> bool:
    """Whether the outside can fetch a URL: https, and neither a loopback nor an inner address or name."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    try:
        public = ip_address(host).is_global
    except ValueError:
        public = "." in host and not host.endswith(_INNER_NAMES)
    return parts.scheme == "https" and public
