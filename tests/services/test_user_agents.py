"""What a User-Agent tells of the client: coarse facts for a visit's row, and never an error (FEATURES B4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.services.user_agent import client_facts

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (f"{MAC} Version/17.5 Safari/605.1.15", ("macOS", "Safari 17", "desktop")),
        (WINDOWS, ("Windows", "Chrome 126", "desktop")),
        (f"{WINDOWS} Edg/126.0.0.0", ("Windows", "Edge 126", "desktop")),
        (f"{WINDOWS} OPR/111.0.0.0", ("Windows", "Opera 111", "desktop")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", ("Linux", "Firefox 127", "desktop")),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/126.0.0.0 Safari/537.36", ("ChromeOS", "Chrome 126", "desktop")),
        ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1", ("iOS", "Safari 17", "tablet")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) CriOS/126.0 Mobile/15E148", ("iOS", "Chrome 126", "phone")),
        ("Mozilla/5.0 (Linux; Android 14; SM-X910) Chrome/126.0.0.0 Safari/537.36", ("Android", "Chrome 126", "tablet")),
        (
            "Mozilla/5.0 (Linux; Android 14) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile",
            ("Android", "Samsung Internet 25", "phone"),
        ),
        ("curl/8.7.1", (None, None, None)),
        ("", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_a_user_agent_tells_system_browser_and_device(text, facts):
    assert client_facts(text) == facts


@given(st.text(max_size=2_000))
def test_no_user_agent_breaks_a_visit(text):
    assert all(fact is None or len(fact) <= 200 for fact in client_facts(text))
