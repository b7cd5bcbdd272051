"""Promises of the dashboard and the page beside it: what they name exists, and what exists is named."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mina_gql.adapters.observability.meters import Meters
from mina_gql.domain import observing
from mina_gql.domain.observing import Counter, Gauge, Histogram, Metric

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
SERIES = re.compile(r"\b((?:mina|process|python)_\w+)\{([^}]*)\}")


def shown_as(metric: Metric) -> set[str]:
    """The names under which a metric is read."""
    match metric:
        case Histogram():
            return {metric.name + suffix for suffix in ("_bucket", "_count", "_sum")}
        case _:
            return {metric.name}


LABELS = {name: set(metric.labels) | {"job", "instance", "le"} for metric in observing.METRICS for name in shown_as(metric)}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_metrics_and_labels_that_exist(query: str):
    series = SERIES.findall(query)
    assert series
    for name, filters in series:
        if name.startswith("mina_"):
            assert name in LABELS
            used = set(re.findall(r"(\w+)(?:=~|!=|=)\"", filters))
            assert used <= LABELS[name]
        else:
            assert name.encode() in Meters().exposition()
    names = {name for name, _ in series if name.startswith("mina_")}
    for grouping in re.findall(r"by \(([^)]*)\)", query):
        assert set(grouping.replace(" ", "").split(",")) <= set.union(*(LABELS[name] for name in names))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_uses_the_labels_that_its_query_leaves(panel: dict[str, Any]):
    for target in panel["targets"]:
        names = {name for name, _ in SERIES.findall(target["expr"])}
        grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
        left = (
            set(grouped[0].replace(" ", "").split(","))
            if grouped
            else set.union(*(LABELS.get(name, {"instance"}) for name in names))
        )
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left


def test_every_metric_stands_in_the_dashboard_and_in_the_page():
    page = (DOCS / "observability.md").read_text()
    for metric in observing.METRICS:
        assert any(name in query for name in shown_as(metric) for query in QUERIES), metric.name
        assert f"`{metric.name}`" in page
    assert set(re.findall(r"\bmina_[a-z_]+", page)) <= {metric.name for metric in observing.METRICS} | set(LABELS) | {"mina_gql"}


def test_panels_have_places_of_their_own():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("metric", observing.METRICS, ids=lambda metric: metric.name)
def test_a_name_says_what_it_counts_and_a_help_ends(metric: Metric):
    assert metric.help.endswith(".")
    assert re.fullmatch(r"mina_[a-z_]+", metric.name)
    match metric:
        case Counter():
            assert metric.name.endswith("_total")
        case Histogram():
            assert metric.name.endswith("_seconds")
            assert list(metric.bounds) == sorted(set(metric.bounds))
        case Gauge():
            assert not metric.name.endswith("_total")
