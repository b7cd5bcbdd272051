"""What a step is given and gives back: the run's work, a call, an outcome."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mina_gql.domain.config import Context
from mina_gql.domain.ports import Accepted, MediaInspector, Models, ObjectStore, Usage
from mina_gql.mega.generations.runs import Claim
from mina_gql.services.assets import AssetService
from mina_gql.services.config import ConfigService
from mina_gql.services.pipeline.gate import VendorGate
from mina_gql.services.taste import TasteService

Vars = dict[str, Any]
Patches = dict[tuple[str, ...], Any]
"""Values to be set at paths of the variable map."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What steps reach the world through."""

    models: Models
    gate: VendorGate
    assets: AssetService
    inspector: MediaInspector
    store: ObjectStore
    config: ConfigService
    taste: TasteService
    secret: bytes


@dataclass(slots=True)
class Work:
    """One generation in the making. `vars` mirrors the row's map: every recorded patch is applied to it too.

    `begun` names the steps that an earlier run began and did not fail in; `seen` keeps this run's captions by step type and the
    picture's sha256; `looking` lets one look at the same at a time.
    """

    claim: Claim
    tools: Tools
    vars: Vars
    begun: frozenset[str] = frozenset()
    seen: dict[tuple[str, str], str] = field(default_factory=dict)
    looking: defaultdict[tuple[str, str], asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    @property
    def generation(self) -> str:
        """The generation's mg_id."""
        return self.claim.id

    def apply(self, patches: Mapping[tuple[str, ...], Any]) -> None:
        """Set values at paths, as the row's UPDATE does; list items by their index."""
        for path, value in patches.items():
            place: Any = self.vars
            for name in path[:-1]:
                place = place[name]
            place[int(path[-1]) if isinstance(place, list) else path[-1]] = value


class PaidCall(Protocol):
    """What a step that pays needs from the runner, so that it never pays twice."""

    prediction_id: str | None

    async def sent(self) -> None:
        """Mark the step as sent, under the lease, right before the paid call. Raises LeaseLost."""
        ...

    @property
    def accepted(self) -> Accepted:
        """Keeps the vendor's prediction id. Raises LeaseLost."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step found. `output` is recorded in its payload, `patches` go into the variable map, `line` to the person."""

    output: dict[str, Any]
    patches: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    line: str | None = None
    usage: Usage | None = None
    provider: str | None = None
    model: str | None = None
    output_url: str | None = None
    output_key: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One step to be run: its type and index, what it is given, and the work itself.

    A step that is not `essential` may fail without ending the generation. `context` is recorded with language-model steps.
    """

    step_type: str
    input: dict[str, Any]
    work: Callable[[PaidCall], Awaitable[Outcome]]
    index: int = 0
    essential: bool = True
    provider: str | None = None
    model: str | None = None
    context: Context | None = None

    @property
    def recorded_input(self) -> dict[str, Any]:
        """The step's input as its payload keeps it, with the context's key, version and id."""
        return {**self.input, **(self.context.use() if self.context else {})}


Plan = Callable[[Work], Awaitable[list[Call]]]
"""The calls that a step's inputs need."""
