"""The service on Ray Serve: a cluster of this machine, engines with a made-up device, killed and replaced."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import httpx
import pytest

from benchmarks.ray.service import ROUTE, config
from scripts.ray_local import LocalCluster, local_cluster
from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.diffusion.fake import FakeLoader, FakePipeline

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is missing: pip install '.[ray]'"),
]

SECONDS = 1.0
BODY = {"word": "学", "width": 128, "height": 128}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with local_cluster() as started:
        started.deploy(config(2, SECONDS), engines=2)
        yield started


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[httpx.Client]:
    """All engines are up."""
    cluster.await_engines(2)
    with httpx.Client(base_url=cluster.url, timeout=120) as client:
        yield client


def ask(client: httpx.Client, seed: int, **headers: str) -> httpx.Response:
    return client.post(ROUTE, json={**BODY, "seed": seed}, headers=headers)


def test_the_bytes_are_those_of_the_service_without_ray(client: httpx.Client):
    with serving(fake_app(FakeLoader(FakePipeline()))) as plain:
        wanted = ask(plain, 7)
        found = ask(client, 7)
    assert found.status_code == wanted.status_code == 200
    assert found.content == wanted.content
    varying = {"date", "x-request-id"}
    assert {name: found.headers[name] for name in wanted.headers if name not in varying} == {
        name: value for name, value in wanted.headers.items() if name not in varying
    }


def test_errors_mean_what_they_mean_without_ray(client: httpx.Client):
    answer = client.post(ROUTE, json={**BODY, "pictogram": "nosuch"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "pictogram"
    late = ask(client, 1, **{"X-Request-Timeout": "0.3"})
    assert late.status_code == 504


def test_an_answer_has_one_id_and_the_engines_log_has_it_too(
    client: httpx.Client, cluster: LocalCluster
):
    answer = ask(client, 2, **{"X-Request-ID": "bot-42"})
    assert answer.headers.get_list("x-request-id") == ["bot-42"]
    assert "AI generation done" in next(
        line for line in cluster.console().splitlines() if "done" in line and "bot-42" in line
    )


def test_a_job_shows_its_way(client: httpx.Client):
    job = client.post("/api/writing/jobs", json={**BODY, "seed": 3}).json()
    stages = set[str | None]()
    until = time.monotonic() + 60
    while job["state"] not in ("succeeded", "failed") and time.monotonic() < until:
        job = client.get(f"/api/writing/jobs/{job['id']}").json()
        stages.add(job["stage"])
        time.sleep(0.05)
    assert job["state"] == "succeeded"
    assert "denoise" in stages


def test_whoever_leaves_takes_the_work_along(client: httpx.Client, cluster: LocalCluster):
    before = cluster.log("Engine").count("CANCELLED")
    with pytest.raises(httpx.TimeoutException):
        client.post(ROUTE, json={**BODY, "seed": 4}, timeout=0.4)
    until = time.monotonic() + 20
    while cluster.log("Engine").count("CANCELLED") == before:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_health_and_metrics_speak_for_all_replicas(client: httpx.Client):
    for seed in range(3):
        assert ask(client, seed).is_success
    time.sleep(3)  # the board hears every second
    told = client.get("/health/detailed").json()
    status = told["service_status"]["ai_status"]
    assert status["models_loaded"] is True
    assert len(status["replicas"]) == 2
    assert len(told["gpu_diagnostics"]["replicas"]) == 2
    total = client.get("/api/writing/status").json()["result"]["total_generations"]
    assert total == status["total_generations"] >= 3
    text = client.get("/metrics").text
    for one in status["replicas"]:
        assert f'models_loaded{{replica="{one["replica"]}"}} 1.0' in text
    assert client.post("/health/warmup").json()["success"] is True


def load(client: httpx.Client, pool: ThreadPoolExecutor, count: int) -> list[Future[Any]]:
    return [pool.submit(ask, client, 100 + seed) for seed in range(count)]


def test_a_killed_engine_loses_no_request(client: httpx.Client, cluster: LocalCluster):
    with ThreadPoolExecutor(8) as pool:
        asked = load(client, pool, 8)
        time.sleep(1.5)
        cluster.replicas("Engine")[0].kill()
        answers = [one.result() for one in asked]
    assert [one.status_code for one in answers] == [200] * 8
    assert "A replica was lost" in cluster.console()


def test_a_request_that_kills_two_engines_is_refused(client: httpx.Client, cluster: LocalCluster):
    killed = 0
    with ThreadPoolExecutor(1) as pool:
        names = {"X-Request-ID": "poison", "X-Request-Timeout": "100"}
        asked = pool.submit(ask, client, 5, **names)
        while not asked.done():
            lines = cluster.console().splitlines()
            begun = [one for one in lines if "begins" in one and "poison" in one]
            if len(begun) > killed:
                killed = len(begun)
                for one in cluster.replicas("Engine"):
                    one.kill()
            time.sleep(0.1)
        answer = asked.result()
    assert killed == 2
    assert answer.status_code == 500
    assert "Two replicas died" in answer.json()["error"]


def test_an_update_loses_no_request(client: httpx.Client, cluster: LocalCluster):
    before = {one.pid for one in cluster.replicas("Engine")}
    with ThreadPoolExecutor(4) as pool:
        done = False

        def keep_asking(first: int) -> list[int]:
            found, seed = list[int](), first
            while not done:
                found.append(ask(client, seed).status_code)
                seed += 1
            return found

        asking = [pool.submit(keep_asking, 1000 * one) for one in range(4)]
        try:
            cluster.deploy(config(2, SECONDS, release="2"), engines=2)
            until = time.monotonic() + 120
            while before & {one.pid for one in cluster.replicas("Engine")}:
                assert time.monotonic() < until
                time.sleep(0.5)
        finally:
            done = True
        statuses = [status for one in asking for status in one.result()]
    assert set(statuses) == {200}
    assert len(statuses) > 8


def test_nobody_draws_while_nobody_asks_and_the_first_request_starts_an_engine():
    scaling = {"min_replicas": 0, "initial_replicas": 0, "max_replicas": 1, "upscale_delay_s": 0}
    settings = config(1, SECONDS, num_replicas="auto", autoscaling_config=scaling)
    with local_cluster() as cluster:
        cluster.deploy(settings, engines=0)
        with httpx.Client(base_url=cluster.url, timeout=120) as client:
            assert cluster.replicas("Engine") == []
            answer = ask(client, 7, **{"X-Request-Timeout": "100"})
            assert answer.status_code == 200
            cluster.await_engines(1)
