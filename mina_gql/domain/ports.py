"""What the services need from outside, as protocols. Adapters implement them; `bootstrap.py` joins the two."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mina_gql.domain.config import Role
from mina_gql.domain.passes import Login
from mina_gql.domain.pipeline import GenerationKind

JsonObject = dict[str, Any]

# ---------------------------------------------------------------- pictures and files


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded-and-checked picture. `width` and `height` in pixels, after turning it upright."""

    data: bytes
    content_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """Where and how to PUT the bytes: exactly these headers, within `expires_in` seconds."""

    url: str
    headers: Mapping[str, str]
    expires_in: int


class PictureReader(Protocol):
    """Checks bytes that claim to be a picture."""

    async def clean(self, data: bytes) -> Picture:
        """Decode by magic bytes, cap the pixels, turn upright, strip metadata, keep the format (JPEG, PNG, WebP).

        Raises AssetRejected with a message that says what is wrong.
        """
        ...

    def measure(self, data: bytes) -> Picture:
        """The same bytes with their type and size, from the header alone: for what was cleaned before. Raises AssetRejected."""
        ...


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a model's output is, seen by decoding it. `seconds` and `frame` (its first one, a JPEG) are a clip's alone."""

    content_type: str
    width: int
    height: int
    size: int
    seconds: float | None = None
    frame: Picture | None = None


class MediaInspector(Protocol):
    """Looks into what a model made, whichever model it was."""

    async def inspect(self, path: Path, kind: GenerationKind) -> MediaFacts:
        """Decode the file: a still is JPEG, PNG or WebP, a clip is MP4. Raises AssetRejected for all else, and if cut short."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bytes that were fetched from an address a person gave, and what the answer claims they are."""

    data: bytes
    content_type: str


class RemoteFetcher(Protocol):
    """Fetches a public https address for a person, and none that leads inside (DESIGN section 8)."""

    async def fetch(self, url: str) -> Fetched:
        """The bytes behind a URL. Raises RemoteFetchRefused with a message that says what to change."""
        ...


class ObjectStore(Protocol):
    """Public files under random keys. A key is `<folder>/<owner tag>/<32 hex digits>.<extension>`."""

    async def sign_upload(self, key: str, content_type: str, size: int | None) -> SignedUpload:
        """A signed PUT to the staging place of `key`; type and length are part of the signature.

        Without a length, as the first frontend asks (seed 003, 5.A), the bytes go through the app, which counts them.
        """
        ...

    async def read_staged(self, key: str) -> bytes | None:
        """The uploaded bytes that wait under `key`, or None."""
        ...

    async def discard_staged(self, key: str) -> None:
        """Remove what waits under `key`; fine when nothing does."""
        ...

    async def exists(self, key: str) -> bool:
        """Whether the final object is there."""
        ...

    async def read(self, key: str) -> bytes:
        """The final object's bytes. Raises StorageError when it is not there."""
        ...

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        """Store the final object; writing the same key again replaces it. Raises StorageError."""
        ...

    async def write_file(self, key: str, path: Path, content_type: str) -> None:
        """Store a file as the final object without holding it in memory; `path` stays. Raises StorageError."""
        ...

    async def remove_all(self, tag: str) -> int:
        """Remove every object of an owner tag, staged ones too; gives how many. Raises StorageError."""
        ...

    def public_url(self, key: str) -> str:
        """The permanent URL of the final object."""
        ...

    def key_of(self, url: str) -> str | None:
        """The key behind a public URL of this store, or None for any other URL."""
        ...

    def download_url(self, key: str, file_name: str) -> str:
        """A permanent URL that answers with `Content-Disposition: attachment` and this name."""
        ...

    async def check(self) -> str:
        """One line for `mina doctor`: what it is and that it works. Raises StorageError."""
        ...


class StorageError(Exception):
    """The object store did not do what it was asked to."""


# ---------------------------------------------------------------- models


@dataclass(frozen=True, slots=True)
class Usage:
    """What one model call used. Tokens are None where the vendor does not count them."""

    model: str
    input_chars: int
    output_chars: int
    input_tokens: int | None = None
    output_tokens: int | None = None

    def plus(self, other: "Usage") -> "Usage":
        """The use of two calls together."""
        return Usage(
            self.model,
            self.input_chars + other.input_chars,
            self.output_chars + other.output_chars,
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """`subject` is product, logo, inspiration, input_still or output_still; `system` is the context's text."""

    picture: Picture
    url: str
    subject: str
    system: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Caption:
    """What a captioner saw, and a friendly line about it (data, to be checked by the caller)."""

    text: str
    line: str | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """`parts` are the facts the text is made from; `schema` is the strict JSON Schema of the answer."""

    task: str
    system: str
    prompt: str
    parts: JsonObject
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class Written:
    """The answer as the model gave it, not yet checked against the schema."""

    value: JsonObject
    usage: Usage


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """What an image or video model is asked for. `pictures` maps a slot (product, logo, inspiration_0, …) to a picture."""

    generation: str
    prompt: str
    ratio: str
    settings: JsonObject
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Media:
    """How an image or video model made its output. Both are kept for admins, free of secrets and temporary URLs."""

    request: JsonObject
    response: JsonObject


Accepted = Callable[[str], Awaitable[None]]
"""Called with the vendor's prediction id, once, before waiting for it. Raises LeaseLost when the id could not be kept."""


class Vendor(Protocol):
    """What every model adapter tells of itself. `name` is stored as `mg_provider`, `model` as `mg_model`."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...


class Vision(Vendor, Protocol):
    """Describes pictures."""

    async def caption(self, request: CaptionRequest) -> Caption:
        """What a picture shows. Raises GenerationFailed."""
        ...


class Writer(Vendor, Protocol):
    """Writes text that follows a JSON Schema."""

    async def write(self, request: WriteRequest) -> Written:
        """The answer to a task. Raises GenerationFailed."""
        ...


class Moderator(Vendor, Protocol):
    """Says what must not be made or shown."""

    async def flagged(self, *, text: str | None = None, picture: Picture | None = None) -> list[str]:
        """The categories that a text or a picture falls under; none for what is fine. Raises GenerationFailed."""
        ...


class MediaModel(Vendor, Protocol):
    """Makes a picture or a clip. A paid call: see `generate`."""

    async def generate(self, request: MediaRequest, into: Path, *, prediction_id: str | None, accepted: Accepted) -> Media:
        """Ask for the output, tell its prediction id through `accepted`, wait for it, write it to the file `into`.

        With a `prediction_id` (a run that was interrupted) nothing is asked for again: it waits for that one.
        When `accepted` raises, the prediction is cancelled at the vendor and the error goes on.
        Raises GenerationFailed.
        """
        ...

    async def cancel(self, prediction_id: str) -> None:
        """Tell the vendor to stop; fine when it has ended."""
        ...


class Models(Protocol):
    """The models at hand, by role of the registry. All but `moderator` raise ProviderNotConfigured before anything is charged."""

    def vision(self, role: Role) -> Vision: ...

    def writer(self, role: Role) -> Writer: ...

    def media(self, role: Role) -> MediaModel:
        """Who makes the output of a `still` or `video` role."""
        ...

    def moderator(self, role: Role) -> Moderator | None:
        """Who moderates; None where nobody does (offline)."""
        ...


# ---------------------------------------------------------------- jobs and progress


class SqlConnection(Protocol):
    """The connection of the transaction at hand, for adapters that bring their own SQL."""

    async def fetch(self, sql: str, *args: object) -> list[dict[str, object]]: ...


class JobQueue(Protocol):
    """An at-least-once dispatcher of generations."""

    async def enqueue(self, connection: SqlConnection, generation: str, *, priority: int = 0) -> None:
        """Enqueue within the transaction at hand: the job exists exactly when the transaction commits.

        A generation has one job at most; enqueueing it again changes nothing.
        """
        ...


class ProgressBus(Protocol):
    """Wake-ups: carries no content, may lose messages, never blocks the sender for long."""

    async def announce(self, generation: str, seq: int) -> None:
        """Tell every process that a generation (its mg_id) has something new up to `seq`. After commit."""
        ...

    async def announce_topic(self, topic: str) -> None:
        """Tell every process that something else has changed: a balance, by the keyed hash of its Pass. After commit."""
        ...

    def watch(self, topic: str) -> AbstractAsyncContextManager["Wakeups"]:
        """Be woken for one topic; registered from entry to exit."""
        ...


class Wakeups(Protocol):
    """Wake-ups of one watcher, coalesced: any number of announcements before a wait make one return."""

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 -- it returns, it does not raise
        """Return at an announcement, or after `timeout` seconds."""
        ...


class Rates(Protocol):
    """How often something may be asked for."""

    async def hit(self, name: str, who: str, per_minute: int) -> None:
        """Count one request of `who` (a Pass or an address). Raises Throttled when it is one too many in a minute."""
        ...


# ---------------------------------------------------------------- sign-in


class TokenVerifier(Protocol):
    """Checks the tokens of the sign-in service."""

    async def verify(self, token: str) -> Login | None:
        """What the token says, or None for an anonymous sign-in. Raises Unauthenticated for a token that does not hold."""
        ...
