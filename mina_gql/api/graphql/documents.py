"""Documents as clients send them: parsed, held against the limits and validated once, then kept for all transports."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    specified_rules,
    validate,
)
from graphql.language.parser import Parser
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from mina_gql.api.errors import coded, with_code
from mina_gql.api.graphql.cost import Price
from mina_gql.api.graphql.limits import Limits, price
from mina_gql.domain.errors import LimitExceeded, MinaError

RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
MAX_SHOWN_ERRORS = 10
CHARS_A_TOKEN = 75
"""So many characters take the memory of one parsed token: 4 bytes each where one is an emoji, and a comment is kept twice."""


class RequestRefused(MinaError):
    """The operation never ran: the answer has `errors` and no `data`."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = list(errors)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document."""

    name: str | None
    kind: OperationType
    price: Price


@dataclass(frozen=True, eq=False, slots=True)
class Document:
    """A document that may be executed. The same text gives the same object, so plans can be kept by its nodes.

    `introspects`: it asks about the schema, so whether it is answered depends on who asks.
    """

    ast: DocumentNode
    operations: Mapping[str | None, Operation]
    tokens: int
    introspects: bool

    def operation(self, name: str | None) -> Operation:
        """The operation of that name, or the only one. Raises RequestRefused."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        found = self.operations.get(name)
        if found is not None:
            return found
        if name is None:
            raise RequestRefused([coded("BAD_USER_INPUT", "Which operation? Set `operationName`: the document has several.")])
        raise RequestRefused([coded("BAD_USER_INPUT", f"The document has no operation named '{name[:100]}'.")])


class Documents:
    """The documents of one schema, the most recently used first.

    Bounded by number and by tokens: a parsed token takes about 0.6 kB, so `max_tokens` is the memory this may take. The text
    counts too, as `CHARS_A_TOKEN` says: a document of two tokens can be padded to the size of the largest body.
    Documents that are refused are not kept: their errors hold their whole parse, and a client repeats them less often.
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, max_documents: int = 1_000, max_tokens: int = 100_000) -> None:
        self._schema = schema
        self._limits = limits
        self._max_documents = max_documents
        self._max_tokens = max_tokens
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._tokens = 0

    def __len__(self) -> int:
        return len(self._kept)

    def prepare(self, query: str, *, hints: bool = True) -> Document:
        """The document behind a text. Raises RequestRefused with what is wrong, each error with its code.

        `hints`: errors may say which names of the schema were meant.
        """
        document = self._kept.get(query)
        if document is not None:
            self._kept.move_to_end(query)
            return document
        document = self._read(query, hints=hints)
        self._keep(query, document)
        return document

    def _read(self, query: str, *, hints: bool) -> Document:
        ast, tokens = _parse(query, self._limits)
        try:
            prices = price(self._schema, ast, self._limits)
        except LimitExceeded as error:
            raise _limit(error.message) from None
        errors = validate(self._schema, ast, RULES, max_errors=MAX_SHOWN_ERRORS, hide_suggestions=not hints)
        if errors:
            raise RequestRefused([with_code(error, "GRAPHQL_VALIDATION_FAILED") for error in errors])
        operations = {
            name: Operation(name, node.operation, prices[name])
            for node in ast.definitions
            if isinstance(node, OperationDefinitionNode)
            for name in [node.name.value if node.name else None]
        }
        if not operations:
            raise RequestRefused([coded("GRAPHQL_VALIDATION_FAILED", "The document has fragments but no operation.")])
        return Document(ast, operations, tokens, _introspects(ast))

    def _keep(self, query: str, document: Document) -> None:
        self._kept[query] = document
        self._tokens += _room(query, document)
        while len(self._kept) > self._max_documents or self._tokens > self._max_tokens:
            self._tokens -= _room(*self._kept.popitem(last=False))


def _introspects(document: DocumentNode) -> bool:
    """Whether a document asks for `__schema` or `__type`, anywhere in it. `__typename` tells nothing of the schema."""
    waiting: list[object] = list(document.definitions)
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode) and node.name.value in {"__schema", "__type"}:
            return True
        inner = getattr(node, "selection_set", None)
        waiting += inner.selections if inner else ()
    return False


def _room(query: str, document: Document) -> int:
    """The room a kept document takes, in tokens."""
    return document.tokens + len(query) // CHARS_A_TOKEN


def _parse(query: str, limits: Limits) -> tuple[DocumentNode, int]:
    """The tree and the number of tokens. `Parser` rather than `parse`, because it tells apart why it gave up."""
    parser = Parser(query, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
    try:
        ast = parser.parse_document()
    except RecursionError:
        pass  # leave the block first: the error would keep every frame of the recursion alive
    except GraphQLSyntaxError as error:
        if error.message.endswith("Parsing aborted."):
            raise _limit(f"The document is too long: {limits.tokens} tokens and as many comments are allowed.") from None
        raise RequestRefused([with_code(error, "GRAPHQL_PARSE_FAILED")]) from None
    else:
        return ast, parser.token_count
    raise _limit(f"The document nests too deeply: {limits.depth} levels are allowed.")


def _limit(message: str) -> RequestRefused:
    return RequestRefused([coded("LIMIT_EXCEEDED", message)])
