"""The archive: what a Pass has made, narrowed and searched; and what would make one of them again."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mina_gql.domain.archive import ArchiveFilter
from mina_gql.domain.config import Role
from mina_gql.domain.errors import ProviderNotConfigured
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.domain.ports import Models, ObjectStore, StorageError
from mina_gql.domain.recreation import Draft, Made, Now, Parent, draft, pictures_of
from mina_gql.mega.database import Database, decode
from mina_gql.mega.generations.archive import FROM_VARS, GenerationRow
from mina_gql.mega.generations.filters import narrowed
from mina_gql.mega.generations.steps import StepRow
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.services.config import ConfigService

EVERYTHING = ArchiveFilter()


class ArchiveService:
    """Lists generations and drafts them anew."""

    def __init__(self, database: Database, config: ConfigService, models: Models, store: ObjectStore) -> None:
        self._database = database
        self._config = config
        self._models = models
        self._store = store

    # ------------------------------------------------------------ listings, newest first

    async def page(
        self, pass_id: str | None, page: PageRequest, wanted: frozenset[str], asked: ArchiveFilter = EVERYTHING
    ) -> Page[GenerationRow]:
        """A page of the archive of a Pass, or of all where None is given (admins); of `FROM_VARS` only what is wanted.

        Raises InvalidInput for a filter that cannot be. A session of somebody else's gives an empty page, like one of nobody's.
        """
        return await self._page(page, wanted, _owned(pass_id) | asked.asked())

    async def count(self, pass_id: str | None, asked: ArchiveFilter = EVERYTHING) -> int:
        """How many such a listing has in all. Raises InvalidInput."""
        return await self._count(_owned(pass_id) | asked.asked())

    async def children(self, of: GenerationRow, page: PageRequest, wanted: frozenset[str]) -> Page[GenerationRow]:
        """A page of what was made from a generation: its tweaks and its clips."""
        return await self._page(page, wanted, {"pass_id": of.pass_id, "parent_id": of.id})

    async def count_children(self, of: GenerationRow) -> int:
        """How many were made from a generation."""
        return await self._count({"pass_id": of.pass_id, "parent_id": of.id})

    async def _page(self, page: PageRequest, wanted: frozenset[str], parts: Mapping[str, Any]) -> Page[GenerationRow]:
        pages, parameters = narrowed(wanted & FROM_VARS, parts)
        return await pages.read(self._database, page, **parameters)

    async def _count(self, parts: Mapping[str, Any]) -> int:
        pages, parameters = narrowed(frozenset(), parts)
        return await pages.count(self._database, **parameters)

    # ------------------------------------------------------------ recreation

    async def recreate(self, row: GenerationRow, steps: list[StepRow], parent: GenerationRow | None) -> Draft:
        """What makes a generation again (FEATURES N3, N4). `row` has its variable map; `parent` is None where it is gone."""
        kind, vars_ = GenerationKind(row.kind), decode(row.vars) or {}
        role = await self._config.role(kind)
        made = Made(kind, vars_, row.prompt, row.model, _usable(parent, row.pass_id), _contexts(steps))
        now = Now(
            role=role,
            defaults=await self._config.provider_defaults(role.provider),
            models=self._models_of(role),
            contexts={key: await self._version(key) for key in made.contexts},
            pictures=await self._there(pictures_of(vars_)),
            video_tweak=(await self._config.runtime()).video_tweak,
        )
        return draft(made, now)

    async def _version(self, key: str) -> int:
        try:
            return (await self._config.context(key.removeprefix("mma.ctx."))).version
        except LookupError:  # a context that is no longer used
            return 0

    def _models_of(self, role: Role) -> frozenset[str]:
        models = {role.model}
        with suppress(ProviderNotConfigured):  # whoever orders it is told
            models.add(self._models.media(role).model)
        return frozenset(models) | (self._models_of(role.fallback) if role.fallback else frozenset())

    async def _there(self, urls: frozenset[str]) -> frozenset[str]:
        listed = list(urls)
        there = await asyncio.gather(*(self._exists(url) for url in listed))
        return frozenset(url for url, exists in zip(listed, there, strict=True) if exists)

    async def _exists(self, url: str) -> bool:
        key = self._store.key_of(url)
        try:
            return key is not None and await self._store.exists(key)
        except StorageError:
            return True  # nobody knows, and a draft that names it is refused if it is not


def _owned(pass_id: str | None) -> dict[str, Any]:
    return {} if pass_id is None else {"pass_id": pass_id}


def _contexts(steps: list[StepRow]) -> dict[str, int]:
    return {step.ctx_key: step.ctx_version for step in steps if step.ctx_key is not None and step.ctx_version is not None}


def _usable(parent: GenerationRow | None, pass_id: str) -> Parent | None:
    if parent is None or parent.pass_id != pass_id or parent.status != GenerationStatus.DONE or parent.output_url is None:
        return None
    return Parent(parent.id, parent.output_url)
