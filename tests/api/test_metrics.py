"""/metrics over HTTP: what is counted, and that nothing of a request becomes a label."""

import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.diffusion.doors import GPUMemory, GPUStatus
from writing_service.diffusion.fake import FakeGPU, FakeLoader, FakePipeline
from writing_service.errors import GenerationFailed

BINARY = "/api/writing/generate-writing-image-binary"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


def samples(client: httpx.Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def small(**fields: object) -> dict[str, object]:
    return {"word": "学", "width": 100, "height": 100, **fields}


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"writing_service_{name}", tuple(sorted(labels.items()))), 0.0)


def test_a_picture_is_counted_everywhere(client: httpx.Client):
    before = samples(client)
    assert client.post(BINARY, json=small(batch_size=2, style="ink")).status_code == 200
    after = samples(client)

    def risen(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert risen("generations_total", style="ink", outcome="drawn") == 1
    assert risen("generation_seconds_count") == 1
    assert risen("pictures_total") == 2
    assert risen("legibility_score_count") == 2
    for stage in ("render", "conditioning", "prompt", "queue", "denoise", "decode", "legibility"):
        assert risen("stage_seconds_count", stage=stage) >= 1, stage
    assert risen("stage_seconds_count", stage="encode") == 1
    assert risen("http_requests_total", method="POST", route=BINARY, status="200") == 1
    assert risen("http_request_seconds_count", route=BINARY) == 1
    assert value(after, "http_requests_in_flight") == 1  # this very one
    assert value(after, "generations_in_flight") == 0
    assert value(after, "models_loaded") == 1


def test_jobs_are_counted_by_state():
    app = fake_app(FakeLoader(FakePipeline(seconds=30)), "jobs.at_once=1")
    with serving(app) as client:
        for seed in (1, 2, 3):
            assert client.post("/api/writing/jobs", json=small(seed=seed)).status_code == 202
        told: tuple[float, ...] = ()
        until = time.monotonic() + 20
        while told != (2, 1) and time.monotonic() < until:
            time.sleep(0.1)
            found = samples(client)
            told = tuple(value(found, "jobs", state=state) for state in ("queued", "running"))
        assert told == (2, 1)


def test_refusals_are_counted_by_reason(client: httpx.Client):
    client.post(BINARY, content=b"{", headers={"Content-Type": "application/json"})
    client.post(BINARY, content=b" " * 70_000)
    client.post(BINARY, json=small(pictogram="no such thing"))
    found = samples(client)
    assert value(found, "refusals_total", reason="body_invalid") >= 1
    assert value(found, "refusals_total", reason="body_too_large") >= 1
    assert value(found, "generations_total", style="comic", outcome="invalid") >= 1


@pytest.mark.parametrize(
    ("loader", "overrides", "outcome", "reason"),
    [
        (FakeLoader(reasons=["there is no folder /x"]), (), "unavailable", "models"),
        (FakeLoader(FakePipeline(error=GenerationFailed("No."))), (), "failed", None),
        (
            FakeLoader(FakePipeline(seconds=5)),
            ("api.request_timeout_seconds=0.3",),
            "cancelled",
            "deadline",
        ),
    ],
)
def test_what_goes_wrong_is_told_apart(
    loader: FakeLoader, overrides: tuple[str, ...], outcome: str, reason: str | None
):
    with serving(fake_app(loader, *overrides)) as client:
        client.post(BINARY, json=small())
        found = samples(client)
    assert value(found, "generations_total", style="comic", outcome=outcome) == 1
    if reason:
        assert value(found, "refusals_total", reason=reason) == 1


def test_what_a_gpu_tells_is_told_in_base_units():
    status = GPUStatus(True, "A card", GPUMemory(24.0, 6.0, 25.0), 80, 65, 250.0)
    with serving(fake_app(gpu=FakeGPU(status=status))) as client:
        found = samples(client)
    assert value(found, "gpu_available") == 1
    assert value(found, "gpu_memory_used_bytes") == 6 * 1024**3
    assert value(found, "gpu_memory_total_bytes") == 24 * 1024**3
    assert value(found, "gpu_utilization_percent") == 80
    assert value(found, "gpu_temperature_celsius") == 65
    assert value(found, "gpu_power_watts") == 250


def test_without_a_gpu_nothing_is_made_up(client: httpx.Client):
    names = {name for name, _ in samples(client) if "_gpu_" in name}
    assert names == {"writing_service_gpu_available"}


def test_two_apps_count_apart(client: httpx.Client):
    client.post(BINARY, json=small())
    with serving(fake_app()) as other:
        assert value(samples(other), "pictures_total") == 0


def test_collectors_that_ask_for_openmetrics_get_it(client: httpx.Client):
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs"]), min_size=1, max_size=20
)


@settings(max_examples=6)
@given(_TEXT, _TEXT)
def test_nothing_that_a_request_says_becomes_a_label(client: httpx.Client, text: str, path: str):
    before = {name for name, _ in samples(client)}, len(samples(client))
    client.post(BINARY, json=small(style=f"so-{text}", pictogram="off", language=text, width=99))
    client.post(BINARY, json=small(style=f"so-{text}", pictogram=f"no-{text}"))
    client.get(f"/made-up-{path}")
    client.request("BREW", "/made-up")
    after = samples(client)
    assert {name for name, _ in after} >= before[0]
    labels = {label for _, pairs in after for label in pairs if label[0] != "le"}
    known = {
        "custom",
        "comic",
        "ink",
        "other",
        "POST",
        "GET",
        BINARY,
        "/metrics",
        "drawn",
        "invalid",
    }
    assert {one for name, one in labels if name in ("style", "method", "route")} <= known
    assert len(after) < before[1] + 60
