"""GraphQL: one module per noun, each with its types, queries and mutations."""
