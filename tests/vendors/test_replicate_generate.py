"""A prediction from the order to the file: asked once, told before it is waited for, taken up again, redacted (J1, J5, R2, R5)."""

import asyncio

import orjson
import pytest

from mina_gql.adapters.ai.registry import VendorRefused
from mina_gql.domain.config import role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.errors import GenerationFailed, LeaseLost, ProviderNotConfigured
from mina_gql.domain.pipeline import FailureCode
from tests.vendors.replicate_server import Accident, Replicate, clip_bytes, still_bytes
from tests.vendors.replicate_studio import NEVER, Till, bus, hurried, opened, registry_role, replicate, request, till

__all__ = ["bus", "hurried", "replicate", "till"]

SECRETS = ("X-Amz-", "Signature=", "replicate.delivery", "http", "data:", "r8_")


async def test_a_still_is_asked_for_waited_for_and_written_to_the_file(replicate: Replicate, till: Till):
    """R2: starting, processing, succeeded."""
    media = await till.still()
    assert till.path.read_bytes() == still_bytes()
    assert replicate.asked[0] == "POST /v1/models/bytedance/seedream-4/predictions"
    assert replicate.created == 1
    assert till.ids == list(replicate.predictions)
    assert media.response["status"] == "succeeded"


async def test_a_clip_is_asked_for_waited_for_and_written_to_the_file(replicate: Replicate, till: Till):
    replicate.output = "text"
    await till.clip()
    assert till.path.read_bytes() == clip_bytes()
    assert replicate.asked[0] == "POST /v1/models/kwaivgi/kling-v2.1/predictions"


async def test_name_and_model_are_the_registrys(till: Till):
    """R3: they become `mg_provider`, `mg_model` and the step's type."""
    model = till.vendor.media(registry_role("still"))
    assert (model.name, model.model) == ("seedream", "bytedance/seedream-4")
    clip = till.vendor.media(registry_role("video"))
    assert (clip.name, clip.model) == ("kling", "kwaivgi/kling-v2.1")


async def test_the_id_is_told_before_it_is_waited_for(replicate: Replicate, till: Till):
    """R5: what is looked at first is a prediction whose id is kept."""

    async def accepted(name: str) -> None:
        assert not any(line.startswith("GET") for line in replicate.asked)
        till.ids.append(name)

    model = till.vendor.media(registry_role("still"))
    await model.generate(request("product"), till.path, prediction_id=None, accepted=accepted)
    assert len(till.ids) == 1
    assert any(line.startswith("GET /v1/predictions/") for line in replicate.asked)


async def test_an_id_that_cannot_be_kept_is_cancelled_and_the_error_goes_on(replicate: Replicate, till: Till):
    till.ids.fault = LeaseLost()
    with pytest.raises(LeaseLost):
        await till.still()
    assert replicate.cancelled == till.ids
    assert not any(line.startswith("GET") for line in replicate.asked)


async def test_a_cancel_that_fails_does_not_hide_why_it_was_tried(hurried, replicate: Replicate, till: Till):
    till.ids.fault = LeaseLost()
    replicate.cancels = [Accident(500)] * 50
    with pytest.raises(LeaseLost):
        await till.still()


async def test_a_run_that_was_interrupted_waits_for_its_prediction_and_pays_nothing(replicate: Replicate, till: Till):
    """J5: no second bill."""
    await till.still()
    replicate.asked.clear()
    first, till.ids[:] = till.ids[0], []
    till.path.unlink()
    media = await till.still(prediction_id=first)
    assert till.path.read_bytes() == still_bytes()
    assert replicate.created == 1
    assert not any(line.startswith("POST") for line in replicate.asked)
    assert till.ids == []
    assert media.response["prediction_id"] == first


@pytest.mark.parametrize("refused", [False, True], ids=["shutdown", "cancelled by the person"])
async def test_a_run_that_is_stopped_while_the_answer_is_on_its_way_makes_no_orphan(replicate: Replicate, till: Till, refused):
    """R5: stopped between a paid call and its answer, it keeps the id; where nobody wants that any more, it cancels."""
    gate, told = asyncio.Event(), asyncio.Event()

    async def accepted(name: str) -> None:
        told.set()
        await gate.wait()
        till.ids.append(name)
        if refused:
            raise LeaseLost

    model = till.vendor.media(registry_role("still"))
    run = asyncio.create_task(model.generate(request("product"), till.path, prediction_id=None, accepted=accepted))
    await told.wait()
    run.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert till.ids == list(replicate.predictions)
    assert replicate.cancelled == (till.ids if refused else [])


async def test_a_run_that_is_stopped_while_it_waits_leaves_the_prediction_alone(replicate: Replicate, bus, till: Till):
    replicate.hold = True
    run = asyncio.create_task(till.still())
    await replicate.looked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert replicate.cancelled == []
    await replicate.release()
    await till.still(prediction_id=till.ids[0])
    assert replicate.created == 1


async def test_cancel_stops_the_prediction_and_is_fine_when_it_has_ended_or_is_unknown(replicate: Replicate, till: Till):
    replicate.hold = True
    run = asyncio.create_task(till.still())
    await replicate.looked.wait()
    model = till.vendor.media(registry_role("still"))
    await model.cancel(till.ids[0])
    with pytest.raises(GenerationFailed) as caught:
        await run
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    await model.cancel(till.ids[0])
    await model.cancel("neverheardof")
    assert replicate.cancelled == [till.ids[0]] * 2


async def test_what_is_kept_for_admins_names_pictures_by_slot_and_holds_no_address(replicate: Replicate, till: Till):
    """J1, E5: the request and the response, without secrets."""
    media = await till.still(request("product", "logo", size="2K"))
    assert media.request == {
        "model": "bytedance/seedream-4",
        "input": {"prompt": "A bottle on wet stone", "aspect_ratio": "3:2", "image_input": ["product", "logo"], "size": "2K"},
    }
    assert media.response == {
        "prediction_id": till.ids[0],
        "model": "bytedance/seedream-4",
        "version": "hidden",
        "status": "succeeded",
        "metrics": {"predict_time": 8.25, "image_count": 1},
        "bytes": len(still_bytes()),
    }
    kept = orjson.dumps([media.request, media.response]).decode()
    assert not [secret for secret in SECRETS if secret in kept]


async def test_a_pinned_version_is_asked_for_as_such(replicate: Replicate, till: Till):
    await till.still(model="pinned/model:" + "a" * 64)
    assert replicate.asked[0] == "POST /v1/predictions"
    assert replicate.bodies[0]["version"] == "a" * 64


async def test_a_role_that_the_vendor_cannot_fill_is_refused_before_anything_is_asked(till: Till):
    """R4."""
    with pytest.raises(ProviderNotConfigured):
        till.vendor.media(role_of(SEED["mma.provider.registry"], "writer"))
    with pytest.raises(ProviderNotConfigured):
        till.vendor.vision(registry_role("still"))


async def test_the_doctor_is_told_whose_token_it_is(till: Till):
    assert await till.vendor.check() == "token of mina"


@pytest.mark.parametrize(
    ("token", "path", "words"),
    [("r8_wrong", "", "make a new one"), ("r8_tokén", "", "Copy it anew"), ("r8_x", "/nowhere", "without /v1")],
)
async def test_the_doctor_is_told_what_to_mend(replicate: Replicate, bus, token, path, words):
    async with opened(replicate.base + path, bus, token=token) as vendor:
        with pytest.raises(VendorRefused, match=words) as caught:
            await vendor.check()
    assert token not in str(caught.value)
    assert "REPLICATE_" in str(caught.value)


async def test_the_doctor_is_told_that_nobody_is_there(bus, free_port):
    async with opened(f"http://127.0.0.1:{free_port}", bus) as vendor:
        with pytest.raises(VendorRefused, match="REPLICATE_BASE_URL"):
            await vendor.check()


async def test_a_token_with_a_line_end_works(replicate: Replicate, bus, tmp_path):
    async with opened(replicate.base, bus, token=f"\u00a0{replicate.token}\n", pace=NEVER) as vendor:
        replicate.steps = ["succeeded"]
        await Till(vendor, tmp_path).still()
    assert replicate.created == 1
