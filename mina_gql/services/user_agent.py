"""What a User-Agent header tells of the client: operating system, browser, kind of device; coarse on purpose."""

import re
from typing import NamedTuple

_SYSTEMS = (
    ("iOS", r"iPhone|iPad|iPod"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X|Macintosh"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux"),
)
_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)[^)]* Safari/"),
)


class ClientFacts(NamedTuple):
    """`mg_os`, `mg_browser` and `mg_device`; None where the header does not tell."""

    os: str | None
    browser: str | None
    device: str | None


def client_facts(user_agent: str | None) -> ClientFacts:
    """Read a User-Agent header; never raises, whatever it says."""
    text = (user_agent or "")[:500]
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, text)), None)
    browser = next((f"{name} {found[1]}" for name, pattern in _BROWSERS if (found := re.search(pattern, text))), None)
    if system is None:
        return ClientFacts(None, browser, None)
    if re.search(r"iPad|Tablet", text) or (system == "Android" and "Mobile" not in text):
        return ClientFacts(system, browser, "tablet")
    return ClientFacts(system, browser, "phone" if system in {"iOS", "Android"} else "desktop")
