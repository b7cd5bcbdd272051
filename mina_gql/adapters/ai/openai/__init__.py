"""Captions, prompts and moderation by OpenAI, or by a proxy that speaks its API (docs/vendors.md)."""

from mina_gql.adapters.ai.openai.vendor import OpenAIVendor

__all__ = ["OpenAIVendor"]
