"""Assets: whose a picture is, and how an upload becomes one (DESIGN section 8)."""

import asyncio
import re
from dataclasses import replace

import pytest

from mina_gql.domain.assets import MAX_UPLOAD_BYTES
from mina_gql.domain.errors import AssetNotOurs, AssetRejected, InvalidInput, NotFound, Unauthenticated
from mina_gql.domain.passes import owner_tag
from mina_gql.mega.database import decode
from mina_gql.services.assets import owns
from tests.studio import BRIEF, NOBODY, PNG, SECRET, picture_bytes

KEY = re.compile(r"user_uploads/([0-9a-f]{32})/[0-9a-f]{32}\.(jpg|png|webp)")


async def upload(studio, caller, kind="image/png"):
    return await studio.assets.create_upload(caller, kind, "p", len(PNG))


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(("kind", "extension"), [("image/jpeg", "jpg"), ("image/png", "png"), (" Image/WebP ", "webp")])
async def test_a_key_is_random_under_the_owner_s_tag_and_tells_nothing_of_the_pass(studio, kind, extension):
    caller = await studio.person()
    one, two = await upload(studio, caller, kind), await upload(studio, caller, kind)
    found = KEY.fullmatch(one.key)
    assert found is not None
    assert found.groups() == (owner_tag(caller.pass_id, SECRET.encode()), extension)
    assert one.key != two.key
    assert one.public_url.endswith(one.key)
    assert "pass" not in one.public_url + one.signed.url


@pytest.mark.parametrize(
    ("content_type", "name", "size", "field"),
    [
        ("image/gif", "p", 1, "contentType"),
        ("text/html", "p", 1, "contentType"),
        ("", "p", 1, "contentType"),
        ("image/png", "", 1, "fileName"),
        ("image/png", "x" * 256, 1, "fileName"),
        ("image/png", "p", 0, "bytes"),
        ("image/png", "p", -1, "bytes"),
        ("image/png", "p", MAX_UPLOAD_BYTES + 1, "bytes"),
    ],
)
async def test_what_may_not_be_uploaded_is_not_signed(studio, content_type, name, size, field):
    with pytest.raises(InvalidInput) as refused:
        await studio.assets.create_upload(await studio.person(), content_type, name, size)
    assert refused.value.field == ["input", field]


async def test_the_largest_picture_allowed_is_signed(studio):
    made = await studio.assets.create_upload(await studio.person(), "image/png", "x" * 255, MAX_UPLOAD_BYTES)
    assert made.signed.headers["Content-Type"] == "image/png"


async def test_a_key_is_its_owner_s_alone(studio):
    owner, stranger = await studio.person(), await studio.person()
    key = (await upload(studio, owner)).key
    assert owns(owner, key)
    assert not owns(stranger, key)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key + "\n",
        lambda key: "/" + key,
        lambda key: key.replace("user_uploads", "elsewhere"),
        lambda key: key.replace("user_uploads/", "user_uploads/../user_uploads/"),
        lambda key: key.replace(".png", ""),
        lambda key: key.replace(".png", ".png/.."),
        lambda key: key.upper(),
        lambda key: key + "?x",
        lambda key: "\x00" + key,
        lambda _: "",
    ],
)
async def test_what_is_not_exactly_a_key_is_nobody_s(studio, spoil):
    owner = await studio.person()
    key = (await upload(studio, owner)).key
    await studio.stage(key)
    assert not owns(owner, spoil(key))
    with pytest.raises(NotFound):
        await studio.assets.confirm(owner, spoil(key))


# ---------------------------------------------------------------- confirming


async def test_confirming_makes_the_picture_public_and_says_what_it_is(studio):
    caller = await studio.person()
    made = await upload(studio, caller)
    await studio.stage(made.key)
    asset = await studio.assets.confirm(caller, made.key)
    assert (asset.key, asset.public_url, asset.content_type) == (made.key, made.public_url, "image/png")
    assert (asset.width, asset.height) == (8, 6)
    assert len(await studio.mina.store.read(made.key)) == asset.size
    assert await studio.mina.store.read_staged(made.key) is None


async def test_confirming_again_gives_the_same_answer(studio):
    caller = await studio.person()
    made = await upload(studio, caller)
    await studio.stage(made.key)
    first = await studio.assets.confirm(caller, made.key)
    assert await studio.assets.confirm(caller, made.key) == first
    await studio.stage(made.key, picture_bytes(size=(20, 20)))  # what comes later does not replace what is public
    assert await studio.assets.confirm(caller, made.key) == first


async def test_confirming_at_once_gives_everybody_the_picture(studio):
    caller = await studio.person()
    made = await upload(studio, caller)
    await studio.stage(made.key)
    assets = await asyncio.gather(*(studio.assets.confirm(caller, made.key) for _ in range(5)))
    assert all(asset == assets[0] for asset in assets)


async def test_a_stranger_s_confirmation_looks_like_one_of_nothing(studio):
    owner, stranger = await studio.person(), await studio.person()
    key = (await upload(studio, owner)).key
    await studio.stage(key)
    with pytest.raises(NotFound) as theirs:
        await studio.assets.confirm(stranger, key)
    with pytest.raises(NotFound) as nothing:
        await studio.assets.confirm(stranger, key.replace(".png", ".jpg"))
    assert theirs.value.message == nothing.value.message
    assert await studio.mina.store.read_staged(key) is not None
    with pytest.raises(Unauthenticated):
        await studio.assets.confirm(NOBODY, key)


async def test_confirming_before_the_bytes_came_says_so(studio):
    caller = await studio.person()
    with pytest.raises(NotFound, match="PUT the bytes"):
        await studio.assets.confirm(caller, (await upload(studio, caller)).key)


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg onload=alert(1)>", PNG[:20], picture_bytes("GIF"), picture_bytes("JPEG")],
    ids=["empty", "svg", "cut", "gif", "jpeg"],
)
async def test_what_is_not_the_picture_announced_is_refused_and_gone(studio, data):
    caller = await studio.person()
    made = await upload(studio, caller)
    await studio.stage(made.key, data)
    with pytest.raises(AssetRejected):
        await studio.assets.confirm(caller, made.key)
    assert await studio.mina.store.read_staged(made.key) is None
    assert not await studio.mina.store.exists(made.key)
    with pytest.raises(NotFound):
        await studio.assets.confirm(caller, made.key)


# ---------------------------------------------------------------- as inputs


async def test_an_order_confirms_the_caller_s_own_uploads(studio):
    caller = await studio.person(matcha=1)
    made = [await upload(studio, caller) for _ in range(3)]
    for each in made:
        await studio.stage(each.key)
    product, logo, inspiration = [each.public_url for each in made]
    order = replace(BRIEF, product_image_url=product, logo_image_url=logo, inspiration_image_urls=(inspiration,))
    vars_ = decode((await studio.orders.create(caller, order)).generation.vars)
    assert vars_["assets"] == {
        "product_image_url": product,
        "logo_image_url": logo,
        "inspiration_image_urls": [inspiration],
        "input_still_url": None,
        "end_still_url": None,
    }
    assert vars_["scans"]["inspiration_crt"] == [None]
    assert all([await studio.mina.store.exists(each.key) for each in made])


@pytest.mark.parametrize(
    ("slot", "field"),
    [
        ("product_image_url", ["productImageUrl"]),
        ("logo_image_url", ["logoImageUrl"]),
        ("inspiration_image_urls", ["inspirationImageUrls", "1"]),
    ],
)
async def test_a_picture_of_somebody_else_is_refused_where_it_stands_and_nothing_is_charged(studio, slot, field):
    owner, stranger = await studio.person(), await studio.person(matcha=1)
    theirs, mine = await studio.picture(owner), await studio.picture(stranger)
    order = replace(BRIEF, **{slot: (mine, theirs) if slot.endswith("urls") else theirs})
    with pytest.raises(AssetNotOurs) as refused:
        await studio.orders.create(stranger, order)
    assert refused.value.field == ["input", "assets", *field]
    assert await studio.balance(stranger) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url.replace("http://", "https://"),
        lambda url: "https://elsewhere.example/" + url.partition("//")[2].partition("/")[2],
        lambda url: url + "?a=1",
        lambda url: url + "\n",
        lambda url: url.replace(".png", ".jpg"),
        lambda url: url.replace("user_uploads/", "user_uploads/./"),
        lambda url: "file://" + url,
        lambda _: "javascript:alert(1)",
        lambda _: "\x00",
    ],
)
async def test_only_the_exact_address_of_a_picture_counts(studio, spoil):
    caller = await studio.person(matcha=1)
    url = await studio.picture(caller)
    with pytest.raises(AssetNotOurs):
        await studio.orders.create(caller, replace(BRIEF, product_image_url=spoil(url)))
    assert await studio.balance(caller) == 1


async def test_an_order_with_bytes_that_are_no_picture_is_refused_and_the_bytes_are_gone(studio):
    caller = await studio.person(matcha=1)
    made = await upload(studio, caller)
    await studio.stage(made.key, b"not a picture")
    with pytest.raises(AssetRejected) as refused:
        await studio.orders.create(caller, replace(BRIEF, logo_image_url=made.public_url))
    assert refused.value.field == ["input", "assets", "logoImageUrl"]
    assert await studio.mina.store.read_staged(made.key) is None


async def test_outputs_made_for_the_caller_may_be_used_again(studio):
    caller, stranger = await studio.person(matcha=1), await studio.person(matcha=1)
    key = f"generations/{owner_tag(caller.pass_id, SECRET.encode())}/{'a' * 32}.png"
    await studio.mina.store.write(key, PNG, "image/png")
    order = replace(BRIEF, product_image_url=studio.mina.store.public_url(key))
    await studio.orders.create(caller, order)
    with pytest.raises(AssetNotOurs):
        await studio.orders.create(stranger, order)
