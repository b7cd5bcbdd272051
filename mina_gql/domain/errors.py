"""Every error Mina raises on purpose, each with a stable code; the edge maps the tree once.

MinaError
├── Refusal                    the request's content: shown in `userErrors`, the person can mend it
│   ├── InvalidInput           INVALID_INPUT
│   ├── NotFound               NOT_FOUND
│   ├── InsufficientMatcha     INSUFFICIENT_MATCHA
│   ├── ImageRequired          IMAGE_REQUIRED
│   ├── AssetNotOurs           ASSET_NOT_OURS
│   ├── AssetRejected          ASSET_REJECTED
│   ├── RemoteFetchRefused     REMOTE_FETCH_REFUSED
│   ├── IdempotencyKeyReused   IDEMPOTENCY_KEY_REUSED
│   ├── NotCancellable         NOT_CANCELLABLE
│   ├── VideoTweakDisabled     VIDEO_TWEAK_DISABLED
│   ├── AccountDisabled        ACCOUNT_DISABLED
│   ├── VerificationRequired   VERIFICATION_REQUIRED
│   ├── ProviderNotConfigured  PROVIDER_NOT_CONFIGURED
│   └── Conflict               CONFLICT
├── RequestError               the request itself: a top-level error with `extensions.code`
│   ├── Unauthenticated        UNAUTHENTICATED
│   ├── Forbidden              FORBIDDEN
│   ├── NoSuchThing            NOT_FOUND
│   ├── LimitExceeded          LIMIT_EXCEEDED
│   ├── Throttled              THROTTLED
│   └── TimedOut               TIMEOUT
├── GenerationFailed           ends a generation in ERROR with a `FailureCode` (`domain.pipeline`)
├── LeaseLost                  another worker has taken the generation over
└── ShopifyPayloadError, ShopAway, ShopRefused      of the shop, in `domain.shopify`

Faults of what Mina stands on are no part of the tree: `ports.StorageError`, `mega.database.DatabaseAway`.
"""

import re
from collections.abc import Sequence
from typing import ClassVar, Self

DETAIL_CHARS = 2_000
_ADDRESS = re.compile(r"https?://[^\s'\"<>]+")


class MinaError(Exception):
    """The base of all errors that are part of Mina's contract."""


class Refusal(MinaError):
    """A refusal that belongs to the request's content.

    `message` is shown to people and says what to change; `field` is the path into the input, outermost first.
    """

    code: ClassVar[str]

    def __init__(self, message: str, field: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.field = list(field)


class InvalidInput(Refusal):
    """The input breaks a rule that the schema cannot express."""

    code = "INVALID_INPUT"


class NotFound(Refusal):
    """The thing named does not exist, or is somebody else's: the two look the same."""

    code = "NOT_FOUND"


class InsufficientMatcha(Refusal):
    """Too little matcha for the action. `required` and `balance` are in matcha."""

    code = "INSUFFICIENT_MATCHA"

    def __init__(self, required: int, balance: int, checkout_url: str | None = None) -> None:
        super().__init__(f"This takes {required} matcha and you have {balance}. Get more matcha to go on.")
        self.required = required
        self.balance = balance
        self.checkout_url = checkout_url


class ImageRequired(Refusal):
    """A clip needs a still to begin with."""

    code = "IMAGE_REQUIRED"


class AssetNotOurs(Refusal):
    """A picture that is not one of the caller's own uploads or outputs."""

    code = "ASSET_NOT_OURS"


class AssetRejected(Refusal):
    """Bytes that are not an acceptable picture."""

    code = "ASSET_REJECTED"


class RemoteFetchRefused(Refusal):
    """An address that is not fetched, or does not give a picture."""

    code = "REMOTE_FETCH_REFUSED"


class NotCancellable(Refusal):
    """A generation that has ended, or whose paid call went out and was cancelled too often today."""

    code = "NOT_CANCELLABLE"


class VideoTweakDisabled(Refusal):
    """Clips take feedback, and are not made anew from it, unless the runtime knob `video_tweak.enabled` says so."""

    code = "VIDEO_TWEAK_DISABLED"


class IdempotencyKeyReused(Refusal):
    """The same idempotency key came with another input."""

    code = "IDEMPOTENCY_KEY_REUSED"


class AccountDisabled(Refusal):
    """The Pass was disabled by an admin."""

    code = "ACCOUNT_DISABLED"


class ProviderNotConfigured(Refusal):
    """No model is set up for a role that the request needs."""

    code = "PROVIDER_NOT_CONFIGURED"


class VerificationRequired(Refusal):
    """The action needs a login with a verified e-mail."""

    code = "VERIFICATION_REQUIRED"


class Conflict(Refusal):
    """The thing has changed meanwhile; read it again and retry."""

    code = "CONFLICT"


class RequestError(MinaError):
    """A fault of the request itself: a top-level error with `extensions.code`."""

    code: ClassVar[str]
    http_status: ClassVar[int] = 200

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unauthenticated(RequestError):
    """No proven Pass where one is needed, or a token that does not hold."""

    code = "UNAUTHENTICATED"
    http_status = 401


class Forbidden(RequestError):
    """Proven, but not allowed."""

    code = "FORBIDDEN"
    http_status = 403


class NoSuchThing(RequestError):
    """The thing a query or subscription names does not exist, or is somebody else's."""

    code = "NOT_FOUND"
    http_status = 404


class LimitExceeded(RequestError):
    """The request is larger, deeper or dearer than allowed."""

    code = "LIMIT_EXCEEDED"
    http_status = 400


class Throttled(RequestError):
    """Too many requests; `retry_after_ms` says when to try again."""

    code = "THROTTLED"
    http_status = 429

    def __init__(self, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class TimedOut(RequestError):
    """The request took longer than allowed."""

    code = "TIMEOUT"
    http_status = 504


class GenerationFailed(MinaError):
    """Ends a generation in ERROR. `code` is a `FailureCode`; `message` is for people, `detail` for admins, without addresses."""

    def __init__(self, code: str, message: str, *, detail: str | None = None, retryable: bool = True) -> None:
        super().__init__(detail or message)
        self.code = code
        self.message = message
        self.detail = _ADDRESS.sub("<address>", detail or message)[:DETAIL_CHARS]
        self.retryable = retryable
        self.step_type: str | None = None

    def at(self, step_type: str) -> Self:
        """The same failure, knowing the step it came from."""
        self.step_type = step_type
        return self


class LeaseLost(MinaError):
    """Another worker has taken the generation over, or it has ended: this run must stop without writing."""
