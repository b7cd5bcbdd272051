"""Mina: the GraphQL API of a product-photo studio. Start reading at `bootstrap.py`."""
