"""DataLoaders: many look-ups of one operation become one query."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from strawberry.dataloader import DataLoader

from mina_gql.api.services import Services
from mina_gql.domain.estimates import Estimate
from mina_gql.mega.admin import AuditRow
from mina_gql.mega.configs import ConfigRow
from mina_gql.mega.customers import PassRow
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.mega.generations.events import EventRow
from mina_gql.mega.generations.ledger import LedgerEntryRow
from mina_gql.mega.generations.sessions import SessionRow
from mina_gql.mega.generations.steps import PayloadRow, StepRow
from mina_gql.services.taste import Reasons

Found = TypeVar("Found")


class Loaders:
    """One set for each operation, and for each event of a stream: nothing is remembered longer."""

    def __init__(self, services: Services) -> None:
        self.passes: DataLoader[str, PassRow | None] = _by_key(services.passes.by_id)
        self.any_passes: DataLoader[str, PassRow | None] = _by_key(services.passes.by_id_even_deleted)
        self.generations: DataLoader[str, GenerationRow | None] = _by_key(services.generations.by_id)
        self.sessions: DataLoader[str, SessionRow | None] = _by_key(services.sessions.by_id)
        self.events: DataLoader[str, EventRow | None] = _by_key(services.events.by_id)
        self.transactions: DataLoader[str, LedgerEntryRow | None] = _by_key(services.credits.transactions_by_id)
        self.audits: DataLoader[str, AuditRow | None] = _by_key(services.admin.audits_by_id)
        self.configs: DataLoader[str, ConfigRow | None] = _by_key(services.publishing.by_id)
        self.steps_by_id: DataLoader[str, StepRow | None] = _by_key(services.generations.steps_by_id)
        self.payloads: DataLoader[str, PayloadRow | None] = _by_key(services.generations.payloads)
        self.steps: DataLoader[str, list[StepRow] | None] = _by_key(services.generations.steps)
        self.estimates: DataLoader[str, Estimate | None] = _by_key(services.estimates.by_id)
        self.liked: DataLoader[str, bool | None] = _by_key(services.taste.liked)
        self.reasons: DataLoader[str, Reasons | None] = _by_key(services.taste.reasons)


def _by_key(find: Callable[[list[str]], Awaitable[Mapping[str, Found]]]) -> DataLoader[str, Found | None]:
    async def load(keys: list[str]) -> list[Found | None]:
        found = await find(keys)
        return [found.get(key) for key in keys]

    return DataLoader(load_fn=load)
