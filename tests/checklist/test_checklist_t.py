"""The buttons of the studio, each state made for real and read from the API alone (FEATURES T2 to T4; seed 003, section 14).

What a page knows by itself is which picture it chose and whether its own `PUT` still runs; all else is `quote`, the upload and
its confirmation, and the generation it follows. `still_button` and `animate_button` are the whole rule a page needs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from mina_gql.domain.passes import Caller
from tests.api.graphql.graphql_world import Api
from tests.services.pipeline_models import Gate
from tests.studio import PNG

FACTS = """query($action: BillableAction!, $id: ID! = "none") { quote(action: $action) { affordable shortBy estimatedSeconds }
  generation(id: $id) { status etaSeconds failure { retryable } } }"""
SIGN = """mutation($bytes: Int!) { createUpload(input: { contentType: "image/png", fileName: "p.png", bytes: $bytes }) {
  upload { key } } }"""
CONFIRM = "mutation($key: String!) { confirmUpload(key: $key) { asset { publicUrl } userErrors { code } } }"
REFUSALS = "generation { id } userErrors { code }"
CREATE = f'mutation {{ press: create(input: {{ brief: "A cup" }}) {{ {REFUSALS} }} }}'
ANIMATE = f"mutation($url: String) {{ press: animate(input: {{ inputStillUrl: $url }}) {{ {REFUSALS} }} }}"
RETRY = f"mutation($id: ID!) {{ press: retry(generationId: $id) {{ {REFUSALS} }} }}"


class Page(NamedTuple):
    """What a page holds: the picture it shows, the upload it waits for, and the generation it follows."""

    caller: Caller
    picture: str | None = None
    uploading: bool = False
    refused: bool = False
    generation: str | None = None


def still_button(page: Page, facts: dict[str, Any]) -> str:
    """The label of the still button."""
    return _busy(page, facts, "Creating…") or _ready(facts, "Create")


def animate_button(page: Page, facts: dict[str, Any]) -> str:
    """The label of the animate button."""
    generation = facts["generation"] or {}
    minutes = max(1, round((generation.get("etaSeconds") or facts["quote"]["estimatedSeconds"]) / 60))
    busy = _busy(page, facts, f"Animating… ({minutes} min)")
    return busy or ("I need an image" if page.picture is None else _ready(facts, "Animate"))


def _busy(page: Page, facts: dict[str, Any], working: str) -> str | None:
    if page.uploading:
        return "Uploading…"
    if page.refused:
        return "Upload image again"
    generation = facts["generation"]
    if generation is None or generation["status"] == "DONE":
        return None
    if generation["status"] != "ERROR":
        return working
    return "Retry" if generation["failure"]["retryable"] and facts["quote"]["affordable"] else None


def _ready(facts: dict[str, Any], ready: str) -> str:
    return ready if facts["quote"]["affordable"] else "I need matcha"


# ---------------------------------------------------------------- situations


async def fresh(api: Api, press: str) -> Page:
    return Page(await api.studio.person(10), picture=None)


async def with_picture(api: Api, press: str) -> Page:
    caller = await api.studio.person(10)
    return Page(caller, await api.studio.upload(caller))


async def sending(api: Api, press: str) -> Page:
    """Signed, and not confirmed: `confirmUpload` says NOT_FOUND until the bytes have come."""
    caller = await api.studio.person(10)
    upload = (await api.data(caller, SIGN, bytes=len(PNG)))["createUpload"]["upload"]
    [error] = (await api.data(caller, CONFIRM, key=upload["key"]))["confirmUpload"]["userErrors"]
    return Page(caller, uploading=error["code"] == "NOT_FOUND")


async def sent(api: Api, press: str) -> Page:
    caller = await api.studio.person(10)
    upload = (await api.data(caller, SIGN, bytes=len(PNG)))["createUpload"]["upload"]
    await api.studio.stage(upload["key"])
    return Page(caller, (await api.data(caller, CONFIRM, key=upload["key"]))["confirmUpload"]["asset"]["publicUrl"])


async def sent_something_else(api: Api, press: str) -> Page:
    caller = await api.studio.person(10)
    upload = (await api.data(caller, SIGN, bytes=len(PNG)))["createUpload"]["upload"]
    await api.studio.stage(upload["key"], b"<html>" + b"x" * (len(PNG) - 6))
    [error] = (await api.data(caller, CONFIRM, key=upload["key"]))["confirmUpload"]["userErrors"]
    return Page(caller, refused=error["code"] == "ASSET_REJECTED")


async def poor(api: Api, press: str) -> Page:
    """Four matcha: enough for a still, too little for a clip."""
    caller = await api.studio.person(4)
    return Page(caller, await api.studio.upload(caller))


async def broke(api: Api, press: str) -> Page:
    caller = await api.studio.person(0)
    return Page(caller, await api.studio.upload(caller))


async def expired(api: Api, press: str) -> Page:
    page = await with_picture(api, press)
    await api.studio.expire(page.caller)
    return page


async def ordered(api: Api, press: str) -> Page:
    page = await with_picture(api, press)
    return page._replace(generation=await _press(api, page, press))


async def done(api: Api, press: str) -> Page:
    page = await ordered(api, press)
    await api.studio.run(str(page.generation))
    return page


async def failed(api: Api, press: str) -> Page:
    page = await ordered(api, press)
    api.studio.models.pen.answers = [{}, {}]
    await api.studio.run(str(page.generation))
    return page


async def refused_for_good(api: Api, press: str) -> Page:
    """The same again would fail again: the page offers a new order, not a retry."""
    page = await ordered(api, press)
    api.studio.models.conscience.flags = lambda _: ["violence"]
    assert (await api.studio.run(str(page.generation))).generation["mg_error"] == "MODERATED"
    return page


async def failed_and_expired(api: Api, press: str) -> Page:
    page = await failed(api, press)
    await api.studio.expire(page.caller)
    return page


async def _press(api: Api, page: Page, press: str) -> str:
    """Order what the page's button orders; its id."""
    return str((await api.data(page.caller, press, **_given(page, press)))["press"]["generation"]["id"])


def _given(page: Page, press: str) -> dict[str, Any]:
    return {CREATE: {}, ANIMATE: {"url": page.picture}, RETRY: {"id": page.generation}}[press]


ABOUT_STILLS = ("CREATE", CREATE, still_button)
ABOUT_CLIPS = ("ANIMATE", ANIMATE, animate_button)
STATES = [
    # situation, still button, animate button, what pressing each is answered with where it does not order
    (fresh, "Create", "I need an image", None, "IMAGE_REQUIRED"),
    (with_picture, "Create", "Animate", None, None),
    (sending, "Uploading…", "Uploading…", None, "IMAGE_REQUIRED"),
    (sent, "Create", "Animate", None, None),
    (sent_something_else, "Upload image again", "Upload image again", None, "IMAGE_REQUIRED"),
    (poor, "Create", "I need matcha", None, "INSUFFICIENT_MATCHA"),
    (broke, "I need matcha", "I need matcha", "INSUFFICIENT_MATCHA", "INSUFFICIENT_MATCHA"),
    (expired, "I need matcha", "I need matcha", "INSUFFICIENT_MATCHA", "INSUFFICIENT_MATCHA"),
    (ordered, "Creating…", "Animating… (3 min)", None, None),
    (done, "Create", "Animate", None, None),
    (failed, "Retry", "Retry", None, None),
    (refused_for_good, "Create", "Animate", None, None),
    (failed_and_expired, "I need matcha", "I need matcha", "INSUFFICIENT_MATCHA", "INSUFFICIENT_MATCHA"),
]


@pytest.mark.parametrize("about_clips", [False, True], ids=["still", "animate"])
@pytest.mark.parametrize(
    ("situation", "still", "animate", "still_refusal", "animate_refusal"), STATES, ids=[row[0].__name__ for row in STATES]
)
async def test_a_button_says_what_pressing_it_does(
    bench: Api,
    situation: Callable[[Api, str], Awaitable[Page]],
    still: str,
    animate: str,
    still_refusal: str | None,
    animate_refusal: str | None,
    about_clips: bool,
) -> None:
    """T2, T3: the label follows from the API's answers, and the order that the label stands for is accepted or refused as it says."""
    action, press, button = ABOUT_CLIPS if about_clips else ABOUT_STILLS
    page = await situation(bench, press)
    facts = await bench.data(page.caller, FACTS, action=action, id=page.generation or "none")
    assert facts["quote"]["affordable"] is (facts["quote"]["shortBy"] == 0)
    label = button(page, facts)
    assert label == (animate if about_clips else still)

    press = RETRY if label == "Retry" else press
    pressed = (await bench.data(page.caller, press, **_given(page, press)))["press"]
    refusal = animate_refusal if about_clips else still_refusal
    assert [error["code"] for error in pressed["userErrors"]] == ([refusal] if refusal else [])
    assert (pressed["generation"] is None) is (refusal is not None)


@pytest.mark.parametrize("about_clips", [False, True], ids=["still", "animate"])
async def test_the_button_is_busy_from_the_order_to_the_end(bench: Api, about_clips: bool) -> None:
    """T2, T3: in the midst of each stage, as the page sees it."""
    workshop = bench.studio
    action, press, button = ABOUT_CLIPS if about_clips else ABOUT_STILLS
    page = await ordered(bench, press)
    camera = workshop.models.camera if about_clips else workshop.models.brush
    eye, pen, making = Gate(), Gate(), Gate()
    workshop.models.pen.before, camera.while_waiting = pen, making
    stages = [("PROMPTING", pen), ("GENERATING", making)]
    if about_clips:
        workshop.models.eye.before = eye
        stages.insert(0, ("SCANNING", eye))
    run = asyncio.create_task(workshop.mina.runner.run(page.generation))
    for status, gate in stages:
        await asyncio.wait_for(gate.reached.wait(), 20)
        facts = await bench.data(page.caller, FACTS, action=action, id=page.generation)
        assert facts["generation"]["status"] == status
        assert button(page, facts).startswith("Animating… (" if about_clips else "Creating…")
        gate.go.set()
    await run
    facts = await bench.data(page.caller, FACTS, action=action, id=page.generation)
    assert button(page, facts) == ("Animate" if about_clips else "Create")
    assert facts["generation"]["etaSeconds"] is None


async def test_a_retry_replays_the_inputs_at_no_cost_for_what_failed(bench: Api) -> None:
    """T4: a new id, the failed one stays and nets nothing, the same pictures and words."""
    workshop = bench.studio
    caller = await workshop.person(3)
    picture = await workshop.upload(caller)
    workshop.models.pen.answers = [{}, {}]
    failed_ = (await workshop.made(caller, product_image_url=picture, style="moody")).generation["mg_id"]
    assert await workshop.balance(caller) == 3
    document = "mutation($id: ID!) { retry(generationId: $id) { generation { id } pass { credits { balance } } } }"
    payload = (await bench.data(caller, document, id=failed_))["retry"]
    assert payload["generation"]["id"] != failed_
    assert payload["pass"]["credits"]["balance"] == 2
    await workshop.run(payload["generation"]["id"])
    asked = "status brief style ratio settings assets { productImageUrl }"
    found = await bench.data(
        caller,
        f"query($a: ID!, $b: ID!) {{ a: generation(id: $a) {{ {asked} }} b: generation(id: $b) {{ {asked} }} }}",
        a=failed_,
        b=payload["generation"]["id"],
    )
    assert (found["a"].pop("status"), found["b"].pop("status")) == ("ERROR", "DONE")
    assert found["a"] == found["b"]
    assert found["b"]["assets"] == {"productImageUrl": picture}
