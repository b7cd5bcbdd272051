"""Captions and moderation over OpenAI's API (FEATURES R2, I4): what is sent, and what is made of the answer."""

from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from PIL import Image

from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import Picture, Usage
from tests.vendors.openai_roles import caption_request, opened, picture, role, vendor_at
from tests.vendors.openai_server import OpenAIServer, completion, moderation


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    await sandbox.close()


@pytest.fixture
async def vision(server, sandbox):
    vendor = vendor_at(server, sandbox=sandbox)
    yield vendor.vision(role("vision"))
    await vendor.close()


@pytest.fixture
async def moderator(server, sandbox):
    vendor = vendor_at(server, sandbox=sandbox)
    yield vendor.moderator(role("moderation"))
    await vendor.close()


# ---------------------------------------------------------------- captions


async def test_a_picture_is_captioned(server, vision):
    caption = await vision.caption(caption_request())
    assert caption.text == "A red leather bag."
    assert caption.line == "What a lovely red!"


async def test_what_a_caption_used_is_told(server, vision):
    """I4: tokens, chars and the model that answered, which is not the one asked for."""
    said = {"caption": "A bag.", "line": "Nice!"}
    server.answer(completion(said))
    request = caption_request()
    caption = await vision.caption(request)
    asked, answered = len(request.system) + len(request.prompt), len('{"caption": "A bag.", "line": "Nice!"}')
    assert caption.usage == Usage("gpt-4.1-mini-2025-04-14", asked, answered, input_tokens=321, output_tokens=45)
    assert (vision.name, vision.model) == ("openai", "gpt-4.1-mini")


async def test_the_picture_goes_inside_the_request(server, vision):
    """A store on this machine cannot be reached from outside; and the context's text is the system's, never the picture's."""
    await vision.caption(caption_request())
    system, user = server.asked.body["messages"]
    assert system == {"role": "system", "content": "You look at one picture."}
    text, image = user["content"]
    assert text == {"type": "text", "text": "This is the product."}
    assert opened(image["image_url"]["url"]).size == (40, 30)


async def test_a_public_store_may_give_the_url_instead(server):
    vendor = vendor_at(server, inline=False)
    await vendor.vision(role("vision")).caption(caption_request())
    await vendor.close()
    assert server.asked.body["messages"][1]["content"][1]["image_url"]["url"] == "https://files.example/p.png"


@pytest.mark.parametrize(
    ("subject", "detail", "side"),
    [
        ("product", "high", 2048),
        ("logo", "high", 2048),
        ("inspiration", "low", 1024),
        ("input_still", "low", 1024),
        ("output_still", "low", 1024),
    ],
)
async def test_products_and_logos_are_looked_at_closely(server, vision, subject, detail, side):
    """And no more pixels are sent than are looked at."""
    await vision.caption(caption_request(subject, picture(3000, 1500, kind="JPEG")))
    image = server.asked.body["messages"][1]["content"][1]["image_url"]
    assert image["detail"] == detail
    assert opened(image["url"]).size == (side, side // 2)


async def test_what_is_transparent_is_seen_on_white(server, vision):
    await vision.caption(caption_request(of=picture(2100, 100, mode="RGBA")))
    image = opened(server.asked.body["messages"][1]["content"][1]["image_url"]["url"])
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert min(image.getpixel((10, 50))) > 245
    assert image.getpixel((2000, 50))[0] > image.getpixel((2000, 50))[1] + 100


@pytest.mark.parametrize(("mode", "colour"), [("I;16", 30_000), ("L", 117), ("P", 5), ("1", 0), ("LA", (117, 255))])
async def test_every_kind_of_png_is_seen_as_it_is(server, vision, mode, colour):
    image, out = Image.new(mode, (2100, 40), colour), BytesIO()
    if mode == "P":
        image.putpalette([117] * 768)
    image.save(out, "PNG")
    await vision.caption(caption_request(of=Picture(out.getvalue(), "image/png", 2100, 40)))
    seen = opened(server.asked.body["messages"][1]["content"][1]["image_url"]["url"])
    assert (seen.mode, seen.size[0]) == ("RGB", 2048)
    assert all(abs(value - (0 if mode == "1" else 117)) <= 2 for value in seen.getpixel((9, 9)))


async def test_a_picture_that_cannot_be_read_is_not_sent(server, vision):
    """A model's output may be anything; it is decoded in the sandbox alone."""
    broken = picture(3000, 2000).data[:-40]
    with pytest.raises(GenerationFailed) as caught:
        await vision.caption(caption_request(of=Picture(broken, "image/png", 3000, 2000)))
    assert caught.value.code == FailureCode.ASSET_UNREADABLE
    assert server.requests == []


async def test_a_heavy_picture_is_made_lighter(server, vision):
    heavy = picture(2000, 2000)
    heavy = type(heavy)(heavy.data + b"\0" * 5_000_000, heavy.content_type, 2000, 2000)
    await vision.caption(caption_request(of=heavy))
    assert len(server.asked.body["messages"][1]["content"][1]["image_url"]["url"]) < 200_000


@pytest.mark.parametrize(
    "said",
    [
        "A red bag.",
        '{"caption": "A red',
        '{"caption": ""}',
        '{"caption": "  ", "line": "x"}',
        '{"caption": 5}',
        "[]",
        "null",
        "",
        None,
    ],
)
async def test_an_answer_without_a_caption_is_no_caption(server, vision, said):
    server.answer(completion(said))
    with pytest.raises(GenerationFailed) as caught:
        await vision.caption(caption_request())
    assert caught.value.code == FailureCode.BAD_MODEL_OUTPUT
    assert len(server.requests) == 1


@pytest.mark.parametrize("line", [None, 5, ["x"]])
async def test_a_caption_stands_without_its_line(server, vision, line):
    server.answer(completion({"caption": "A bag.", "line": line}))
    assert (await vision.caption(caption_request())).line is None


# ---------------------------------------------------------------- moderation


async def test_what_is_fine_is_not_flagged(server, moderator):
    assert await moderator.flagged(text="a red bag") == []
    assert server.asked.body == {"model": "omni-moderation-latest", "input": [{"type": "text", "text": "a red bag"}]}


async def test_flagged_categories_are_told_by_their_published_names(server, moderator):
    server.answer(moderation("violence", "self-harm/intent"))
    assert await moderator.flagged(text="…") == ["self-harm/intent", "violence"]


async def test_a_picture_is_moderated(server, moderator):
    server.answer(moderation("violence/graphic"))
    assert await moderator.flagged(picture=picture(3000, 300)) == ["violence/graphic"]
    (part,) = server.asked.body["input"]
    assert part["type"] == "image_url"
    assert opened(part["image_url"]["url"]).width == 1024


async def test_nothing_is_asked_about_nothing(server, moderator):
    assert await moderator.flagged() == []
    assert await moderator.flagged(text="") == []
    assert server.requests == []


async def test_flagged_without_a_known_category_is_still_flagged(server, moderator):
    verdict = moderation().body
    verdict["results"][0]["flagged"] = True
    server.answer(type(moderation())(verdict))
    assert await moderator.flagged(text="…") == ["unnamed"]
