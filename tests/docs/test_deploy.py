"""The files for operators are well formed, and name metrics, files and settings that there are."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from modules.llm_services.config import LLMConfig, variables_of
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


def compose() -> dict[str, Any]:
    """The services of the compose file, merges done."""
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))


def dockerfile() -> list[str]:
    """The Dockerfile's instructions, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_copies_what_there_is() -> None:
    """Every file that is copied exists and is not kept out of the build."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [
        source
        for line in dockerfile()
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    for source in (one.removeprefix("./") for one in copied):
        assert (ROOT / source).exists(), source
        assert source in let_in, source


def test_the_image_has_no_rights_and_a_health_check() -> None:
    """It runs as a user of its own, says whether it is well, and has no build tools."""
    lines = dockerfile()
    stages = [number for number, line in enumerate(lines) if line.startswith("FROM")]
    last = lines[stages[-1] :]
    assert len(stages) == 2
    assert [line for line in last if line.startswith("USER")] == ["USER 10001"]
    assert any(line.startswith("HEALTHCHECK") and "/health" in line for line in last)
    assert not [line for line in last if "pip" in line]
    assert any("--require-hashes" in line for line in lines)


def test_the_image_installs_extras_that_there_are() -> None:
    """All but those for tests and documents."""
    [installed] = [line for line in dockerfile() if "llm-services[" in line]
    extras = installed.partition("llm-services[")[2].partition("]")[0].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"].keys() - set(extras) == {"arrays", "dev", "docs"}


def test_services_wait_for_what_they_need() -> None:
    """Every dependency and volume exists, and whoever is waited for says when it is well."""
    file = compose()
    services = file["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            healthy = wanted["condition"] == "service_healthy"
            assert ("healthcheck" in services[name]) >= healthy
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert volumes <= file["volumes"].keys()
    assert {"postgres", "redis", "backend", "migrate"} <= services.keys()
    assert (ROOT / services["backend"]["build"] / "Dockerfile").is_file()


def test_services_are_given_settings_that_there_are() -> None:
    """A misspelt variable would be ignored; a password has no default."""
    known = {name for field in LLMConfig.model_fields for name in variables_of(field)}
    environment = compose()["services"]["backend"]["environment"]
    assert environment.keys() - known == {"DATABASE_URL"}
    assert ":?" in environment["OPENAI_API_KEY"]
    assert ":?" in environment["DATABASE_URL"]
    assert compose()["services"]["sandbox"]["environment"] == {}
    assert [port.startswith("127.0.0.1:") for port in compose()["services"]["backend"]["ports"]]
