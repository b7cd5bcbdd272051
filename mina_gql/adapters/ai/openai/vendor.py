"""OpenAI as a vendor of the registry: who captions, who writes, who moderates, and whether the key is taken."""

import asyncio
import re
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import orjson

from mina_gql.adapters.ai.openai.schemas import CAPTION_SCHEMA, response_format
from mina_gql.adapters.ai.pictures import data_url
from mina_gql.adapters.ai.registry import ModelVendor, VendorRefused
from mina_gql.adapters.ai.retries import FaultKind, VendorFault, failed, with_retries
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.config import Role
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.ports import (
    Caption,
    CaptionRequest,
    JsonObject,
    Moderator,
    Picture,
    Usage,
    Vision,
    Writer,
    WriteRequest,
    Written,
)

if TYPE_CHECKING:
    from openai.types import ModerationMultiModalInputParam
    from openai.types.chat import ChatCompletionContentPartParam

    from mina_gql.adapters.ai.openai.calls import Answer, OpenAICalls

BASE_URL = "https://api.openai.com/v1"

_NO_KEY = re.compile(r"[^!-~]")
_CLOSELY = frozenset({"product", "logo"})
"""What is looked at in detail; of the rest only the mood matters."""
_SIDE = {"high": 2_048, "low": 1_024}
"""Pixels of the longest side that are of use at a level of detail."""


class OpenAIVendor(ModelVendor):
    """Captions, prompts and moderation. Nothing is loaded, and no connection opened, before the first call.

    `inline=False` gives a model the picture's URL instead of its bytes, for a store that can be reached from outside.
    """

    def __init__(self, api_key: str, sandbox: Sandbox, base_url: str = "", *, inline: bool = True) -> None:
        # What was copied with the key, a line end or a typographic space, is left out; an error about it would tell the key.
        self._connection = Connection(_NO_KEY.sub("", api_key), base_url or BASE_URL)
        self._sandbox = sandbox
        self._inline = inline

    async def close(self) -> None:
        """Give the connections back."""
        await self._connection.close()

    def vision(self, role: Role) -> Vision:
        return OpenAIVision(self._connection, role.model, self._sandbox, inline=self._inline)

    def writer(self, role: Role) -> Writer:
        return OpenAIWriter(self._connection, role.model)

    def moderator(self, role: Role) -> Moderator:
        return OpenAIModerator(self._connection, role.model, self._sandbox)

    async def check(self) -> str:
        """List the models: free of charge, and it needs the key. Raises VendorRefused."""
        calls = await self._connection.calls()
        try:
            served = await calls.models()
        except VendorFault as fault:
            raise VendorRefused(_what_to_change(fault)) from None
        missing = sorted(model for model in _expected_models() if not calls.serves(model, served))
        if not missing:
            return "the key is taken"
        return (
            f"the key is taken, but not for {' and '.join(missing)}: "
            "give it access, or name other models in the configuration mma.provider.registry"
        )


class Connection:
    """One client for all roles, made at the first call: importing `openai` takes most of a second."""

    def __init__(self, api_key: str, base_url: str) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._calls: OpenAICalls | None = None

    async def calls(self) -> "OpenAICalls":
        """The client."""
        if self._calls is None:
            module = await asyncio.to_thread(import_module, "mina_gql.adapters.ai.openai.calls")
            if self._calls is None:  # somebody else may have been here meanwhile
                self._calls = module.OpenAICalls(self._api_key, self._base_url)
        return self._calls

    async def close(self) -> None:
        """Give the connections back."""
        if self._calls is not None:
            await self._calls.close()


class OpenAIVision:
    """Implements `domain.ports.Vision`."""

    name = "openai"

    def __init__(self, connection: Connection, model: str, sandbox: Sandbox, *, inline: bool) -> None:
        self._connection = connection
        self._sandbox = sandbox
        self._inline = inline
        self.model = model

    async def caption(self, request: CaptionRequest) -> Caption:
        """What a picture shows. Raises GenerationFailed."""
        detail = "high" if request.subject in _CLOSELY else "low"
        url = await data_url(request.picture, _SIDE[detail], self._sandbox) if self._inline else request.url
        parts: list[ChatCompletionContentPartParam] = [
            {"type": "text", "text": request.prompt},
            {"type": "image_url", "image_url": {"url": url, "detail": "high" if detail == "high" else "low"}},
        ]
        calls = await self._connection.calls()
        answer = await with_retries(
            lambda: calls.chat(self.model, request.system, parts, response_format("caption", CAPTION_SCHEMA))
        )
        value = _value(answer.text)
        caption, line = value.get("caption"), value.get("line")
        if not isinstance(caption, str) or not caption.strip():
            raise failed(VendorFault(FaultKind.BAD_OUTPUT, reason=answer.finish))
        return Caption(caption, line if isinstance(line, str) else None, _usage(answer, request.system, request.prompt))


class OpenAIWriter:
    """Implements `domain.ports.Writer`. What people wrote is in the user's message, never among the instructions."""

    name = "openai"

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection = connection
        self.model = model

    async def write(self, request: WriteRequest) -> Written:
        """The answer to a task; `{}` where it is no JSON object, or was cut short. Raises GenerationFailed."""
        calls = await self._connection.calls()
        answer = await with_retries(
            lambda: calls.chat(self.model, request.system, request.prompt, response_format(request.task, request.schema))
        )
        return Written(_value(answer.text), _usage(answer, request.system, request.prompt))


class OpenAIModerator:
    """Implements `domain.ports.Moderator`. Costs nothing."""

    name = "openai"

    def __init__(self, connection: Connection, model: str, sandbox: Sandbox) -> None:
        self._connection = connection
        self._sandbox = sandbox
        self.model = model

    async def flagged(self, *, text: str | None = None, picture: Picture | None = None) -> list[str]:
        """The categories that a text or a picture falls under, such as `violence/graphic`. Raises GenerationFailed."""
        parts: list[ModerationMultiModalInputParam] = []
        if text:
            parts.append({"type": "text", "text": text})
        if picture:
            url = await data_url(picture, _SIDE["low"], self._sandbox)
            parts.append({"type": "image_url", "image_url": {"url": url}})
        if not parts:
            return []
        calls = await self._connection.calls()
        return await with_retries(lambda: calls.flagged(self.model, parts))


def _value(text: str) -> JsonObject:
    try:
        value: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _usage(answer: "Answer", *asked: str) -> Usage:
    return Usage(answer.model, sum(map(len, asked)), len(answer.text), answer.input_tokens, answer.output_tokens)


def _expected_models() -> frozenset[str]:
    """The models of the registry as it is delivered."""
    roles: Mapping[str, Mapping[str, Any]] = SEED["mma.provider.registry"]["roles"]
    return frozenset(role["model"] for role in roles.values() if role["vendor"] == "openai")


def _what_to_change(fault: VendorFault) -> str:
    """Which setting is wrong and how to mend it, never its value."""
    if fault.kind in {FaultKind.UNREACHABLE, FaultKind.TIMEOUT}:
        return f"OPENAI_BASE_URL: no answer ({fault}). Look whether this machine reaches it, or leave it unset for OpenAI's own."
    match fault.status:
        case None | 404 | 405:
            return f"OPENAI_BASE_URL: what answers there is no such API ({fault}). Set it with /v1 at its end, or leave it unset."
        case 429:
            return f"OPENAI_API_KEY: its account is out of funds or of calls ({fault}). Look at its billing and limits."
        case 403:
            return (
                f"OPENAI_API_KEY: the key may not do this ({fault}). Let it list and use models, from this country and network."
            )
        case status if status >= 500:
            return f"OPENAI_API_KEY: cannot be tried now ({fault}). Try again in a while."
        case _:
            return f"OPENAI_API_KEY: the key is not taken ({fault}). Copy it anew, or make a new one and set it."
