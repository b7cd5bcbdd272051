"""The edge: knows GraphQL and HTTP, decides nothing."""
