"""Configuration: the knobs, what the seed says, contexts that keep data in its place, settings of a provider."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mina_gql.domain.config import RUNTIME_DEFAULTS, Context, RuntimeConfig, resolve_settings, role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import RATIOS

CONTEXTS = ("gpt_scanner", "gpt_reader", "gpt_feedback_still", "motion_suggestion", "gpt_reader_motion", "gpt_feedback_motion")
REGISTRY = SEED["mma.provider.registry"]
STILL, VIDEO = role_of(REGISTRY, "still"), role_of(REGISTRY, "video")
PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")


def context(template: str) -> Context:
    return Context("app_config:mma.ctx.x.v3", "mma.ctx.x", 3, "Be kind.", template)


# ---------------------------------------------------------------- the seed


def test_all_six_contexts_defaults_and_the_registry_are_seeded():
    assert set(SEED) == {
        *(f"mma.ctx.{name}" for name in CONTEXTS),
        "mma.provider.seedream.defaults",
        "mma.provider.kling.defaults",
        "mma.provider.registry",
    }


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_context_has_a_system_text_and_a_user_template_and_nothing_else(name):
    value = SEED[f"mma.ctx.{name}"]
    assert set(value) == {"system", "user_template"}
    assert all(text.strip() for text in value.values())
    assert "never an instruction" in value["system"]
    assert PLACEHOLDER.findall(value["user_template"])


@pytest.mark.parametrize("name", [name for name in CONTEXTS if name != "gpt_scanner"])
def test_what_people_and_pictures_say_stands_between_data_tags(name):
    template = SEED[f"mma.ctx.{name}"]["user_template"]
    before, inside, after = re.split(r"</?data>", template)
    assert PLACEHOLDER.findall(inside)
    assert not PLACEHOLDER.findall(before + after)


@pytest.mark.parametrize("name", [name for name in CONTEXTS if name != "gpt_scanner"])
def test_hard_blocks_are_in_every_context_that_writes_a_prompt(name):
    value = SEED[f"mma.ctx.{name}"]
    assert "hard_blocks" in PLACEHOLDER.findall(value["user_template"])
    assert "hard block" in value["system"]


def test_the_registry_has_a_role_for_each_kind_of_work():
    assert set(REGISTRY["roles"]) == {"vision", "writer", "moderation", "still", "video"}
    assert (STILL.provider, STILL.model, STILL.fallback) == ("seedream", "bytedance/seedream-4", None)
    assert (VIDEO.provider, VIDEO.model) == ("kling", "kwaivgi/kling-v2.1")
    assert role_of(REGISTRY, "writer").settings_schema == {"type": "object"}
    assert STILL.stored_only == {"quality", "guidance", "strength"}
    assert VIDEO.stored_only == {"fps"}


@pytest.mark.parametrize("role", [STILL, VIDEO], ids=["still", "video"])
def test_a_role_s_schema_is_valid_closed_and_takes_its_own_defaults(role):
    Draft202012Validator.check_schema(role.settings_schema)
    defaults = SEED[f"mma.provider.{role.provider}.defaults"]
    assert resolve_settings(role, {}, {}, {role.provider: defaults}) == {role.provider: defaults}
    assert role.settings_schema["additionalProperties"] is False


def test_every_ratio_reads_as_two_numbers():
    assert all(re.fullmatch(r"\d+:\d+", ratio) for ratio in RATIOS)


# ---------------------------------------------------------------- rendering


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_seeded_template_renders_whole(name):
    template = SEED[f"mma.ctx.{name}"]["user_template"]
    names = PLACEHOLDER.findall(template)
    rendered = context(template).render({each: f"[{each}]" for each in names})
    assert all(f"[{each}]" in rendered for each in names)
    assert "{{" not in rendered


def test_a_part_nobody_gave_is_empty():
    assert context("a{{ brief }}b{{brief}}c").render({}) == "abc"


def test_parts_are_not_rendered_themselves():
    assert (
        context("{{brief}} {{style}}").render({"brief": "{{style}}", "style": "{{brief}} \\1 \\g<0>"})
        == "{{style}} {{brief}} \\1 \\g‹0>"
    )


CLOSING = st.text(alphabet="<>/ dataDATA\n", max_size=40)


@given(CLOSING, CLOSING, CLOSING)
def test_parts_cannot_close_the_tag_they_stand_in(one, two, three):
    """Neither alone, nor nested in one another (`</da</data>ta>`), nor side by side."""
    template = "<data>\n{{a}}{{b}}\nMore: {{c}}\n</data>"
    rendered = context(template).render({"a": one, "b": two, "c": three})
    assert re.findall(r"<[^‹]*?>", rendered) == ["<data>", "</data>"]
    assert rendered.endswith("\n</data>")


@given(st.dictionaries(st.sampled_from(["brief", "style"]), st.text(alphabet=string.printable, max_size=30)))
def test_text_without_tags_is_rendered_as_it_is(parts):
    parts = {name: text.replace("<", "") for name, text in parts.items()}
    assert context("{{brief}}|{{style}}").render(parts) == f"{parts.get('brief', '')}|{parts.get('style', '')}"


def test_what_a_step_keeps_of_its_context():
    assert context("").use() == {"ctx_key": "mma.ctx.x", "ctx_version": 3, "ctx_id": "app_config:mma.ctx.x.v3"}


# ---------------------------------------------------------------- settings


def test_settings_are_defaults_then_preferences_then_the_request():
    resolved = resolve_settings(
        STILL,
        {"size": "2K", "enhance_prompt": True, "quality": "low"},
        {"seedream": {"size": "4K", "enhance_prompt": False}, "kling": {"mode": "pro"}},
        {"seedream": {"size": "1K"}},
    )
    assert resolved == {"seedream": {"size": "1K", "enhance_prompt": False, "quality": "low"}}


@pytest.mark.parametrize("request_", [None, {}, {"seedream": {}}])
def test_without_a_request_the_defaults_stand(request_):
    assert resolve_settings(STILL, {"size": "2K"}, {}, request_) == {"seedream": {"size": "2K"}}


def test_canonical_settings_that_the_model_lacks_are_taken():
    asked = {"quality": "high", "guidance": 7.5, "strength": 0}
    assert resolve_settings(STILL, {}, {}, {"seedream": asked}) == {"seedream": asked}


@pytest.mark.parametrize(
    ("role", "request_", "field", "says"),
    [
        (STILL, [], [], "object per provider"),
        (STILL, "2K", [], "object per provider"),
        (STILL, {"seedream": "2K"}, [], "object per provider"),
        (STILL, {"seedream": None}, [], "object per provider"),
        (STILL, {"kling": {}}, [], "“kling” is no provider here; this action takes settings for “seedream”"),
        (STILL, {"seedream": {}, "x" * 99: {}}, [], "“" + "x" * 40 + "” is no provider"),
        (STILL, {"seedream": {"colour": 1}}, ["seedream"], "“colour” is no setting of seedream. It knows: enhance_prompt"),
        (STILL, {"seedream": {"size": "8K"}}, ["seedream", "size"], "“size” must be one of 1K, 2K, 4K"),
        (STILL, {"seedream": {"size": None}}, ["seedream", "size"], "must be one of"),
        (STILL, {"seedream": {"max_images": 2}}, ["seedream", "max_images"], "“max_images” is not valid"),
        (STILL, {"seedream": {"enhance_prompt": "yes"}}, ["seedream", "enhance_prompt"], "not of type 'boolean'"),
        (STILL, {"seedream": {"guidance": 21}}, ["seedream", "guidance"], "greater than the maximum"),
        (STILL, {"seedream": {"guidance": True}}, ["seedream", "guidance"], "not of type 'number'"),
        (VIDEO, {"kling": {"durationSec": 7}}, ["kling", "durationSec"], "“durationSec” must be one of 5, 10"),
        (VIDEO, {"kling": {"negative_prompt": "x" * 501}}, ["kling", "negative_prompt"], "is not valid"),
        (VIDEO, {"kling": {"fps": 11, "mode": "turbo"}}, ["kling", "fps"], "less than the minimum"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_refused_clearly(role, request_, field, says):
    with pytest.raises(InvalidInput, match=re.escape(says)) as refused:
        resolve_settings(role, {}, {}, request_)
    assert refused.value.field == ["settings", *field]
    assert len(refused.value.message) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["seedream", "size", "x"]), inner, max_size=3),
)


@given(JSON)
def test_any_json_is_either_resolved_within_the_schema_or_refused(value):
    try:
        resolved = resolve_settings(STILL, {}, {}, value)
    except InvalidInput:
        return
    assert set(resolved) == {"seedream"}
    Draft202012Validator(STILL.settings_schema).validate(resolved["seedream"])


# ---------------------------------------------------------------- knobs


def test_the_knobs_are_as_designed():
    knobs = RuntimeConfig()
    assert [knobs.price(action) for action in BillableAction] == [1, 1, 5]
    assert (knobs.free_grant, knobs.days_valid) == (0, 30)
    assert (knobs.per_minute("ensure_pass"), knobs.per_minute("create"), knobs.per_minute("upload")) == (10, 20, 60)
    assert knobs.packs == [("MINA-50", 50), ("MINA-100", 100)]
    assert knobs.values["video_tweak.enabled"] is False
    assert set(RuntimeConfig().values) == set(RUNTIME_DEFAULTS)


def test_packs_are_sold_smallest_first():
    sku_map = {"MINA-100": {"matcha": 100}, "MINA-9": {"matcha": 9}, "MINA-50": {"matcha": 50}}
    assert RuntimeConfig({"shopify.sku_map": sku_map}).packs == [("MINA-9", 9), ("MINA-50", 50), ("MINA-100", 100)]
