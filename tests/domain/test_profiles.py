"""What a person may say of themselves, and what a language tag looks like (FEATURES N7, C14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.profiles import LOCALE_CHARS, MAX_MONTHLY_PACKS, MAX_PACKS, NAME_CHARS, checked, language_tag

ZONES = {"asia/dubai": "Asia/Dubai", "utc": "UTC"}

# RFC 5646, appendix A, and the examples of section 2.1.1; grandfathered ones of section 2.2.8.
WELL_FORMED = """
    de fr ja i-enochian zh-Hant zh-Hans sr-Cyrl sr-Latn zh-cmn-Hans-CN cmn-Hans-CN zh-yue-HK yue-HK zh-Hans-CN sr-Latn-RS sl-rozaj
    sl-rozaj-biske sl-nedis de-CH-1901 sl-IT-nedis hy-Latn-IT-arevela de-DE en-US es-419 de-CH-x-phonebk az-Arab-x-aze-derbend
    x-whatever qaa-Qaaa-QM-x-southern de-Qaaa sr-Latn-QM sr-Qaaa-RS en-US-u-islamcal zh-CN-a-myext-x-private
    en-a-myext-b-another mn-Cyrl-MN mN-cYrL-Mn en-ca-x-ca sgn-BE-FR az-Latn-x-latn en-GB-oed i-klingon art-lojban zh-min-nan
    abcd en-u-ca-gregory-nu-latn x-a-b-c en-1994 en-1994-1999
"""
NOT_WELL_FORMED = """
    1 de-419-DE a-DE ar-a-aaa-b-bbb-a-ccc en- -en e en--US en_US en-US-GB-extra-x en-x x i-unknown en-a en-u-x-y de-1901-1901
    abcdefghi en-abcdefghi sl-rozaj-rozaj ünïcode en-ÄE ١٢٣ en-\u212a en-x-abcdefghi de-a-b
"""


@pytest.mark.parametrize("tag", WELL_FORMED.split())
def test_a_tag_of_the_standard_s_examples_is_one(tag):
    assert language_tag(tag).lower() == tag.lower()


@pytest.mark.parametrize("text", [*NOT_WELL_FORMED.split(), "", "en US", "en\n", "x" + "-a" * LOCALE_CHARS])
def test_what_the_grammar_does_not_make_is_no_tag(text):
    assert language_tag(text) is None


@pytest.mark.parametrize(
    ("said", "usual"),
    [
        ("mn-cYRL-mn", "mn-Cyrl-MN"),
        ("MN-CYRL-MN", "mn-Cyrl-MN"),
        ("EN-ca-X-Ca", "en-CA-x-ca"),
        ("SGN-be-fr", "sgn-BE-FR"),
        ("AZ-LATN-X-LATN", "az-Latn-x-latn"),
        ("en-gb-OED", "en-GB-oed"),
        ("DE-de-U-CO-PHONEBK-kn-true", "de-DE-u-co-phonebk-kn-true"),
        ("X-AB-Abcd", "x-ab-abcd"),
        ("ES-419", "es-419"),
    ],
)
def test_a_tag_is_kept_in_the_case_that_the_standard_shows(said, usual):
    """RFC 5646, section 2.1.1."""
    assert language_tag(said) == usual


@given(st.from_regex(r"\A[a-zA-Z]{2,3}(-[a-zA-Z]{4})?(-[a-zA-Z]{2})?(-u(-[a-zA-Z0-9]{2,8}){1,3})?\Z"))
def test_the_case_of_a_tag_means_nothing(tag):
    usual = language_tag(tag)
    assert usual is not None
    assert usual == language_tag(usual) == language_tag(tag.swapcase())
    assert usual.lower() == tag.lower()


@given(st.text())
def test_no_text_breaks_the_reading_of_tags(text):
    found = language_tag(text)
    assert found is None or (found.lower() == text.lower() and found.isascii())


def test_names_are_trimmed_normalised_and_on_one_line():
    said = {"display_name": "  Jose\u0301\x00 \n\t Pérez ", "first_name": "Ann", "last_name": "   "}
    assert checked(said, ZONES) == {"display_name": "José Pérez", "first_name": "Ann", "last_name": None}


def test_only_what_was_said_is_written_and_null_clears():
    assert checked({}, ZONES) == {}
    cleared = dict.fromkeys(("display_name", "first_name", "last_name", "locale", "timezone", "auto_topup_monthly_limit_packs"))
    assert checked(cleared, ZONES) == cleared


def test_a_time_zone_is_kept_in_its_own_case():
    assert checked({"timezone": " ASIA/dubai "}, ZONES) == {"timezone": "Asia/Dubai"}


@pytest.mark.parametrize("value", [1, MAX_PACKS])
def test_the_ends_of_what_may_be_bought_at_a_time_are_within(value):
    assert checked({"topup_default_packs": value}, ZONES) == {"topup_default_packs": value}


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("display_name", "x" * (NAME_CHARS + 1), "displayName"),
        ("first_name", "x" * (NAME_CHARS + 1), "firstName"),
        ("last_name", "x" * (NAME_CHARS + 1), "lastName"),
        ("locale", "British English", "locale"),
        ("locale", "en_US", "locale"),
        ("locale", "", "locale"),
        ("timezone", "Asia/Dubay", "timezone"),
        ("timezone", "+04:00", "timezone"),
        ("timezone", "", "timezone"),
        ("marketing_opt_in", None, "marketingOptIn"),
        ("product_updates_opt_in", None, "productUpdatesOptIn"),
        ("auto_topup_enabled", None, "autoTopupEnabled"),
        ("topup_default_packs", None, "topupDefaultPacks"),
        ("topup_default_packs", 0, "topupDefaultPacks"),
        ("topup_default_packs", MAX_PACKS + 1, "topupDefaultPacks"),
        ("auto_topup_monthly_limit_packs", 0, "autoTopupMonthlyLimitPacks"),
        ("auto_topup_monthly_limit_packs", MAX_MONTHLY_PACKS + 1, "autoTopupMonthlyLimitPacks"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(name, value, field):
    with pytest.raises(InvalidInput) as refused:
        checked({"display_name": "Ann", name: value}, ZONES)
    assert refused.value.field == ["input", field]
    assert refused.value.message.endswith(".")
