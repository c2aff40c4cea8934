"""The files in `deploy/` are well formed, and ask for metrics and labels that there are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from modules.llm_services.telemetry import names
from tests.docs.documents import ROOT

DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/llm-services.json").read_text(encoding="utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text(encoding="utf-8"))

_SECONDS = (names.OPERATION_DURATION, names.FIRST_CHUNK)
_COUNTERS = (names.COST_TOTAL, names.SAVED_TOTAL, names.RETRIES, names.UNPRICED)
_FUNCTIONS = {
    *("sum", "by", "rate", "increase", "histogram_quantile", "sort_desc", "label_values", "le"),
}


def in_prometheus(name: str) -> str:
    """A name as Prometheus writes it (OTLP's translation ``UnderscoreEscapingWithSuffixes``)."""
    plain = name.replace(".", "_")
    if name in _SECONDS:
        return f"{plain}_seconds"
    return f"{plain}_total" if name in _COUNTERS else plain


def series() -> set[str]:
    """Every series that the metrics become."""
    histograms = {in_prometheus(name) for name in names.METRICS if name not in _COUNTERS}
    counters = {in_prometheus(name) for name in _COUNTERS}
    return counters | {f"{one}{end}" for one in histograms for end in ("_bucket", "_count", "_sum")}


def labels() -> set[str]:
    """Every attribute that metrics have."""
    said = {names.PROVIDER_NAME, names.REQUEST_MODEL, names.FEATURE, names.STATUS, names.CACHED}
    return {in_prometheus(name) for name in said | {names.ERROR_TYPE, names.TOKEN_TYPE}}


def expressions(value: Any) -> Iterator[str]:
    """Every query in a file."""
    if isinstance(value, dict):
        yield from (value[key] for key in ("expr", "definition") if key in value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from expressions(item)


def words(expression: str) -> set[str]:
    """The names in a query, without texts, ranges and variables."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\$\w+', " ", expression)
    return set(re.findall(r"[a-zA-Z_]\w*", bare)) - _FUNCTIONS


@pytest.mark.parametrize("file", [DASHBOARD, ALERTS], ids=["dashboard", "alerts"])
def test_queries_ask_for_what_there_is(file: Any) -> None:
    """A metric that is renamed in `names` and not here would show an empty panel."""
    found = list(expressions(file))
    assert len(found) >= 3
    assert {word for one in found for word in words(one)} <= series() | labels()


def test_the_dashboard_shows_every_metric() -> None:
    """Each of them has a panel, and panels do not lie upon each other."""
    shown = {word for one in expressions(DASHBOARD["panels"]) for word in words(one)}
    for metric in names.METRICS:
        assert any(word.startswith(in_prometheus(metric)) for word in shown), metric
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells = [cell for panel in DASHBOARD["panels"] for cell in _cells(panel["gridPos"])]
    assert len(cells) == len(set(cells))


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    assert columns.stop <= 24
    return [(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])]


def test_a_misspelt_metric_is_found() -> None:
    """The check reads queries as Prometheus does."""
    assert words('sum(rate(llm_services_costs_total{le="a_b"}[5m]))') == {
        "llm_services_costs_total"
    }
    assert "llm_services_costs_total" not in series()


def test_prometheus_takes_what_the_program_sends() -> None:
    """The example translates names as the dashboard spells them, and loads the alerts."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    assert config["otlp"]["translation_strategy"] == "UnderscoreEscapingWithSuffixes"
    assert [(DEPLOY / name).is_file() for name in config["rule_files"]] == [True]
