"""Types that refer to each other in a circle: named here, read when the schema is built."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from mina_gql.api.graphql.generations import Generation
    from mina_gql.api.graphql.passes import Pass
    from mina_gql.api.graphql.taste import Preferences

LazyGeneration = Annotated["Generation", strawberry.lazy("mina_gql.api.graphql.generations")]
LazyPass = Annotated["Pass", strawberry.lazy("mina_gql.api.graphql.passes")]
LazyPreferences = Annotated["Preferences", strawberry.lazy("mina_gql.api.graphql.taste")]
