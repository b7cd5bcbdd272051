"""What tests ask an OpenAI for: a vendor at a fake server, its roles, requests and pictures."""

from base64 import b64decode
from io import BytesIO
from typing import Any

from PIL import Image

from mina_gql.adapters.ai.openai import OpenAIVendor
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.config import Role, role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.ports import CaptionRequest, Picture, WriteRequest
from mina_gql.services.pipeline.steps.words import PROMPT_SCHEMA
from tests.vendors.openai_server import KEY, OpenAIServer


def vendor_at(server: OpenAIServer | str, key: str = KEY, *, sandbox: Sandbox | None = None, **options: Any) -> OpenAIVendor:
    """A vendor whose OPENAI_BASE_URL is the server, or this URL. It needs a sandbox for large pictures only."""
    return OpenAIVendor(key, sandbox or Sandbox(), server if isinstance(server, str) else server.url, **options)


def role(name: str, model: str | None = None) -> Role:
    """A role of the registry as it is delivered, with another model where one is named."""
    registry = SEED["mma.provider.registry"]
    entry = registry["roles"][name]
    return role_of({"roles": {name: entry | {"model": model or entry["model"]}}}, name)


def picture(width: int = 40, height: int = 30, mode: str = "RGB", kind: str = "PNG") -> Picture:
    """A red picture, its left half transparent where it can be."""
    image = Image.new(mode, (width, height), (200, 20, 30, 255)[: len(mode)])
    if mode == "RGBA":
        image.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    out = BytesIO()
    image.save(out, kind)
    return Picture(out.getvalue(), f"image/{kind.lower()}", width, height)


def opened(url: str) -> Image.Image:
    """The picture of a data URL; its type must be what it says."""
    head, _, data = url.partition(";base64,")
    image = Image.open(BytesIO(b64decode(data, validate=True)))
    assert head == f"data:{Image.MIME[image.format or '']}"
    return image


def caption_request(subject: str = "product", of: Picture | None = None) -> CaptionRequest:
    """Look at a picture."""
    return CaptionRequest(
        of or picture(), "https://files.example/p.png", subject, "You look at one picture.", f"This is the {subject}."
    )


def write_request(prompt: str = "<data>Brief: a bag</data>", task: str = "gpt_reader") -> WriteRequest:
    """Write a prompt."""
    return WriteRequest(task, "You write one prompt.", prompt, {"brief": "a bag"}, PROMPT_SCHEMA)
