"""Listens to what Mina tells of its work (`domain.observing`): metrics for Prometheus, traces by OpenTelemetry, log fields."""

from mina_gql.adapters.observability.models import WatchedModels
from mina_gql.adapters.observability.watch import exposition, watching

__all__ = ["WatchedModels", "exposition", "watching"]
