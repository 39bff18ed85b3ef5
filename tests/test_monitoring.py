"""Dashboard and alerts ask for what the service really tells."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.diffusion.doors import GPUMemory, GPUStatus
from writing_service.diffusion.fake import FakeGPU

DEPLOY = Path(__file__).parents[1] / "deploy" / "monitoring"
DASHBOARD = json.loads(
    (DEPLOY / "grafana/provisioning/dashboards/writing_service.json").read_text("utf-8")
)
RULES = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
PANELS = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [*QUERIES, *(rule["expr"] for rule in RULES)]
BINARY = "/api/writing/generate-writing-image-binary"

FROM_PROMETHEUS = {"up"}


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, set[str]]]:
    """By metric, its labels and their values, after one picture and one refusal on a machine with a GPU."""
    gpu = FakeGPU(status=GPUStatus(True, "A card", GPUMemory(24.0, 6.0, 25.0), 80, 65, 250.0))
    with serving(fake_app(gpu=gpu)) as client:
        client.post(BINARY, json={"word": "学", "width": 100, "height": 100})
        client.post(BINARY, content=b" " * 70_000)
        text = client.get("/metrics").text
    found = dict[str, dict[str, set[str]]]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


def names(expression: str) -> set[str]:
    """Metrics of a PromQL expression: words that are neither functions nor labels."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby \([^)]*\)|\"[^\"]*\"", " ", expression)
    words = set(re.findall(r"[a-z_][a-z0-9_]*(?!\w|\s*\()", bare))
    return words - {"and", "or", "unless", "e", "by"}


def labels(expression: str) -> Iterator[str]:
    for group in re.findall(r"by \(([^)]*)\)", expression):
        yield from (one.strip() for one in group.split(","))
    for matcher in re.findall(r"\{([^}]*)\}", expression):
        yield from re.findall(r"(\w+)\s*(?:=|!)", matcher)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_asked_for_is_told(
    told: dict[str, dict[str, set[str]]], expression: str
):
    asked = names(expression) - FROM_PROMETHEUS
    assert asked <= set(told), asked - set(told)
    known = {"job"}.union(*(told[one] for one in asked))
    assert set(labels(expression)) <= known
    assert expression.count("(") == expression.count(")")


def test_what_the_service_counts_is_shown(told: dict[str, dict[str, set[str]]]):
    """A metric that no panel shows is forgotten; `_created` and `_info` are Prometheus' own."""
    shown = {re.sub(r"_(bucket|sum|count)$", "", one) for query in QUERIES for one in names(query)}
    ours = {one for one in told if one.startswith("writing_service_")}
    plain = {
        re.sub(r"_(bucket|sum|count)$", "", one)
        for one in ours
        if not one.endswith(("_created", "_info"))
    }
    assert plain - shown <= {"writing_service_models_loaded", "writing_service_gpu_available"}


def test_reasons_and_outcomes_of_the_alerts_are_the_code_s():
    source = "".join(
        path.read_text("utf-8")
        for path in (Path(__file__).parents[1] / "writing_service").rglob("*.py")
    )
    matched = re.findall(r'(?:reason|outcome)=~?"([^"]*)"', " ".join(EXPRESSIONS))
    values = {one for group in matched for one in group.split("|")}
    assert {"failed", "queue_full", "deadline", "models", "key"} <= values
    assert all(f'"{value}"' in source for value in values)


def test_panels_do_not_overlap_and_have_their_own_ids():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & places
        assert place["x"] + place["w"] <= 24
        places |= cells


def test_every_alert_says_what_to_do():
    for rule in RULES:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_prometheus_reads_the_rules_where_compose_puts_them():
    (file,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["rule_files"]
    compose = yaml.safe_load((DEPLOY.parents[1] / "docker-compose.yml").read_text())
    mounts = compose["services"]["prometheus"]["volumes"]
    assert f"./deploy/monitoring/{file}:/etc/prometheus/{file}:ro" in mounts
