"""Promises of keys and addresses, whichever store they lead to."""

import pytest

from mina_gql.domain.assets import content_type_of, is_reachable, is_tag, tag_of
from tests.storage.keys import KEY, NOT_KEYS, NOT_TAGS, TAG, VIDEO


def test_a_key_tells_its_owner_tag_and_what_it_holds():
    """E10."""
    assert (tag_of(KEY), content_type_of(KEY), is_tag(TAG)) == (TAG, "image/png", True)
    assert (tag_of(VIDEO), content_type_of(VIDEO)) == (TAG, "video/mp4")


@pytest.mark.parametrize("key", NOT_KEYS)
def test_what_is_no_key_tells_nothing(key: str):
    assert (tag_of(key), content_type_of(key)) == (None, None)


@pytest.mark.parametrize("tag", NOT_TAGS)
def test_what_is_no_tag_is_none(tag: str):
    assert not is_tag(tag)


@pytest.mark.parametrize(
    ("url", "reachable"),
    [
        ("https://pictures.studio.example/", True),
        ("https://8.8.8.8/", True),
        ("https://[2606:4700::1111]/", True),
        ("http://pictures.studio.example/", False),
        ("https://localhost/", False),
        ("https://localhost./", False),
        ("https://store.localhost:9000/", False),
        ("https://store/", False),
        ("https://nas.local/", False),
        ("https://127.0.0.1/", False),
        ("https://10.0.0.5/", False),
        ("https://169.254.169.254/", False),
        ("https://[::1]/", False),
        ("", False),
    ],
)
def test_vendors_reach_public_https_alone(url: str, reachable: bool):
    assert is_reachable(url) is reachable
