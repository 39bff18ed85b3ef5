"""ModelWarmer: every stage and every batch, and at a service's start."""

import time

import httpx

from tests.api.server import serving
from tests.fakes import fake_app, fake_generator
from writing_service.diffusion.fake import FakeGPU, FakeLoader, FakePipeline
from writing_service.errors import GenerationFailed
from writing_service.warmer import WORDS, ModelWarmer

STAGES = {"render", "conditioning", "prompt", "queue", "denoise", "decode", "legibility", "encode"}
AT_START = "ai_generation.warmup.at_start=true"


async def test_the_guides_five_words_pass_every_stage() -> None:
    gpu = FakeGPU()
    generator, pipeline = fake_generator(gpu=gpu)

    results = await ModelWarmer(generator, gpu).warmup_models()

    assert WORDS == ("测", "试", "验", "学", "习")
    assert tuple(results) == WORDS
    for one in results.values():
        assert one["success"]
        assert set(one["stage_times_ms"]) == STAGES
        assert one["memory"]["process_gb"] == 1000 / 1024
    assert [len(job.seeds) for job in pipeline.jobs] == [1] * 5


async def test_every_batch_that_is_compiled_is_drawn_once() -> None:
    gpu = FakeGPU(batch_sizes=(1, 2, 4))
    generator, pipeline = fake_generator(gpu=gpu)

    results = await ModelWarmer(generator, gpu).warmup_models()

    assert list(results)[5:] == ["batch of 1", "batch of 2", "batch of 4"]
    assert [len(job.seeds) for job in pipeline.jobs][5:] == [1, 2, 4]


async def test_a_failure_is_told_by_word_and_at_the_start_ends_nothing() -> None:
    gpu = FakeGPU()
    generator, _ = fake_generator(FakePipeline(error=GenerationFailed("no luck")), gpu=gpu)
    warmer = ModelWarmer(generator, gpu)

    results = await warmer.warmup_models()
    await warmer.warm_at_start()

    assert {one["error"] for one in results.values()} == {"no luck"}
    assert not any(one["success"] for one in results.values())
    assert not warmer.at_work


def becomes_ready(client: httpx.Client) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if client.get("/health/ready").status_code == 200:
            return True
        time.sleep(0.05)
    return False


def test_a_service_that_warms_up_is_alive_at_once_and_ready_afterwards() -> None:
    pipeline = FakePipeline(seconds=0.3)
    with serving(fake_app(FakeLoader(pipeline), AT_START)) as client:
        assert client.get("/health").status_code == 200
        waiting = client.get("/health/ready")
        assert waiting.status_code == 503
        assert waiting.json()["reasons"] == ["the service is warming up"]
        assert becomes_ready(client)
        assert len(pipeline.jobs) == 5


def test_a_service_can_stop_while_it_warms_up() -> None:
    pipeline = FakePipeline(seconds=60)
    started = time.monotonic()
    with serving(fake_app(FakeLoader(pipeline), AT_START)) as client:
        assert client.get("/health").status_code == 200
    assert time.monotonic() - started < 30
    assert pipeline.closed


def test_without_the_setting_nothing_is_drawn_at_the_start() -> None:
    pipeline = FakePipeline()
    with serving(fake_app(FakeLoader(pipeline))) as client:
        assert client.get("/health/ready").status_code == 200
    assert pipeline.jobs == []
