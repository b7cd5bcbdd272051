"""Generations as they stand: reading, cancelling and deleting them."""

from typing import NamedTuple

from mina_gql.domain.errors import NotCancellable, NotFound
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import GenerationStatus, bare_id, generation_mg_id
from mina_gql.mega.customers import PassRow
from mina_gql.mega.database import Database
from mina_gql.mega.generations import archive, runs, steps
from mina_gql.mega.generations.archive import FROM_VARS, GenerationRow
from mina_gql.mega.generations.steps import PayloadRow, StepRow
from mina_gql.mega.pages import Page, PageRequest
from mina_gql.services.passes import PassService, required
from mina_gql.services.pipeline.endings import Endings

ENDED = frozenset({GenerationStatus.DONE, GenerationStatus.ERROR})


class Changed(NamedTuple):
    """A generation after its owner ended or deleted it, and the Pass with the balance of now."""

    generation: GenerationRow
    owner: PassRow


class GenerationService:
    """Reads generations, cancels and deletes them."""

    def __init__(self, database: Database, passes: PassService, endings: Endings) -> None:
        self._database = database
        self._passes = passes
        self._endings = endings

    # ------------------------------------------------------------ ending and deleting

    async def cancel(self, caller: Caller, given: str) -> Changed:
        """End an unfinished generation with its refund. Raises NotFound and NotCancellable."""
        found = await self.required(required(caller), given)
        if found.status in ENDED:
            raise NotCancellable("This one has ended already.", ["generationId"])
        await self._endings.cancel(found.id)
        return await self._changed(await self.required(found.pass_id, found.id))

    async def delete(self, caller: Caller, given: str) -> Changed:
        """Take a generation out of the archive; its ledger stays. An unfinished one is cancelled first, by the rules of `cancel`.

        Raises NotFound and NotCancellable; gives the generation as it was.
        """
        found = await self.required(required(caller), given, field="id")
        if found.status not in ENDED:
            try:
                found = (await self.cancel(caller, found.id)).generation
            except NotCancellable:
                found = await self.required(found.pass_id, found.id, field="id")
                if found.status not in ENDED:
                    raise
        async with self._database.begin() as session:
            if not await runs.delete(session, found.id, found.pass_id):
                raise NotFound("There is no such generation.", ["id"])
        return await self._changed(found)

    async def _changed(self, found: GenerationRow) -> Changed:
        owner = await self._passes.find(found.pass_id)
        if owner is None:
            raise NotFound("This Pass is gone. Call ensurePass for a new one.")
        return Changed(found, owner)

    # ------------------------------------------------------------ reading

    async def by_id(self, ids: list[str]) -> dict[str, GenerationRow]:
        """Generations by their global ids, with their variable maps."""
        rows = [GenerationRow(*record) for record in await self._database.fetch(archive.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}

    async def own(self, pass_id: str, given: str) -> GenerationRow | None:
        """A generation of this Pass by its global or bare id, or None: somebody else's looks like none."""
        id_ = generation_mg_id(bare_id("generation", given))
        found = (await self.by_id([id_])).get(id_)
        return found if found is not None and found.pass_id == pass_id else None

    async def required(self, pass_id: str, given: str, *, field: str = "generationId") -> GenerationRow:
        """The same. Raises NotFound where there is none."""
        found = await self.own(pass_id, given)
        if found is None:
            raise NotFound("There is no such generation.", [field])
        return found

    async def of_output(self, pass_id: str, key: str) -> GenerationRow | None:
        """The generation of this Pass whose output lies under a key of our store, or None."""
        record = await self._database.fetch_one(archive.BY_OUTPUT_KEY, pass_id=pass_id, key=key)
        return None if record is None else GenerationRow(*record)

    async def of_session(self, pass_id: str, session_id: str, page: PageRequest, wanted: frozenset[str]) -> Page[GenerationRow]:
        """A page of what was made in one visit."""
        pages = archive.of_session(wanted & FROM_VARS)
        return await pages.read(self._database, page, pass_id=pass_id, session_id=session_id)

    async def count_of_session(self, pass_id: str, session_id: str) -> int:
        """How many generations were made in one visit."""
        return await archive.of_session(frozenset()).count(self._database, pass_id=pass_id, session_id=session_id)

    async def steps(self, generation_ids: list[str]) -> dict[str, list[StepRow]]:
        """The steps of many generations (bare ids), in order."""
        found: dict[str, list[StepRow]] = {generation_id: [] for generation_id in generation_ids}
        for record in await self._database.fetch(steps.OF_GENERATIONS, generation_ids=generation_ids):
            found[record[1]].append(StepRow(*record))
        return found

    async def steps_by_id(self, ids: list[str]) -> dict[str, StepRow]:
        """Steps by their global ids."""
        rows = [StepRow(*record) for record in await self._database.fetch(steps.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}

    async def payloads(self, ids: list[str]) -> dict[str, PayloadRow]:
        """What steps were given and found, by the steps' global ids; for admins."""
        rows = [PayloadRow(*record) for record in await self._database.fetch(steps.PAYLOADS, ids=ids)]
        return {row.id: row for row in rows}
