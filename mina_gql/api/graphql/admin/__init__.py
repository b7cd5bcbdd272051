"""The admins' part of the graph: `queries` (the root `admin`), `reports`, `audits`, `configs`, and `acts` (the mutations)."""

from mina_gql.api.graphql.admin.acts import ActMutations
from mina_gql.api.graphql.admin.configs import ConfigMutations
from mina_gql.api.graphql.admin.queries import AdminQueries

__all__ = ["ActMutations", "AdminQueries", "ConfigMutations"]
