"""Metrics of several processes as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from writing_service.cluster.families import ClusterMetrics, packed
from writing_service.observability.metrics import ServiceMetrics


def counted(times: int) -> bytes:
    registry = CollectorRegistry()
    Counter("pictures", "Drawn", ("style",), registry=registry).labels("ink").inc(times)
    return packed(registry)


def test_a_family_is_told_once_and_each_sample_says_whose_it_is():
    told = ClusterMetrics(lambda: {"a": counted(1), "b": counted(2)})
    text = generate_latest(told).decode()
    assert text.count("# TYPE pictures_total counter") == 1
    assert 'pictures_total{replica="a",style="ink"} 1.0' in text
    assert 'pictures_total{replica="b",style="ink"} 2.0' in text


def test_all_metrics_of_the_service_survive_the_way():
    metrics = ServiceMetrics()
    metrics.stage("render", 0, 0.1)
    told = ClusterMetrics(lambda: {"a": packed(metrics.registry)})
    families = list(text_string_to_metric_families(generate_latest(told).decode()))
    names = [one.name for one in families]
    assert len(names) == len(set(names))
    assert "writing_service_stage_seconds" in names
    assert all(sample.labels["replica"] == "a" for one in families for sample in one.samples)
