"""The calls to OpenAI's API: chat completions, moderations, models; and what their failures mean.

Importing `openai` takes most of a second, so nothing imports this module before its first call (`vendor.Connection`).
Chat completions, not the Responses API that OpenAI recommends for new work: both serve all that Mina asks for, and
proxies that speak OpenAI's API speak this one. https://developers.openai.com/api/reference/resources/chat
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import httpx2
import openai
import orjson
import structlog
from openai import AsyncOpenAI, omit
from openai.types import ModerationMultiModalInputParam
from openai.types.chat import ChatCompletionContentPartParam
from openai.types.shared_params import ResponseFormatJSONSchema

from mina_gql.adapters.ai.retries import FaultKind, VendorFault

CALL_SECONDS = 40.0
"""The longest answer of one try: two fit into what the pipeline gives a step."""
CONNECT_SECONDS = 5.0
MAX_TOKENS = 8_192
"""Of an answer, what a reasoning model thinks included; it only stops one that does not end."""

_MODERATED = frozenset({"content_policy_violation", "content_filter", "invalid_prompt", "moderation_blocked"})
"""Error codes of a request that is refused for what it asks."""
_NO_FUNDS = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Error codes of 429 that no wait mends."""

log = structlog.get_logger(__name__)


class Answer(NamedTuple):
    """What a chat completion says. `finish` is its `finish_reason`; tokens are None where they are not told."""

    text: str
    finish: str
    model: str
    input_tokens: int | None
    output_tokens: int | None


class Raw(Protocol):
    """An answer that the library has not read."""

    @property
    def content(self) -> bytes: ...


class OpenAICalls:
    """One client for all calls: `api_key` and `base_url` (ending in /v1). Each call raises VendorFault, and is one try."""

    def __init__(self, api_key: str, base_url: str) -> None:
        timeout = httpx2.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS)
        self._client = AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, timeout=timeout)
        self._is_openai = is_openai(base_url)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def chat(
        self, model: str, system: str, user: str | Sequence[ChatCompletionContentPartParam], schema: ResponseFormatJSONSchema
    ) -> Answer:
        """Ask a model. Raises VendorFault, MODERATED where it refuses."""
        content = user if isinstance(user, str) else list(user)
        completion = await _tried(
            lambda: self._client.chat.completions.with_raw_response.create(
                model=model,
                messages=[{"role": "system", "content": system}, {"role": "user", "content": content}],
                response_format=schema,
                max_completion_tokens=MAX_TOKENS,
                # What people write is not to be kept there; a proxy may not know the word.
                store=False if self._is_openai else omit,
            )
        )
        return _answer(completion)

    async def flagged(self, model: str, parts: Sequence[ModerationMultiModalInputParam]) -> list[str]:
        """The categories that the parts fall under. Raises VendorFault.

        A proxy that serves no such model moderates nothing: there, nothing is flagged. OpenAI always has it.
        """
        try:
            moderation = await _tried(lambda: self._client.moderations.with_raw_response.create(model=model, input=list(parts)))
        except VendorFault as fault:
            if self._is_openai or fault.status in {None, 401, 403, 429} or await self._serves(model):
                raise
            log.warning("no moderation is served at OPENAI_BASE_URL, so nothing is moderated", model=model)
            return []
        return _categories(moderation)

    async def models(self) -> frozenset[str]:
        """The models that this key may use. Raises VendorFault."""
        page = await _tried(self._client.models.with_raw_response.list)
        with _read_with_care():
            return frozenset(str(model["id"]) for model in page["data"])

    @staticmethod
    def serves(model: str, listed: Collection[str]) -> bool:
        """Whether a model is among those listed; some proxies list patterns, such as `*`, which leave it open."""
        return model in listed or any("*" in each for each in listed)

    async def _serves(self, model: str) -> bool:
        """Whether a proxy serves a model; it does not where it cannot even list what it serves."""
        try:
            return self.serves(model, await self.models())
        except VendorFault as fault:
            if fault.status in {404, 405, 501}:
                return False
            raise


def is_openai(base_url: str) -> bool:
    """Whether this is OpenAI itself, wherever it keeps the data, and not a proxy."""
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


async def _tried(call: Callable[[], Awaitable[Raw]]) -> Any:
    """The JSON of one try of a call, in its time. Raises VendorFault.

    It is read here and not by the library, which makes of a web page or of half a body what it never promised.
    """
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return orjson.loads((await call()).content)
    except TimeoutError:
        fault = VendorFault(FaultKind.TIMEOUT)
    except openai.APIStatusError as error:
        fault = _status_fault(error)
    except openai.APIConnectionError as error:
        fault = VendorFault(_kind(error.__cause__))
    except (openai.OpenAIError, httpx2.HTTPError, orjson.JSONDecodeError):
        fault = VendorFault(FaultKind.CUT)
    raise fault  # out here it has no context: the library's errors carry request, key and body along


def _kind(cause: BaseException | None) -> FaultKind:
    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout | httpx2.UnsupportedProtocol):
        return FaultKind.UNREACHABLE
    return FaultKind.TIMEOUT if isinstance(cause, httpx2.TimeoutException) else FaultKind.CUT


def _status_fault(error: openai.APIStatusError) -> VendorFault:
    words = {word for word in (error.code, error.type) if isinstance(word, str)}
    headers = error.response.headers
    return VendorFault(
        FaultKind.MODERATED if words & _MODERATED and error.status_code < 500 else FaultKind.STATUS,
        status=error.status_code,
        headers=dict(headers),
        reason=error.code if isinstance(error.code, str) and not error.code.isdigit() else error.type,
        final=bool(words & _NO_FUNDS) or headers.get("x-should-retry") == "false",
    )


def _answer(completion: Any) -> Answer:
    with _read_with_care():
        choice, usage = completion["choices"][0], completion.get("usage") or {}
        message, finish = choice["message"], str(choice.get("finish_reason"))
        text, refused = message.get("content"), bool(message.get("refusal"))
        model, counts = str(completion["model"]), (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    if refused or finish == "content_filter":
        raise VendorFault(FaultKind.MODERATED, reason="refusal" if refused else finish)
    tokens = [count if isinstance(count, int) else None for count in counts]
    return Answer(text if isinstance(text, str) else "", finish, model, *tokens)


def _categories(moderation: Any) -> list[str]:
    with _read_with_care():
        results = moderation["results"]
        found = {name for result in results for name, is_flagged in result["categories"].items() if is_flagged}
        return sorted(found) or (["unnamed"] if any(result["flagged"] for result in results) else [])


@contextmanager
def _read_with_care() -> Iterator[None]:
    """Not every proxy answers as the description says. Raises VendorFault."""
    try:
        yield
    except (AttributeError, KeyError, IndexError, TypeError):
        raise VendorFault(FaultKind.BAD_OUTPUT) from None
