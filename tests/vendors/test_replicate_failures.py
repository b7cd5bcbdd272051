"""When the vendor fails: what is asked again, what is looked up first, and what is never asked twice (J5, R5, E11)."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from mina_gql.adapters.ai.replicate import outputs
from mina_gql.adapters.ai.replicate.outputs import Outputs
from mina_gql.adapters.ai.retries import VendorFault
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from tests.vendors.replicate_server import SIGNED, Accident, Replicate, running, still_bytes
from tests.vendors.replicate_studio import MemoryBus, Till, bus, hurried, opened, registry_role, replicate, request, till

__all__ = ["bus", "hurried", "replicate", "till"]

LOST = [Accident(500, made=True), Accident(503, made=True), Accident(made=True, cut=True), Accident(made=True, hang_up=True)]
NOT_MADE = [Accident(500), Accident(502), Accident(cut=True), Accident(hang_up=True)]


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """The seconds of each wait before another try."""
    told: list[float] = []
    before = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: told.append(details.wait_for)])
    yield told
    stamina.instrumentation.set_on_retry_hooks(before)


def lists(replicate: Replicate) -> int:
    return replicate.asked.count("GET /v1/predictions")


# ---------------------------------------------------------------- asking


@pytest.mark.parametrize("in_body", [False, True], ids=["header", "body"])
async def test_too_many_requests_waits_as_told_and_asks_again(replicate: Replicate, till: Till, waits, monkeypatch, in_body):
    """R5: nothing was made, so nothing is looked up. The vendor tells the wait in a header or in the body."""
    monkeypatch.setattr("mina_gql.adapters.ai.retries.FIRST_WAIT", 0.0)
    monkeypatch.setattr("mina_gql.adapters.ai.retries.JITTER", 0.0)
    replicate.creates = [Accident(429, retry_after=0.07, in_body=in_body)]
    await till.still()
    assert waits == [pytest.approx(0.07)]
    assert replicate.created == 1
    assert lists(replicate) == 0


async def test_three_500s_in_a_row_are_survived_with_one_prediction(hurried, replicate: Replicate, till: Till):
    """DESIGN section 14: each is looked up first, for it may have been made."""
    replicate.creates = [Accident(500), Accident(500), Accident(500)]
    await till.still()
    assert replicate.created == 1
    assert lists(replicate) == 3
    assert till.path.read_bytes() == still_bytes()


@pytest.mark.parametrize("accident", LOST, ids=str)
async def test_a_prediction_whose_answer_was_lost_is_found_and_not_paid_twice(
    hurried, replicate: Replicate, till: Till, accident
):
    replicate.creates = [accident]
    await till.still()
    assert replicate.created == 1
    assert till.ids == list(replicate.predictions)


@pytest.mark.parametrize("accident", NOT_MADE, ids=str)
async def test_a_prediction_that_surely_was_not_made_is_asked_for_again(hurried, replicate: Replicate, till: Till, accident):
    replicate.creates = [accident]
    await till.still()
    assert replicate.created == 1
    assert len(replicate.bodies) == 2


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([*NOT_MADE, Accident(429)]), max_size=3), st.lists(st.sampled_from(LOST), max_size=1))
async def test_whatever_happens_to_the_answers_there_is_one_prediction(before, lost):
    """R5, as a property: four accidents of any kind, the last of which may hide that it was made."""
    with stamina.set_testing(True, attempts=100, cap=True), TemporaryDirectory() as folder:
        async with running(Replicate(creates=[*before, *lost])) as vendor, opened(vendor.base, MemoryBus()) as ours:
            till = Till(ours, Path(folder))
            await till.still()
            assert vendor.created == 1
            assert till.ids == list(vendor.predictions)


@pytest.mark.parametrize("fault", [Accident(500), Accident(cut=True), Accident(401)], ids=str)
@pytest.mark.parametrize("made", [True, False])
async def test_without_the_list_it_is_not_asked_again(hurried, replicate: Replicate, till: Till, fault, made):
    replicate.creates = [Accident(500, made=made)]
    replicate.lists = [fault] * 50
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert len(replicate.bodies) == 1
    assert till.ids == []


@pytest.mark.parametrize(
    ("theirs", "model"),
    [
        (request("logo"), "bytedance/seedream-4"),
        (request(), "bytedance/seedream-4"),
        (request("product", "logo"), "bytedance/seedream-4"),
        (request("product", prompt="Another"), "bytedance/seedream-4"),
        (request("product", size="4K"), "bytedance/seedream-4"),
        (request("product"), "bytedance/seedream-4.5"),
    ],
    ids=["another picture", "no picture", "more pictures", "other words", "another size", "another model"],
)
async def test_somebody_elses_prediction_is_not_taken_for_ours(hurried, replicate: Replicate, bus, tmp_path, theirs, model):
    """Made by another process at the same time."""
    async with opened(replicate.base, bus) as another, opened(replicate.base, bus) as vendor:
        await Till(another, tmp_path).still(theirs, model=model)
        replicate.creates = [Accident(500)]
        till = Till(vendor, tmp_path)
        await till.still(request("product", size="2K"))
    assert replicate.created == 2
    assert till.ids == list(replicate.predictions)[1:]


async def test_the_vendors_client_tries_nothing_again_by_itself(replicate: Replicate, till: Till):
    """Its own transport would, nine times and for as long as it is told to wait."""
    replicate.polls = [Accident(503), Accident(429, retry_after=0)]
    for status in (503, 429):
        with pytest.raises(VendorFault) as caught:
            await till.vendor._api.get("any")
        assert caught.value.status == status
    assert len(replicate.asked) == 2


async def test_our_own_earlier_prediction_of_the_same_words_is_not_taken_either(hurried, replicate: Replicate, till: Till):
    await till.still()
    replicate.creates = [Accident(500)]
    await till.still()
    assert replicate.created == 2
    assert len(set(till.ids)) == 2


async def test_two_lost_answers_to_the_same_words_find_one_prediction_each(hurried, replicate: Replicate, till: Till, tmp_path):
    replicate.creates = [Accident(500, made=True), Accident(500, made=True)]
    other = Till(till.vendor, tmp_path / "other")
    other.path.parent.mkdir()
    await asyncio.gather(till.still(), other.still())
    assert replicate.created == 2
    assert {*till.ids, *other.ids} == set(replicate.predictions)


async def test_yesterdays_prediction_of_the_same_words_is_not_taken(hurried, replicate: Replicate, bus, tmp_path):
    """By another process, so that ours does not know it."""
    async with opened(replicate.base, bus) as another:
        await Till(another, tmp_path).still()
    (old,) = replicate.predictions.values()
    old["created_at"] = "2026-11-20T08:00:00.123456789Z"
    replicate.creates = [Accident(500)]
    async with opened(replicate.base, bus) as vendor:
        await Till(vendor, tmp_path).still()
    assert replicate.created == 2


@pytest.mark.parametrize("ahead", [-3600, 3600])
async def test_a_clock_that_is_off_does_not_make_ours_look_old_or_yesterdays_new(
    hurried, replicate: Replicate, bus, tmp_path, ahead
):
    """What counts is the vendor's own time, which its answers tell."""
    replicate.clock = ahead
    async with opened(replicate.base, bus) as another:
        await Till(another, tmp_path).still()
    (old,) = replicate.predictions.values()
    old["created_at"] = (replicate._now() - timedelta(minutes=2)).isoformat()
    replicate.creates = [Accident(500, made=True)]
    async with opened(replicate.base, bus) as vendor:
        till = Till(vendor, tmp_path)
        await till.still()
    assert replicate.created == 2
    assert till.ids != [old["id"]]


async def test_one_that_cannot_be_told_apart_is_neither_taken_nor_asked_for_again(hurried, replicate: Replicate, bus, tmp_path):
    """Pictures that were sent along are listed under addresses: with the same words it may be somebody else's product."""
    replicate.lists_inlined_as_urls = True
    replicate.creates = [Accident(500, made=True)]
    async with opened(replicate.base, bus, inline=True) as vendor:
        with pytest.raises(GenerationFailed) as caught:
            await Till(vendor, tmp_path).still()
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert len(replicate.bodies) == 1


async def test_the_same_words_with_somebodys_picture_are_not_taken_for_ours_without_one(
    hurried, replicate: Replicate, bus, tmp_path
):
    """What we did not send may be a default that the vendor adds, or a picture: nobody knows, so it ends."""
    async with opened(replicate.base, bus) as another, opened(replicate.base, bus) as vendor:
        await Till(another, tmp_path).still(request("product"))
        replicate.creates = [Accident(500)]
        with pytest.raises(GenerationFailed):
            await Till(vendor, tmp_path).still(request())
    assert replicate.created == 1


async def test_nobody_there_is_tried_again_and_then_told(hurried, bus, free_port, tmp_path):
    async with opened(f"http://127.0.0.1:{free_port}", bus) as vendor:
        with pytest.raises(GenerationFailed) as caught:
            await Till(vendor, tmp_path).still()
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert "tries" in caught.value.detail


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
async def test_a_refusal_ends_it_at_once(hurried, replicate: Replicate, till: Till, status):
    replicate.creates = [Accident(status)] * 2
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert not caught.value.retryable
    assert len(replicate.bodies) == 1


async def test_an_answer_that_never_ends_is_given_up_and_looked_up(hurried, replicate: Replicate, till: Till, monkeypatch):
    monkeypatch.setattr("mina_gql.adapters.ai.replicate.api.CALL_SECONDS", 0.2)
    replicate.creates = [Accident(made=True, slow=True)]
    await till.still()
    assert replicate.stalled.is_set()
    assert replicate.created == 1


# ---------------------------------------------------------------- waiting


async def test_looks_that_fail_are_looked_again_for_as_long_as_it_takes(replicate: Replicate, till: Till):
    """A prediction that is paid for is not given up for a vendor that stumbles."""
    replicate.polls = [
        Accident(500),
        Accident(429, retry_after=0.001),
        Accident(503),
        Accident(cut=True),
        Accident(hang_up=True),
    ] * 3
    await till.still()
    assert replicate.polls == []
    assert replicate.created == 1


async def test_a_prediction_that_is_gone_ends_it(replicate: Replicate, till: Till):
    with pytest.raises(GenerationFailed) as caught:
        await till.still(prediction_id="goneforever")
    assert caught.value.code == FailureCode.PROVIDER_ERROR
    assert replicate.created == 0


@pytest.mark.parametrize(
    "error",
    [
        "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (x7fK)",
        "NSFW content detected. Try running it again, or try a different prompt.",
        "Failure to pass the risk control system",
    ],
)
async def test_what_the_vendor_will_not_make_is_told_as_that(replicate: Replicate, till: Till, error):
    replicate.steps, replicate.error = ["processing", "failed"], error
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.MODERATED
    assert not caught.value.retryable
    assert error[:20] in caught.value.detail


@pytest.mark.parametrize("status", ["failed", "canceled", "aborted"])
async def test_what_came_to_nothing_is_told_kindly_and_without_addresses(replicate: Replicate, till: Till, status):
    replicate.steps = ["starting", status]
    replicate.error = f"cannot read https://x.replicate.delivery/a.png?{SIGNED} (pbxt.replicate.delivery/b?{SIGNED})"
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    failure = caught.value
    assert failure.code == FailureCode.PROVIDER_ERROR
    assert status in failure.detail
    assert till.ids[0] in failure.detail
    assert not [word for word in ("Signature", "replicate", "http") if word in failure.detail + failure.message]


# ---------------------------------------------------------------- outputs


@pytest.mark.parametrize(
    "output",
    [None, "", [], [None], {}, {"video": "https://replicate.delivery/a.png"}, 7, ["data:image/png;base64,AAAA"], "no address"],
    ids=str,
)
async def test_an_output_that_is_none_is_told_as_that(replicate: Replicate, till: Till, output):
    replicate.output = output
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.BAD_MODEL_OUTPUT


async def test_the_first_of_several_outputs_is_taken(replicate: Replicate, till: Till):
    replicate.output = ["{base}/files/1/a.png", "{base}/files/2/b.png"]
    await till.still()
    assert replicate.asked[-1] == "GET /files/1/a.png"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/a.png",
        "https://replicate.delivery.evil.example/a.png",
        "https://notreplicate.delivery/a.png",
        "http://replicate.delivery/a.png",
        "https://replicate.delivery:8443/a.png",
        "https://me@replicate.delivery/a.png",
        "https://127.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/a.png",
        "file:///etc/passwd",
        "https://[::1/a.png",
        "https://evil.example\\.replicate.delivery/a.png",
        "https://replicate.delivery\\@evil.example/a.png",
        "https://evil.example#.replicate.delivery/a.png",
        "\nhttps://replicate.delivery/a.png",
        "//replicate.delivery/a.png",
        "https://replicate.delivery:99999/a.png",
    ],
)
async def test_an_output_elsewhere_is_not_fetched(replicate: Replicate, till: Till, url):
    """DESIGN section 9: the vendor's delivery hosts, or the origin of REPLICATE_BASE_URL, and no other inner address."""
    assert not till.vendor._outputs.is_allowed(url)
    replicate.output = [url]
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.BAD_MODEL_OUTPUT


async def test_the_vendors_delivery_hosts_are_allowed():
    away = Outputs()
    assert away.is_allowed("https://replicate.delivery/a.png")
    assert away.is_allowed("https://pbxt.replicate.delivery/a/b.mp4?x=1")
    assert away.is_allowed("https://PBXT.Replicate.Delivery:443/a.png")
    assert not away.is_allowed("http://127.0.0.1:9100/a.png")
    await away.close()


@pytest.mark.parametrize("location", ["https://evil.example/a.png", "http://127.0.0.1:1/a", "file:///etc/passwd", ""])
async def test_a_redirect_does_not_lead_elsewhere(replicate: Replicate, till: Till, location):
    replicate.downloads = [Accident(302, location=location)] * 10
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.BAD_MODEL_OUTPUT


async def test_a_redirect_on_the_same_host_is_followed(replicate: Replicate, till: Till):
    replicate.downloads = [Accident(307, location="{base}/files/2/b.png")]
    await till.still()
    assert till.path.read_bytes() == still_bytes()


async def test_a_download_that_breaks_is_begun_anew(hurried, replicate: Replicate, till: Till, monkeypatch):
    """E11: freely, for it costs nothing; and the file holds one whole output."""
    monkeypatch.setattr(outputs, "FETCH_SECONDS", 0.2)
    replicate.downloads = [Accident(500), Accident(hang_up=True), Accident(slow=True)]
    await till.still()
    assert till.path.read_bytes() == still_bytes()
    assert replicate.created == 1


async def test_an_output_that_is_too_large_is_not_taken(replicate: Replicate, till: Till, monkeypatch):
    monkeypatch.setitem(outputs.MAX_BYTES, "still", len(still_bytes()) - 1)
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.BAD_MODEL_OUTPUT
    assert "too_large" in caught.value.detail


async def test_an_output_that_has_expired_ends_it(replicate: Replicate, till: Till):
    replicate.downloads = [Accident(404)]
    with pytest.raises(GenerationFailed) as caught:
        await till.still()
    assert caught.value.code == FailureCode.PROVIDER_ERROR


async def test_no_failure_names_the_vendor_to_people(hurried, replicate: Replicate, till: Till):
    replicate.steps = ["failed"]
    for accident in (Accident(401), Accident(500), Accident(422), None):
        replicate.creates = [accident] * 50 if accident else []
        with pytest.raises(GenerationFailed) as caught:
            await till.still()
        words = caught.value.message.lower()
        assert not [name for name in ("replicate", "seedream", "kling", "model", "token", "http") if name in words]
        assert registry_role("still").model not in caught.value.detail
