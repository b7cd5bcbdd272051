"""Who a caller is: the states of a Pass and what proves each (DESIGN section 4)."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from uuid import uuid4

PASS_ID_CHARS = 200
_OWNER_TAG_HEX = 32
_TOKEN = re.compile(r"^[\x21-\x7e]+$")


class PassState(StrEnum):
    """What proves a Pass; follows from the row alone."""

    BEARER = "bearer"
    CLAIMED = "claimed"
    UNCLAIMED = "unclaimed"


def state_of(*, claimed: bool, minted: bool, linked: bool) -> PassState:
    """The state of a row: `claimed` by a user, `minted` here, `linked` to a Shopify customer or an e-mail."""
    if claimed:
        return PassState.CLAIMED
    return PassState.BEARER if minted and not linked else PassState.UNCLAIMED


@dataclass(frozen=True, slots=True)
class Login:
    """What a verified token says of its bearer (DESIGN section 4). `email` is verified exactly when `email_verified` is true.

    `method` is google, apple or email: how the e-mail was verified, None when it was not. `expires_at` is seconds since 1970.
    `session` is the admin's session that stands in for the token, where one does.
    """

    user_id: str
    email: str | None
    email_verified: bool
    google: bool
    apple: bool
    method: str | None
    admin: bool
    expires_at: float
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks, as the edge found out. `pass_id` is proven; None means the request proves no Pass.

    `address` is the client's address after trusted proxies, for rate limits and the audit. A `disabled` Pass may only look.
    `presented` is the Pass ID they sent, proven or not; `owner_tags` are those of every Pass that was merged into theirs.
    """

    pass_id: str | None
    address: str
    disabled: bool = False
    login: Login | None = None
    presented: str | None = None
    owner_tags: frozenset[str] = frozenset()
    user_agent: str | None = None
    session_id: str | None = None


def new_pass_id() -> str:
    """A fresh anonymous Pass ID: 122 random bits, a secret."""
    return f"pass:anon:{uuid4()}"


def new_user_pass_id() -> str:
    """A fresh id for a signed-in user whose first choice is taken."""
    return f"pass:user:{uuid4()}"


def presented_pass_id(header: str | None) -> str | None:
    """The Pass ID a client presents, or None for none and for anything that cannot be one."""
    text = (header or "").strip()
    if not text or text in {"null", "undefined"} or len(text) > PASS_ID_CHARS or not _TOKEN.match(text):
        return None
    return text


def owner_tag(pass_id: str, secret: bytes) -> str:
    """The keyed hash of a Pass that stands in object keys: ownership without a table, and it leaks nothing."""
    return hmac.new(secret, b"owner\n" + pass_id.encode(), hashlib.sha256).hexdigest()[:_OWNER_TAG_HEX]


def log_name(pass_id: str, secret: bytes) -> str:
    """What a log line says instead of the Pass ID."""
    return "p_" + hmac.new(secret, b"log\n" + pass_id.encode(), hashlib.sha256).hexdigest()[:12]


def row_name(pass_id: str, secret: bytes) -> str:
    """What another row's id says instead of the Pass ID (`credit_transaction:grant:<pass>`)."""
    return hmac.new(secret, b"row\n" + pass_id.encode(), hashlib.sha256).hexdigest()[:_OWNER_TAG_HEX]
