"""Replicate, which runs Seedream and Kling: create, keep the id, wait by polling and by webhook, fetch (DESIGN section 9)."""

from mina_gql.adapters.ai.replicate.vendor import ReplicateVendor

__all__ = ["ReplicateVendor"]
