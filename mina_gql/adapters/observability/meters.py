"""Metrics in Prometheus' own library, one registry a process."""

import platform
from collections.abc import Mapping
from importlib.metadata import version

import prometheus_client
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, disable_created_metrics, generate_latest

from mina_gql.domain import observing
from mina_gql.domain.observing import Counter, Gauge, Histogram, Metric


class Meters:
    """Keeps every metric of `domain.observing`, and what the process itself takes."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # half as many lines again, which nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._counters = {each: self._counter(each) for each in observing.METRICS if isinstance(each, Counter)}
        self._gauges = {each: self._gauge(each) for each in observing.METRICS if isinstance(each, Gauge)}
        self._histograms = {each: self._histogram(each) for each in observing.METRICS if isinstance(each, Histogram)}
        self.put(observing.BUILD, 1, {"version": version("mina-gql"), "python": platform.python_version()})

    def count(self, metric: Counter, amount: float, labels: Mapping[str, str]) -> None:
        counter = self._counters[metric]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def observe(self, metric: Histogram, seconds: float, labels: Mapping[str, str]) -> None:
        histogram = self._histograms[metric]
        (histogram.labels(**labels) if labels else histogram).observe(seconds)

    def put(self, metric: Gauge, value: float, labels: Mapping[str, str]) -> None:
        gauge = self._gauges[metric]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def move(self, metric: Gauge, by: float, labels: Mapping[str, str]) -> None:
        gauge = self._gauges[metric]
        (gauge.labels(**labels) if labels else gauge).inc(by)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, metric: Metric) -> prometheus_client.Counter:
        return prometheus_client.Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def _gauge(self, metric: Metric) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(metric.name, metric.help, metric.labels, registry=self.registry)

    def _histogram(self, metric: Histogram) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(metric.name, metric.help, metric.labels, buckets=metric.bounds, registry=self.registry)
