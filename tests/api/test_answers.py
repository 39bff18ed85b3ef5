"""Equal requests share their drawing: those of the same moment, and those of before."""

import asyncio
import io
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.api.server import serving
from tests.fakes import fake_app
from tests.redis_server import redis_server
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.errors import GenerationFailed

JSON = "/api/writing/generate-writing-image"
BINARY = "/api/writing/generate-writing-image-binary"


def small(**fields: object) -> dict[str, object]:
    return {"word": "学习", "width": 128, "height": 112, **fields}


@dataclass(frozen=True)
class Service:
    """The same for most tests, each of which has a seed of its own."""

    client: httpx.Client
    pipeline: FakePipeline
    folder: Path


def cached(pipeline: FakePipeline, folder: Path, *overrides: str) -> Any:
    """The app with its result cache in the folder."""
    on = ("cache.enabled=true", f"cache.folder={folder}")
    return fake_app(FakeLoader(pipeline), *on, *overrides)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    pipeline, folder = FakePipeline(seconds=0.3), tmp_path_factory.mktemp("cache")
    with serving(cached(pipeline, folder)) as client:
        yield Service(client, pipeline, folder)


@pytest.fixture
def client(service: Service) -> httpx.Client:
    return service.client


@pytest.fixture
def pipeline(service: Service) -> FakePipeline:
    service.pipeline.jobs.clear()
    return service.pipeline


def at_once(client: httpx.Client, *asked: tuple[str, dict[str, object]]) -> list[httpx.Response]:
    """The answers, in order."""

    async def all_of_them() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as many:
            return await asyncio.gather(*(many.post(route, json=body) for route, body in asked))

    return asyncio.run(all_of_them())


def cache_status(client: httpx.Client) -> dict[str, Any]:
    return client.get("/health/detailed").json()["service_status"]["ai_status"]["cache"]


def test_the_second_time_it_is_not_drawn_and_says_so(client: httpx.Client, pipeline: FakePipeline):
    drawn, found = (client.post(JSON, json=small(seed=110)) for _ in "ab")
    assert [one.headers["x-cache"] for one in (drawn, found)] == ["miss", "hit"]
    assert len(pipeline.jobs) == 1
    first, second = drawn.json(), found.json()
    assert first["generation_metadata"].pop("cache") is None
    assert "drawn_at" in second["generation_metadata"].pop("cache")
    assert first == second
    status = cache_status(client)
    assert min(status["hits"], status["misses"]) >= 1
    assert status["bytes"] > len(first["generated_image_base64"]) / 2
    assert status["stores"] == {"disk": {"working": True}}


def test_both_routes_and_the_next_process_find_it(tmp_path: Path):
    pipeline = FakePipeline()
    with serving(cached(pipeline, tmp_path)) as client:
        drawn = client.post(BINARY, json=small(seed=5))
    with serving(cached(pipeline, tmp_path)) as client:
        found = client.post(BINARY, json=small(seed=5))
        assert client.post(JSON, json=small(seed=5)).headers["x-cache"] == "hit"
    assert found.headers["x-cache"] == "hit"
    assert found.content == drawn.content
    varying = {"x-cache", "x-request-id", "date"}
    kept = [{k: v for k, v in one.headers.items() if k not in varying} for one in (drawn, found)]
    assert kept[0] == kept[1]
    assert len(pipeline.jobs) == 1


def test_equal_bytes_have_equal_strong_tags_and_no_others(client: httpx.Client):
    tags = [
        client.post(BINARY, json=body).headers["etag"]
        for body in (small(seed=120), small(seed=120), small(seed=121))
    ]
    assert tags[0] == tags[1] != tags[2]
    hits = [client.post(JSON, json=small(seed=120)) for _ in "ab"]
    assert hits[0].headers["etag"] == hits[1].headers["etag"]
    assert hits[0].content == hits[1].content
    assert all(tag.startswith('"') for tag in tags)


OTHERS: list[dict[str, object]] = [
    {"word": "学"},
    {"seed": 12},
    {"translation": "study"},
    {"style": "ink"},
    {"width": 129},
    {"num_inference_steps": 3},
    {"conditioning_weights": {"canny": 0.1}},
    {"batch_size": 2},
    {"include_conditioning_images": True},
    {"include_prompt": True},
    {"format": "webp"},
    {"format": "jpeg", "quality": 20},
    {"colour": "red"},
]


def test_whatever_changes_the_answer_is_another_entry(client: httpx.Client):
    plain = small(seed=11)
    answers = at_once(client, (JSON, plain), *((JSON, {**plain, **one}) for one in OTHERS))
    assert all(one.status_code == 200 for one in answers)
    assert client.post(JSON, json=plain).headers["x-cache"] == "hit"
    assert cache_status(client)["hits"] >= 1
    entries = {client.post(JSON, json={**plain, **one}).headers["etag"] for one in OTHERS}
    assert len(entries) == len(OTHERS)


def test_without_a_seed_every_request_is_drawn(client: httpx.Client, pipeline: FakePipeline):
    answers = at_once(client, *[(JSON, small())] * 2)
    answers.append(client.post(JSON, json=small()))
    assert {one.headers["x-cache"] for one in answers} == {"off"}
    assert len(pipeline.jobs) == 3
    assert len({one.json()["generation_metadata"]["seed_used"] for one in answers}) == 3


def test_unseeded_requests_share_where_that_is_wanted(tmp_path: Path):
    pipeline = FakePipeline(seconds=0.3)
    with serving(cached(pipeline, tmp_path, "cache.reuse_unseeded=true")) as client:
        together = at_once(client, *[(JSON, small())] * 3)
        later = client.post(JSON, json=small())
    assert sorted(one.headers["x-cache"] for one in together) == ["coalesced", "coalesced", "miss"]
    assert later.headers["x-cache"] == "hit"
    assert len(pipeline.jobs) == 1


def test_equal_requests_of_one_moment_get_one_picture(client: httpx.Client, pipeline: FakePipeline):
    answers = at_once(client, *[(JSON, small(seed=130))] * 5, *[(BINARY, small(seed=130))] * 5)
    uses = [one.headers["x-cache"] for one in answers]
    assert sorted(uses) == ["coalesced"] * 9 + ["miss"]
    assert len(pipeline.jobs) == 1
    assert len({one.content for one in answers}) == 2


def test_formats_and_extras_of_one_moment_share_the_drawing(
    client: httpx.Client, pipeline: FakePipeline
):
    bodies = [
        small(seed=140),
        small(seed=140, format="webp"),
        small(seed=140, include_conditioning_images=True, include_prompt=True),
    ]
    plain, webp, whole = at_once(client, *((JSON, body) for body in bodies))
    assert len(pipeline.jobs) == 1
    assert webp.json()["format"] == "webp"
    assert plain.json()["conditioning_images_base64"] == {}
    assert set(whole.json()["conditioning_images_base64"]) == {
        "canny",
        "depth",
        "segmentation",
        "scribble",
    }
    uses = sorted(one.headers["x-cache"] for one in (plain, webp, whole))
    assert uses == ["coalesced", "coalesced", "miss"]


def test_coalescing_needs_no_cache():
    pipeline = FakePipeline(seconds=0.3)
    with serving(fake_app(FakeLoader(pipeline))) as client:
        answers = at_once(client, *[(BINARY, small(seed=5))] * 3)
        later = client.post(BINARY, json=small(seed=5))
        assert cache_status(client) is None
    assert sorted(one.headers["x-cache"] for one in answers) == ["coalesced", "coalesced", "off"]
    assert later.headers["x-cache"] == "off"
    assert len(pipeline.jobs) == 2


def test_one_that_is_out_of_time_does_not_cancel_the_others(
    client: httpx.Client, pipeline: FakePipeline
):
    async def three() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as many:
            patience = ({"X-Request-Timeout": "0.15"}, {}, {})
            return await asyncio.gather(
                *(many.post(JSON, json=small(seed=150), headers=one) for one in patience)
            )

    impatient, *patient = asyncio.run(three())
    assert impatient.status_code == 504
    assert "X-Request-Timeout" in impatient.json()["error"]
    assert [one.status_code for one in patient] == [200, 200]
    assert len(pipeline.jobs) == 1


def test_an_error_reaches_all():
    pipeline = FakePipeline(seconds=0.3, error=GenerationFailed("Memory ran out."))
    with serving(fake_app(FakeLoader(pipeline))) as client:
        answers = at_once(client, *[(JSON, small(seed=5))] * 3)
    assert [one.status_code for one in answers] == [500] * 3
    assert len({one.json()["error_id"] for one in answers}) == 3


def test_a_failure_is_not_kept(tmp_path: Path):
    pipeline = FakePipeline(error=GenerationFailed("Memory ran out."))
    with serving(cached(pipeline, tmp_path)) as client:
        assert client.post(JSON, json=small(seed=5)).status_code == 500
    with serving(cached(FakePipeline(), tmp_path)) as client:
        assert client.post(JSON, json=small(seed=5)).headers["x-cache"] == "miss"


def test_a_picture_cut_short_by_its_deadline_is_not_kept(tmp_path: Path):
    # It hides the word, so that the gate wants it drawn again, for which there is no time.
    pipeline = FakePipeline(seconds=0.6, hides_below=9)
    eager = "ai_generation.legibility.min_score=0.99"
    with serving(cached(pipeline, tmp_path, eager)) as client:
        patience = {"X-Request-Timeout": "1.3"}
        drawn = client.post(JSON, json=small(seed=5), headers=patience)
        assert drawn.json()["generation_metadata"]["legibility"]["cut_short"] is True
        again = client.post(JSON, json=small(seed=5), headers=patience)
    assert [one.headers["x-cache"] for one in (drawn, again)] == ["miss", "miss"]


def test_a_damaged_entry_is_drawn_anew(client: httpx.Client, service: Service):
    before = set(service.folder.rglob("*.val"))
    client.post(JSON, json=small(seed=160))
    (entry,) = set(service.folder.rglob("*.val")) - before
    entry.write_bytes(entry.read_bytes()[:-500])
    uses = [client.post(JSON, json=small(seed=160)).headers["x-cache"] for _ in "ab"]
    assert uses == ["miss", "hit"]


def test_a_cache_that_has_no_place_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    pipeline = FakePipeline()
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").write_bytes(b"")
    with serving(cached(pipeline, tmp_path / "file")) as client:
        answers = [client.post(JSON, json=small(seed=5)) for _ in range(3)]
        assert cache_status(client)["stores"] == {"disk": {"working": False}}
        assert client.get("/health/ready").status_code == 200
    assert [one.headers["x-cache"] for one in answers] == ["miss"] * 3
    assert caplog.text.count("result cache") == 1


@pytest.mark.services
def test_two_services_share_a_redis_and_go_on_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    pipeline, other = FakePipeline(), FakePipeline()
    with redis_server(tmp_path / "redis") as redis:
        url = f"cache.redis='{redis.url}'"
        with (
            serving(cached(pipeline, tmp_path / "one", url)) as client,
            serving(cached(other, tmp_path / "two", url)) as neighbour,
        ):
            assert client.post(JSON, json=small(seed=5)).headers["x-cache"] == "miss"
            assert neighbour.post(JSON, json=small(seed=5)).headers["x-cache"] == "hit"
            redis.stop()
            uses = [client.post(JSON, json=small(seed=6)).headers["x-cache"] for _ in "ab"]
            assert uses == ["miss", "hit"]
            redis.start()
            time.sleep(5.1)
            assert client.post(JSON, json=small(seed=7)).headers["x-cache"] == "miss"
            assert neighbour.post(JSON, json=small(seed=7)).headers["x-cache"] == "hit"
    assert caplog.text.count("does not work") == 1


def test_a_picture_of_the_cache_is_a_picture(client: httpx.Client):
    for _ in "ab":
        answer = client.post(BINARY, json=small(seed=170, format="webp"))
        assert Image.open(io.BytesIO(answer.content)).size == (128, 112)
    assert status_of(client)["features"]["result_cache"] is True


def status_of(client: httpx.Client) -> dict[str, Any]:
    return client.get("/api/writing/status").json()["result"]
