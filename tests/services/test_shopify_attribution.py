"""Whose an order is: our reference > the Shopify customer > one verified e-mail > a new UNCLAIMED Pass."""

from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import strawberry

from mina_gql.api.graphql.checkout import CheckoutMutations
from mina_gql.api.graphql.user_errors import InvalidInput as GraphQLInvalidInput
from mina_gql.domain.errors import AccountDisabled, InvalidInput, ProviderNotConfigured, Unauthenticated
from mina_gql.domain.shopify import fingerprint
from mina_gql.services.shopify_orders import CheckoutService
from tests.services.shopify_shop import SHOP, Counter, attributes, order, refund
from tests.studio import NOBODY, SECRET

IDENTITY = ("mg_shopify_customer_id", "mg_user_id", "mg_email", "mg_verified_email", "mg_verification_method", "mg_display_name")


@pytest.fixture
async def counter(studio):
    counter = Counter(studio)
    yield counter
    await studio.check_books()


async def one(counter, **changes):
    """An order of one matcha; who got it."""
    before = await counter.balances()
    assert await counter.tell(order("MINA-1", 1, **changes)) == (1, 0)
    after = await counter.balances()
    return next(pass_id for pass_id in after if after[pass_id] != before.get(pass_id, 0))


# ---------------------------------------------------------------- our reference


async def test_the_reference_comes_before_everything_else(counter):
    buyer, other = await counter.studio.person(), await counter.signed_in("ann@example.com")
    reference = await counter.reference(buyer)
    await one(counter, customer={"id": 77})
    got = await one(counter, customer={"id": 77}, email="ann@example.com", note_attributes=attributes(mina_ref=reference))
    assert got == buyer.pass_id != other.pass_id


async def test_a_purchase_by_reference_writes_no_identity_and_shows_nothing(counter):
    victim = await counter.studio.person()
    before = await counter.row(victim.pass_id)
    reference = await counter.reference(victim)
    customer = {"id": 666, "email": "mallory@example.com", "first_name": "Mallory"}
    await one(counter, customer=customer, email="mallory@example.com", note_attributes=attributes(mina_ref=reference))
    after = await counter.row(victim.pass_id)
    assert [after[name] for name in IDENTITY] == [before[name] for name in IDENTITY]
    assert (await counter.studio.seen(victim.pass_id)).pass_id == victim.pass_id
    assert await one(counter, customer=customer, email="mallory@example.com") == "pass:shopify:666"
    assert (await counter.studio.seen(reference)).pass_id is None


@pytest.mark.parametrize("name", ["mina_ref", "mina_pass_id", "pass_id", "mg_pass_id"])
async def test_a_raw_pass_id_in_an_attribute_counts_for_nothing(counter, name):
    victim = await counter.studio.person()
    assert await one(counter, note_attributes=attributes(**{name: victim.pass_id})) != victim.pass_id


async def test_the_kept_fingerprint_is_no_reference(counter):
    buyer = await counter.studio.person()
    kept = fingerprint(await counter.reference(buyer))
    assert orjson.loads((await counter.row(buyer.pass_id))["mg_meta"])["deposit_ref"] == kept
    for forged in (kept, kept[:32]):
        assert await one(counter, note_attributes=attributes(mina_ref=forged)) != buyer.pass_id


async def test_the_reference_survives_linking_and_follows_merges(counter):
    buyer = await counter.studio.person()
    reference = attributes(mina_ref=await counter.reference(buyer))
    linked = await counter.signed_in("ann@example.com", presented=buyer.pass_id)
    assert await one(counter, note_attributes=reference) == linked.pass_id == buyer.pass_id

    another = await counter.studio.person()
    reference = attributes(mina_ref=await counter.reference(another))
    bought = order("MINA-50", 1, note_attributes=reference)
    await counter.tell(bought)
    assert (await counter.sign_in(linked.login, another.pass_id)).pass_id == buyer.pass_id
    assert await one(counter, note_attributes=reference) == buyer.pass_id
    assert await counter.tell(refund(bought, 1), "refunds/create") == (0, 50)


async def test_a_disabled_pass_still_gets_what_was_paid_for(counter):
    buyer = await counter.studio.person()
    reference = attributes(mina_ref=await counter.reference(buyer))
    await counter.studio.disable(buyer)
    assert await one(counter, note_attributes=reference) == buyer.pass_id


async def test_what_an_erased_pass_had_goes_to_the_next_rule(counter):
    buyer = await counter.studio.person()
    reference = attributes(mina_ref=await counter.reference(buyer))
    await one(counter, customer={"id": 77})
    await counter.studio.sql.execute("update mega_customers set mg_deleted_at = now()")
    paid = order("MINA-1", 1, customer={"id": 77}, note_attributes=reference)
    assert await counter.tell(paid) == (1, 0)
    row = await counter.row(f"pass:shopify:order-{paid['id']}")
    assert (row["mg_credits"], row["mg_shopify_customer_id"]) == (1, "77")


# ---------------------------------------------------------------- the Shopify customer


async def test_a_known_customer_keeps_their_pass_whatever_the_e_mail_says(counter):
    await counter.signed_in("ann@example.com")
    assert await one(counter, customer={"id": 77}, email="bob@example.com") == "pass:shopify:77"
    assert await one(counter, customer={"id": 77}, email="ann@example.com") == "pass:shopify:77"


async def test_a_link_that_was_only_claimed_needs_the_verified_e_mail_on_the_order(counter):
    claimer = await counter.signed_in("mallory@example.com")
    await counter.studio.passes.link_shopify(claimer, "77")
    assert await one(counter, customer={"id": 77}, email="MALLORY@example.com") == claimer.pass_id
    assert await one(counter, customer={"id": 77}, email="ann@example.com") == "pass:shopify:77"
    assert await one(counter, customer={"id": 77}) == "pass:shopify:77"
    assert (await counter.row("pass:shopify:77"))["mg_shopify_customer_id"] is None


# ---------------------------------------------------------------- the e-mail


async def test_one_verified_e_mail_is_its_owner_s(counter):
    ann = await counter.signed_in("Ann@Example.com")
    assert await one(counter, email="ann@example.COM") == ann.pass_id
    assert await one(counter, customer={"id": 77, "email": "ann@example.com"}) == ann.pass_id
    assert (await counter.row(ann.pass_id))["mg_shopify_customer_id"] is None


async def test_an_e_mail_that_two_passes_verified_is_nobody_s(counter):
    await counter.signed_in("ann@example.com")
    await counter.signed_in("ann@example.com")
    assert await one(counter, email="ann@example.com", customer={"id": 77}) == "pass:shopify:77"


async def test_a_later_login_with_an_unverified_e_mail_does_not_make_it_verified(counter):
    mallory = await counter.signed_in("mallory@example.com")
    await counter.sign_in(replace(mallory.login, email="ann@example.com", email_verified=False, method=None))
    assert await one(counter, email="ann@example.com", customer={"id": 77}) == "pass:shopify:77" != mallory.pass_id


async def test_an_unverified_e_mail_is_nobody_s(counter):
    mallory = await counter.signed_in("ann@example.com", verified=False)
    assert await one(counter, email="ann@example.com", customer={"id": 77}) == "pass:shopify:77" != mallory.pass_id


# ---------------------------------------------------------------- UNCLAIMED


async def test_a_stranger_s_purchase_waits_for_a_login_with_the_same_verified_e_mail(counter):
    pass_id = await one(counter, customer={"id": 77}, email="ann@example.com")
    assert (await counter.studio.seen(pass_id)).pass_id is None
    assert (await counter.signed_in("ann@example.com", verified=False)).pass_id != pass_id
    ann = await counter.signed_in("ann@example.com")
    assert await counter.balances() == {ann.pass_id: 1}
    assert await one(counter, customer={"id": 77}) == ann.pass_id


async def test_a_guest_s_purchase_gets_a_pass_of_its_own(counter):
    paid = order("MINA-1", 1, email="ann@example.com")
    await counter.tell(paid)
    row = await counter.row(f"pass:shopify:order-{paid['id']}")
    assert (row["mg_email"], row["mg_shopify_customer_id"], row["mg_verified_any"]) == ("ann@example.com", None, False)


# ---------------------------------------------------------------- the checkout


async def test_a_checkout_names_shop_variant_quantity_and_a_reference_and_no_pass(counter):
    buyer = await counter.studio.person()
    await counter.studio.knobs(shopify_sku_map={"MINA-50": {"matcha": 50, "variantId": "gid://shopify/ProductVariant/42"}})
    url = urlsplit(await counter.checkout.url(buyer, "MINA-50", 3))
    assert (url.scheme, url.netloc, url.path) == ("https", SHOP, "/cart/42:3")
    [reference] = parse_qs(url.query)["attributes[mina_ref]"]
    assert buyer.pass_id not in url.geturl()
    assert buyer.pass_id.rpartition(":")[2] not in url.geturl()
    assert await one(counter, note_attributes=attributes(mina_ref=reference)) == buyer.pass_id
    assert (await counter.checkout.url(buyer, "MINA-50", 3)) == url.geturl()


async def test_a_checkout_needs_a_proven_live_pass(counter):
    await counter.studio.knobs(shopify_sku_map={"MINA-50": {"matcha": 50, "variantId": 42}})
    with pytest.raises(Unauthenticated):
        await counter.checkout.url(NOBODY, "MINA-50", 1)
    with pytest.raises(AccountDisabled):
        await counter.checkout.url(await counter.studio.disable(await counter.studio.person()), "MINA-50", 1)


@pytest.mark.parametrize(
    ("sku", "quantity", "field", "said"),
    [
        ("MINA-7", 1, "sku", "MINA-100, MINA-50"),
        ("", 1, "sku", "On sale"),
        ("MINA-100", 1, "sku", "variantId is missing"),
        ("MINA-50", 0, "quantity", "1 to 1000"),
        ("MINA-50", -1, "quantity", "1 to 1000"),
        ("MINA-50", 1001, "quantity", "1 to 1000"),
    ],
)
async def test_a_checkout_says_what_is_missing(counter, sku, quantity, field, said):
    packs = {"MINA-50": {"matcha": 50, "variantId": "42"}, "MINA-100": {"matcha": 100, "variantId": None}}
    await counter.studio.knobs(shopify_sku_map=packs)
    with pytest.raises(InvalidInput, match=said) as refused:
        await counter.checkout.url(await counter.studio.person(), sku, quantity)
    assert refused.value.field == [field]


async def test_without_a_shop_there_is_no_checkout(counter):
    buyer = await counter.studio.person()
    checkout = CheckoutService(counter.studio.mina.database, counter.studio.config, "", SECRET.encode())
    with pytest.raises(ProviderNotConfigured, match="MINA_SHOPIFY_SHOP"):
        await checkout.url(buyer, "MINA-50", 1)
    assert await checkout.default_url(await counter.studio.passes.find(buyer.pass_id)) is None


async def test_who_needs_matcha_is_led_to_the_smallest_pack_as_often_as_they_like_it(counter):
    buyer = await counter.studio.person()
    owner = await counter.studio.passes.find(buyer.pass_id)
    assert await counter.checkout.default_url(owner) is None
    packs = {
        "BIG": {"matcha": 90, "variantId": 9},
        "MID": {"matcha": 50, "variantId": 5},
        "SMALL": {"matcha": 1, "variantId": None},
    }
    await counter.studio.knobs(shopify_sku_map=packs)
    url = await counter.checkout.default_url(owner)
    assert urlsplit(url).path == "/cart/5:3"
    assert await one(counter, note_attributes=attributes(mina_ref=url.rpartition("=")[2])) == buyer.pass_id


@strawberry.type
class Query:
    there: bool = True


async def test_the_mutation_answers_with_the_link_or_with_what_is_wrong(counter):
    services = SimpleNamespace(checkout=counter.checkout)
    context = SimpleNamespace(services=services, caller=await counter.studio.person())
    schema = strawberry.Schema(Query, CheckoutMutations, types=[GraphQLInvalidInput])
    ask = "mutation($sku: String!) { createCheckout(sku: $sku) { url userErrors { code field } } }"
    await counter.studio.knobs(shopify_sku_map={"MINA-50": {"matcha": 50, "variantId": "42"}})
    good = (await schema.execute(ask, {"sku": "MINA-50"}, context_value=context)).data["createCheckout"]
    assert good["url"].startswith(f"https://{SHOP}/cart/42:1?")
    assert good["userErrors"] == []
    bad = (await schema.execute(ask, {"sku": "MUG"}, context_value=context)).data["createCheckout"]
    assert bad == {"url": None, "userErrors": [{"code": "INVALID_INPUT", "field": ["sku"]}]}
