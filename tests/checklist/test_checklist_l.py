"""“Type for me” at the edge: free, needs an image, and not without end (FEATURES L1, L3)."""

from mina_gql.adapters.rates import MemoryRates
from tests.api.graphql.graphql_world import Api, code

SUGGEST = "mutation($input: SuggestMotionInput!) { suggestMotion(input: $input) { motionPrompt userErrors { code message } } }"


async def test_suggestions_cost_nothing_need_an_image_and_have_a_rate_of_their_own(bench: Api) -> None:
    """L1, L3: for somebody without any matcha; another Pass is not held up."""
    await bench.studio.knobs(limits_suggest=2)
    object.__setattr__(bench.studio.mina.services, "rates", MemoryRates())
    caller, other = await bench.studio.person(0), await bench.studio.person(0)
    own = {"inputStillUrl": await bench.studio.upload(caller), "motionBrief": "calm"}
    said = (await bench.data(caller, SUGGEST, input=own))["suggestMotion"]
    assert (said["motionPrompt"], said["userErrors"]) == ("A cup on stone, soft light.", [])
    [error] = (await bench.data(caller, SUGGEST, input={}))["suggestMotion"]["userErrors"]
    assert error["code"] == "IMAGE_REQUIRED"
    assert error["message"].startswith("I need an image")
    asked = len(bench.studio.models.pen.asked)
    assert code(await bench.ask(caller, SUGGEST, input=own)) == "THROTTLED"
    assert len(bench.studio.models.pen.asked) == asked
    assert (await bench.data(other, SUGGEST, input={}))["suggestMotion"]["motionPrompt"] is None
    assert await bench.studio.jobs() == []
