"""Scans: a look for each picture that is there, and for no other (FEATURES group G)."""

from collections import Counter

import pytest

from tests.services.pipeline_workshop import Workshop

SCANS = {"scan_product", "scan_logo", "scan_inspiration"}


@pytest.mark.parametrize(
    ("product", "logo", "inspirations"),
    [(True, False, 0), (False, True, 0), (False, False, 1), (True, True, 0), (False, True, 2), (True, False, 4), (True, True, 4)],
)
async def test_every_picture_gets_a_step_a_caption_and_a_line_and_nothing_else_does(
    workshop: Workshop, product: bool, logo: bool, inspirations: int
) -> None:
    """G1, G2, G3, G5: the step names its picture and its place among several."""
    caller = await workshop.person(1)
    order = {name: await workshop.upload(caller) for name, given in (("product", product), ("logo", logo)) if given}
    urls = tuple([await workshop.upload(caller) for _ in range(inspirations)])
    workshop.models.eye.text = lambda request: f"seen at {request.url}"
    story = await workshop.made(caller, **{f"{name}_image_url": url for name, url in order.items()}, inspiration_image_urls=urls)

    steps = {
        (step["mg_step_type"], step["mg_payload"]["input"]["index"]): step
        for step in story.steps
        if step["mg_step_type"] in SCANS
    }
    looked = {(f"scan_{name}", 0): (name, url) for name, url in order.items()}
    looked |= {("scan_inspiration", index): ("inspiration", url) for index, url in enumerate(urls)}
    assert {place: step["mg_payload"]["input"]["assets"] for place, step in steps.items()} == {
        place: {name: url} for place, (name, url) in looked.items()
    }
    assert {place: step["mg_payload"]["output"]["crt"] for place, step in steps.items()} == {
        place: f"seen at {url}" for place, (_, url) in looked.items()
    }
    scans = story.generation["mg_mma_vars"]["scans"]
    assert (scans["product_crt"] is not None, scans["logo_crt"] is not None) == (product, logo)
    assert scans["inspiration_crt"] == [f"seen at {url}" for url in urls]

    lines = [line for line in story.generation["mg_mma_vars"]["userMessages"]["scan_lines"] if line["stage"] == "scanning"]
    told = Counter(line["text"] for line in lines if line["text"].startswith("I like this"))
    assert told == Counter(f"I like this {name}." for name, _ in looked.values())


async def test_a_look_that_is_remembered_adds_its_line_too(workshop: Workshop) -> None:
    """G5, G6: whoever waits is told as much the second time."""
    caller = await workshop.person(2)
    told = []
    for _ in range(2):
        story = await workshop.made(caller, product_image_url=await workshop.upload(caller, "cup"))
        told.append([line["stage"] for line in story.generation["mg_mma_vars"]["userMessages"]["scan_lines"]].count("scanning"))
    assert told == [2, 2], "one for the stage, one for the picture"
    assert len(workshop.models.eye.looks) == 1 + 2, "the product once, and each output"
