"""The schema's own promises: its printed twin, its enums, no identity in inputs, refusals beside a null object."""

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
    validate_schema,
)

from mina_gql.api.graphql import schema
from mina_gql.api.graphql.enums import (
    BillableAction,
    EventType,
    FailureCode,
    GenerationKind,
    GenerationStatus,
    PassState,
    RemoteKind,
    StepStatus,
)
from mina_gql.api.graphql.nodes import _TYPES
from mina_gql.api.graphql.user_errors import UserErrorCode
from mina_gql.domain import errors

PRINTED = Path(__file__).parents[3] / "schema.graphql"
BUILT = schema.build()._schema
OBJECTS = [kind for name, kind in BUILT.type_map.items() if isinstance(kind, GraphQLObjectType) and not name.startswith("__")]
INPUTS = [kind for kind in BUILT.type_map.values() if isinstance(kind, GraphQLInputObjectType)]
ENUMS = {
    "BillableAction": BillableAction,
    "FailureCode": FailureCode,
    "GenerationKind": GenerationKind,
    "GenerationStatus": GenerationStatus,
    "MmaEventType": EventType,
    "PassState": PassState,
    "RemoteKind": RemoteKind,
    "StepStatus": StepStatus,
    "UserErrorCode": UserErrorCode,
}


def test_the_schema_is_the_one_that_is_printed():
    assert PRINTED.read_text().strip() == str(schema.build()).strip()  # after a change: `make schema`


def test_the_schema_is_valid():
    assert validate_schema(BUILT) == []


@pytest.mark.parametrize("kind", INPUTS, ids=str)
def test_no_input_names_a_person_by_somebody_else_s_id(kind):
    """A1: who one is is proven by headers. An admin names a Pass; nobody names a user or a customer."""
    forbidden = {"customerId", "userId", "shopifyCustomerId", "customerEmail", "email"}
    if kind.name != "AdjustCreditsInput":
        forbidden |= {"passId"}
    assert not forbidden & set(kind.fields)


def test_no_argument_names_a_person_but_the_link_to_shopify():
    named = {
        f"{kind.name}.{field}"
        for kind in OBJECTS
        for field, definition in kind.fields.items()
        if {"passId", "customerId", "userId", "shopifyCustomerId", "email"} & set(definition.args)
    }
    admins = {"Admin.generations", "Admin.events", "Admin.creditTransactions", "Mutation.setPassDisabled"}
    assert named - admins <= {"Mutation.linkShopify"}


def test_every_mutation_answers_with_a_payload_of_nullable_objects_and_user_errors():
    for name, field in BUILT.mutation_type.fields.items():
        assert not is_non_null_type(field.type), name
        payload = get_named_type(field.type)
        assert str(payload.fields["userErrors"].type) == "[UserError!]!"
        own = {each: definition.type for each, definition in payload.fields.items() if each != "userErrors"}
        assert own, name
        assert {str(kind) for kind in own.values() if is_non_null_type(kind)} <= {"Boolean!"}, name  # a flag is never unknown


def test_lists_have_no_holes():
    """Only `nodes(ids:)` may say null for an item: for what does not exist."""
    holes = {
        f"{kind.name}.{name}"
        for kind in OBJECTS
        for name, field in kind.fields.items()
        if is_list_type(get_nullable_type(field.type)) and not is_non_null_type(get_nullable_type(field.type).of_type)
    }
    assert holes == {"Query.nodes"}


def test_everything_with_a_global_id_can_be_fetched_by_it():
    node = BUILT.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {kind.name for kind in BUILT.get_possible_types(node)} == set(_TYPES.values())


@pytest.mark.parametrize(
    "name", [name for name, kind in BUILT.type_map.items() if isinstance(kind, GraphQLEnumType) and name[0] != "_"]
)
def test_every_value_of_an_enum_can_be_answered_as_stored_and_as_member(name):
    kind = BUILT.type_map[name]
    members = list(ENUMS[name])
    assert set(kind.values) == {member.name for member in members}
    for member in members:
        assert kind.coerce_output_value(member) == member.name
        if isinstance(member, str):  # read-models carry what the column says
            assert kind.coerce_output_value(str(member)) == member.name


def test_every_refusal_has_its_code_among_the_user_errors():
    refusals = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refusal)]
    assert {kind.code for kind in refusals if kind is not errors.Refusal} <= {code.value for code in UserErrorCode}


def test_every_field_of_a_connection_is_there():
    for kind in OBJECTS:
        if kind.name.endswith("Connection"):
            assert set(kind.fields) == {"nodes", "edges", "pageInfo", "totalCount"}
