"""Jobs over HTTP, against real servers around the shipped fake pipeline."""

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from tests.api.server import serving
from tests.fakes import fake_app
from tests.jobs.postgres import postgres
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.errors import GenerationFailed

JOBS = "/api/writing/jobs"
JSON = "/api/writing/generate-writing-image"
BINARY = "/api/writing/generate-writing-image-binary"
KEYS = {
    "id",
    "state",
    "stage",
    "step",
    "steps",
    "attempt",
    "queue_position",
    "seconds_left",
    "poll_after_ms",
    "preview",
    "word_preview",
    "conditioning_previews",
    "created_at",
    "started_at",
    "finished_at",
    "expires_at",
    "request",
    "result",
    "error",
    "links",
}
KINDS = {"canny", "depth", "segmentation", "scribble"}
STAGES = ["render", "conditioning", "prompt", "queue", "denoise", "decode", "encode"]


def small(**fields: object) -> dict[str, object]:
    return {"word": "学", "width": 128, "height": 112, "num_inference_steps": 4, **fields}


def slow_app(seconds: float, *overrides: str) -> Any:
    return fake_app(FakeLoader(FakePipeline(seconds)), *overrides)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


def started(client: httpx.Client, **fields: object) -> dict[str, Any]:
    answer = client.post(JOBS, json=small(**fields))
    assert answer.status_code == 202, answer.text
    return answer.json()


def until(
    client: httpx.Client, job: dict[str, Any], is_there: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    end = time.monotonic() + 20
    while not is_there(status := client.get(job["links"]["self"]).json()):
        assert time.monotonic() < end, status
        time.sleep(0.03)
    return status


def finished(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    return until(client, job, lambda status: status["finished_at"] is not None)


def events(client: httpx.Client, job: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and data, until the stream ends."""
    found, name = [], ""
    with client.stream("GET", job["links"]["events"]) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            if key == "data":
                found.append((name, json.loads(value)))
    return found


def image(data_url: str) -> Image.Image:
    head, _, encoded = data_url.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_a_job_is_what_the_same_request_gives_at_once(client: httpx.Client):
    asked = small(seed=5, include_conditioning_images=True, include_prompt=True, surprise=1)
    answer = client.post(JOBS, json=asked)
    assert answer.status_code == 202
    job = answer.json()
    assert set(job) == KEYS
    assert answer.headers["location"] == job["links"]["self"] == f"{JOBS}/{job['id']}"
    assert job["request"] == asked
    assert (job["result"], job["error"]) == (None, None)
    done = finished(client, job)
    assert (done["state"], done["stage"], done["poll_after_ms"]) == ("succeeded", None, 0)
    assert (done["step"], done["steps"], done["queue_position"]) == (4, 4, None)
    assert done["created_at"] <= done["started_at"] <= done["finished_at"] < done["expires_at"]
    direct = client.post(JSON, json=asked).json()
    for told in (done["result"], direct):
        for key in ("generation_time_ms", "stage_times_ms", "gpu_memory_used_mb"):
            told["generation_metadata"].pop(key)
    assert done["result"] == direct
    assert client.get(job["links"]["self"], params={"result": "false"}).json()["result"] is None


def test_its_pictures_come_alone_with_the_headers_of_the_binary_route(client: httpx.Client):
    job = started(client, seed=5, batch_size=2, format="webp")
    path = job["links"]["picture"]
    finished(client, job)
    first, second = (client.get(path, params={"index": one}) for one in (0, 1))
    direct = client.post(BINARY, json=small(seed=5, format="webp"))
    assert first.content == direct.content
    for name in ("content-type", "content-disposition", "x-seed", "x-model", "x-word"):
        assert first.headers[name] == direct.headers[name]
    assert second.headers["x-seed"] == "6"
    assert second.content != first.content
    assert Image.open(io.BytesIO(second.content)).size == (128, 112)
    missing = client.get(path, params={"index": 2})
    assert (missing.status_code, missing.json()["error"]) == (
        404,
        "The job drew 2 picture(s); ask for 0 to 1.",
    )
    assert client.get(path, params={"index": -1}).status_code == 422


def test_a_job_without_a_seed_tells_the_one_it_gets(client: httpx.Client):
    job = started(client)
    seed = job["request"]["seed"]
    assert 0 <= seed < 2**32
    assert finished(client, job)["result"]["generation_metadata"]["seed_used"] == seed


def test_the_stages_pass_with_their_pictures():
    with serving(slow_app(1.2, "jobs.preview_every=1")) as client:
        job = started(client, num_inference_steps=6)
        told = events(client, job)
        later = events(client, job)
    assert [name for name, _ in told] == [*["status"] * (len(told) - 1), "done"]
    assert all(set(status) == KEYS and status["result"] is None for _, status in told)
    seen = [status["stage"] for _, status in told if status["stage"]]
    assert seen == sorted(seen, key=STAGES.index)
    assert [status["step"] for _, status in told] == sorted(s["step"] for _, s in told)
    drawing = [status for _, status in told if status["stage"] == "denoise"]
    assert len(drawing) >= 3
    assert drawing[0]["seconds_left"] > drawing[-1]["seconds_left"]
    last = told[-1][1]
    assert last["state"] == "succeeded"
    assert set(last["conditioning_previews"]) == KINDS
    for url in (last["word_preview"], last["preview"], *last["conditioning_previews"].values()):
        assert max(image(url).size) <= 256
    # Whoever comes late, or again, is told the end.
    assert [name for name, _ in later] == ["status", "done"]
    assert later[-1][1] == last


def test_a_picture_that_is_drawn_again_does_not_fall_back():
    pipeline = FakePipeline(seconds=0.4, hides_below=3.0)
    with serving(
        fake_app(FakeLoader(pipeline), "ai_generation.legibility.min_score=0.9")
    ) as client:
        told = [status for _, status in events(client, started(client))]
    assert told[-1]["attempt"] == len(pipeline.jobs) > 1
    assert [one["step"] for one in told] == sorted(one["step"] for one in told)
    assert told[-1]["step"] == told[-1]["steps"] == 4 * len(pipeline.jobs)


def test_places_in_the_queue_and_the_time_left_are_told():
    with serving(slow_app(0.5, "jobs.at_once=1", "jobs.poll_most_ms=1500")) as client:
        first = started(client)
        finished(client, first)
        jobs = [started(client) for _ in range(3)]
        until(client, jobs[0], lambda status: status["state"] == "running")
        waiting = [client.get(one["links"]["self"]).json() for one in jobs[1:]]
        assert [one["queue_position"] for one in waiting] == [0, 1]
        assert [one["state"] for one in waiting] == ["queued"] * 2
        assert 0.5 < waiting[0]["seconds_left"] < waiting[1]["seconds_left"] < 10
        for one in waiting:
            due = min(1500, max(1000, 1000 * one["seconds_left"]))
            assert one["poll_after_ms"] == pytest.approx(due, abs=51)
        assert finished(client, jobs[2])["state"] == "succeeded"


def test_cancelling_ends_exactly_that_one():
    with serving(slow_app(30.0, "jobs.at_once=2", "jobs.max_queued=1")) as client:
        jobs = [started(client)]
        until(client, jobs[0], lambda status: status["state"] == "running")
        jobs.append(started(client))
        until(client, jobs[1], lambda status: status["state"] == "running")
        jobs.append(started(client))
        full = client.post(JOBS, json=small())
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) >= 1
        assert "1 jobs wait already" in full.json()["error"]
        assert client.get(jobs[0]["links"]["picture"]).status_code == 409
        cancelled = client.delete(jobs[0]["links"]["self"]).json()
        assert (cancelled["state"], cancelled["poll_after_ms"]) == ("cancelled", 0)
        assert events(client, jobs[0])[-1][1]["state"] == "cancelled"
        # Its place is free at once.
        until(client, jobs[2], lambda status: status["state"] == "running")
        assert client.get(jobs[1]["links"]["self"]).json()["state"] == "running"
        for job in jobs[1:]:
            client.delete(job["links"]["self"])


def test_a_finished_job_is_not_cancelled(client: httpx.Client):
    job = started(client)
    done = finished(client, job)
    assert client.delete(job["links"]["self"]).json() == {**done, "result": None}


def test_a_key_is_one_job(client: httpx.Client):
    def ask(**fields: object) -> httpx.Response:
        return client.post(JOBS, json=small(**fields), headers={"Idempotency-Key": "k 1"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(), range(8)))
    assert sorted(one.status_code for one in answers) == [*[200] * 7, 202]
    assert len({one.json()["id"] for one in answers}) == 1
    known = {"Idempotency-Key": "k 1", "X-API-Key": "another caller"}
    assert client.post(JOBS, json=small(), headers=known).status_code == 202
    other = ask(style="ink")
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"
    refused = client.post(JOBS, json=small(), headers={"Idempotency-Key": "x" * 256})
    assert refused.status_code == 422


def test_what_fails_tells_why():
    error = GenerationFailed("The networks gave nothing.")
    with serving(fake_app(FakeLoader(FakePipeline(error=error)))) as client:
        done = finished(client, started(client))
        assert (done["state"], done["result"], done["error"]["status"]) == ("failed", None, 500)
        assert "The networks gave nothing." in done["error"]["error"]
        assert done["error"]["error_id"]
        wrong = finished(client, started(client, preset="no such"))
        assert (wrong["error"]["status"], wrong["error"]["errors"][0]["field"]) == (422, "preset")
        assert "is failed" in client.get(wrong["links"]["picture"]).json()["error"]


@pytest.mark.parametrize("path", ["", "/picture", "/events"])
def test_unknown_jobs_are_problems(client: httpx.Client, path: str):
    answer = client.get(f"{JOBS}/nothing{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "no such job" in answer.json()["error"]


def test_bad_requests_are_refused_before_there_is_a_job(client: httpx.Client):
    for fields, field in (
        ({"word": ""}, "word"),
        ({"webhook_url": "http://localhost/"}, "webhook_url"),
    ):
        answer = client.post(JOBS, json=small(**fields))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field


def test_whoever_asked_for_it_is_told():
    came = list[dict[str, Any]]()
    told = FastAPI()

    @told.post("/done")
    def done(message: dict[str, Any]) -> None:
        came.append(message)

    with serving(told) as receiver:
        host = receiver.base_url.netloc.decode()
        secret = "whsec_" + base64.b64encode(bytes(32)).decode()
        allowed = (f"jobs.webhook_hosts=['{host}']", f"jobs.webhook_secret='{secret}'")
        with serving(slow_app(0.0, *allowed)) as client:
            job = started(client, webhook_url=f"http://{host}/done")
            assert "webhook_url" not in job["request"]
            end = time.monotonic() + 10
            while not came:
                assert time.monotonic() < end
                time.sleep(0.05)
    assert [(one["type"], one["data"]["id"]) for one in came] == [("job.succeeded", job["id"])]


def test_jobs_survive_a_restart(tmp_path: Path):
    store = f"jobs.url=sqlite:///{tmp_path}/jobs.sqlite3"
    with serving(slow_app(0.0, store)) as client:
        done = finished(client, started(client, seed=1))
    with serving(slow_app(30.0, store, "jobs.at_once=1")) as client:
        assert client.get(done["links"]["self"]).json() == done
        jobs = [started(client, seed=one) for one in (2, 3)]
        until(client, jobs[0], lambda status: status["state"] == "running")
    with serving(slow_app(0.0, store)) as client:
        for job in jobs:
            assert finished(client, job)["state"] == "succeeded"


@pytest.mark.slow
def test_finished_jobs_expire(tmp_path: Path):
    overrides = (f"jobs.url=sqlite:///{tmp_path}/jobs.sqlite3", "jobs.keep_seconds=0.1")
    with serving(slow_app(0.0, *overrides)) as client:
        job = finished(client, started(client))
        time.sleep(0.2)
    with serving(slow_app(0.0, *overrides)) as client:
        end = time.monotonic() + 5
        while client.get(job["links"]["self"]).status_code != 404:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.services
def test_without_its_database_the_service_goes_on():
    with postgres() as server:
        url = server.create("jobs")
        with serving(slow_app(0.0, f"jobs.url={url}")) as client:
            job = finished(client, started(client))
            server.stop()
            refused = client.post(JOBS, json=small())
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
            assert "database cannot be used" in refused.json()["error"]
            assert client.get(job["links"]["self"]).status_code == 503
            assert client.get("/health").status_code == 200
            assert client.post(JSON, json=small()).status_code == 200
            server.start()
            assert client.get(job["links"]["self"]).json()["state"] == "succeeded"
            assert finished(client, started(client))["state"] == "succeeded"
