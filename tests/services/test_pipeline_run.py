"""One run, from the order to the end: what is recorded step by step, and what a failure leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pipeline_workshop
import pytest
from jsonschema import Draft202012Validator
from pipeline_models import Gate, jpeg
from pipeline_promises import VARS
from pipeline_workshop import Workshop, until

from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.ports import CaptionRequest, StorageError


@pytest.fixture
async def workshop(database_dsn: str, tmp_path: Path) -> AsyncIterator[Workshop]:
    from mina_gql import bootstrap
    from studio import settings_for

    await bootstrap.migrate(settings_for(tmp_path, database_dsn), database_dsn)
    async with pipeline_workshop.opened(database_dsn, tmp_path) as opened:
        yield opened


async def test_a_still_of_words_alone_has_the_four_steps_that_have_input(workshop: Workshop) -> None:
    story = await workshop.made()
    assert story.status == "done"
    assert [step["mg_step_type"] for step in story.steps] == ["like_history", "gpt_reader", "seedream_generate", "postscan"]
