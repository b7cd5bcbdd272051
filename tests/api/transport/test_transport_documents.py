"""Documents are prepared once, kept within bounds, and shared."""

import pytest

from mina_gql.api.graphql.documents import Documents, RequestRefused
from mina_gql.api.graphql.limits import Limits
from tests.api.transport.transport_toy import make_schema

SCHEMA = make_schema()._schema


def test_the_same_text_gives_the_same_document() -> None:
    documents = Documents(SCHEMA, Limits())
    assert documents.prepare("{ hello }") is documents.prepare("{ hello }")
    assert documents.prepare("{ hello }") is not documents.prepare("{  hello }")


def test_the_least_recently_used_document_goes_first() -> None:
    documents = Documents(SCHEMA, Limits(), max_documents=2)
    first, second = documents.prepare("{ hello }"), documents.prepare("{ item { id } }")
    documents.prepare("{ hello }")
    documents.prepare("{ raw }")
    assert len(documents) == 2
    assert documents.prepare("{ hello }") is first
    assert documents.prepare("{ item { id } }") is not second


def test_large_documents_take_the_room_of_many() -> None:
    documents = Documents(SCHEMA, Limits(), max_tokens=300)
    for n in range(50):
        documents.prepare(f"query Q{n} {{ " + "hello " * 95 + "}")
        assert len(documents) <= 3


def test_padded_documents_take_the_room_of_their_text() -> None:
    documents = Documents(SCHEMA, Limits())
    for n in range(200):
        documents.prepare(f"{{ hello }} # {n} " + " " * 250_000)
        assert len(documents) <= 30


def test_refused_documents_are_not_kept() -> None:
    documents = Documents(SCHEMA, Limits())
    for query in ("{", "{ nothing }", "{ " + "hello " * 501 + "}", "fragment F on Item { id }"):
        with pytest.raises(RequestRefused):
            documents.prepare(query)
    assert len(documents) == 0


def test_operations_are_found_by_name() -> None:
    document = Documents(SCHEMA, Limits()).prepare("query A { hello } mutation B { ensure }")
    assert document.operation("B").kind.value == "mutation"
    for name in (None, "C"):
        with pytest.raises(RequestRefused):
            document.operation(name)
