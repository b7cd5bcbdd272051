"""`mina doctor` before vendors that refuse its keys: which one, and how to mend it (R4)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.server import empty_folder, mina
from tests.vendors.openai_server import KEY, OpenAIServer
from tests.vendors.replicate_server import TOKEN, Replicate, running

WRONG_KEY = f"sk-proj-{'Ab3' * 16}"
WRONG_TOKEN = f"r8_{'Cd4' * 12}E"


@pytest.fixture
def home() -> Iterator[Path]:
    """A MINA_HOME that does not exist yet."""
    with empty_folder() as folder:
        yield folder / "home"


@pytest.mark.parametrize(
    ("key", "token", "refused"),
    [
        (WRONG_KEY, WRONG_TOKEN, {"openai": "OPENAI_API_KEY", "replicate": "REPLICATE_API_TOKEN"}),
        (KEY, WRONG_TOKEN, {"replicate": "REPLICATE_API_TOKEN"}),
        (WRONG_KEY, TOKEN, {"openai": "OPENAI_API_KEY"}),
        (KEY, TOKEN, {}),
    ],
    ids=["both", "replicate", "openai", "neither"],
)
async def test_the_doctor_says_which_vendor_refuses_and_how_to_mend_it(
    home: Path, key: str, token: str, refused: dict[str, str]
) -> None:
    """One line a vendor, the exit code says whether all is well, and no key is repeated."""
    async with OpenAIServer() as openai, running(Replicate()) as replicate:
        told = await mina(
            home,
            "doctor",
            OPENAI_API_KEY=key,
            OPENAI_BASE_URL=openai.url,
            REPLICATE_API_TOKEN=token,
            REPLICATE_BASE_URL=replicate.base,
        )
    assert (told.code != 0) is bool(refused), told.out
    failed = {line.split()[1]: line for line in told.out.splitlines() if line.startswith("FAIL")}
    assert failed.keys() == refused.keys()
    for vendor, setting in refused.items():
        assert setting in failed[vendor]
        assert "make a new one" in failed[vendor]
    assert not [secret for secret in (key, token) if secret in told.out + told.err]
