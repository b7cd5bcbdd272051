"""Generations: ordering them, ending and deleting them, and reading what became of them."""

from mina_gql.services.generations.ordering import Ordered, OrderService
from mina_gql.services.generations.reading import GenerationService
from mina_gql.services.generations.suggesting import SuggestionService

__all__ = ["GenerationService", "OrderService", "Ordered", "SuggestionService"]
