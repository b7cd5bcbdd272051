"""The domain's enums as GraphQL shows them: names in capitals, values as the tables keep them."""

import strawberry

from mina_gql.domain.assets import RemoteKind
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.passes import PassState
from mina_gql.domain.pipeline import EventType, FailureCode, GenerationKind, GenerationStatus, StepStatus

for enum, name, description in (
    (PassState, "PassState", "What proves a Pass."),
    (BillableAction, "BillableAction", "What costs matcha."),
    (GenerationKind, "GenerationKind", "What is made."),
    (GenerationStatus, "GenerationStatus", "Where a generation stands; never backwards."),
    (StepStatus, "StepStatus", "How a step of the pipeline stands."),
    (FailureCode, "FailureCode", "Why a generation ended in ERROR."),
    (EventType, "MmaEventType", "What a person did."),
    (RemoteKind, "RemoteKind", "What a picture from elsewhere is kept as."),
):
    strawberry.enum(enum, name=name, description=description)

__all__ = [
    "BillableAction",
    "EventType",
    "FailureCode",
    "GenerationKind",
    "GenerationStatus",
    "PassState",
    "RemoteKind",
    "StepStatus",
]
