"""Many different jobs at once: none sees the others, each comes and goes as it likes."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.diffusion.conftest import (
    Loaders,
    Models,
    control_images,
    loaded,
    make_job,
    model_settings,
)
from tests.diffusion.faults import before_runs, failing, limited, paused
from writing_service.diffusion.doors import Progress, Stage
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.errors import DeadlinePassed, GenerationFailed
from writing_service.types import ConditioningKind, GenerationJob, Size, Window

CANNY, DEPTH, SEGMENTATION, SCRIBBLE = ConditioningKind
WHITE = {kind: Image.new("RGB", (64, 48), "white") for kind in ConditioningKind}
NEIGHBOURS: list[dict[str, Any]] = [
    {"prompt": "z" * 60, "negative_prompt": "", "guidance_scale": 25.0, "num_inference_steps": 9},
    {"prompt": "q", "guidance_scale": 1.0, "conditioning_scales": {}, "num_inference_steps": 1},
    {"control_images": WHITE, "conditioning_scales": dict.fromkeys(ConditioningKind, 2.0)},
    {"conditioning_scales": {DEPTH: 1.9}, "num_inference_steps": 5, "seeds": (1, 2)},
    {"control_windows": {CANNY: Window(0.0, 0.3)}, "guidance_scale": 0.0, "num_inference_steps": 7},
    {"size": Size(48, 64), "control_images": control_images(Size(48, 64))},
    {"cache_interval": 3, "conditioning_scales": {}, "num_inference_steps": 7},
]
SUBJECTS: list[dict[str, Any]] = [
    {},
    {"guidance_scale": 1.0},
    {"conditioning_scales": {CANNY: 1.0}, "num_inference_steps": 6},
    {"conditioning_scales": {}, "seeds": (3, 4)},
    {"control_windows": {DEPTH: Window(0.0, 0.5)}, "num_inference_steps": 4},
    {"guidance_window": Window(0.0, 0.5), "cache_interval": 2, "num_inference_steps": 5},
]


def apart(one: Any, other: Any) -> int:
    """The largest difference of two drawn jobs, of 255."""
    pairs = zip(one.images, other.images, strict=True)
    return max(
        int(np.abs(np.asarray(a.image).astype(int) - np.asarray(b.image)).max()) for a, b in pairs
    )


def raw(drawn: Any) -> list[bytes]:
    return [one.image.tobytes() for one in drawn.images]


async def together(models: Models, *jobs: GenerationJob) -> list[Any]:
    """Pictures or errors of jobs that all share their second step."""
    with paused(models.base.unet):
        drawn = [asyncio.create_task(models.pipeline.draw(job)) for job in jobs]
        await asyncio.sleep(0.05)
    return await asyncio.gather(*drawn, return_exceptions=True)


def one_of(neighbour: dict[str, Any]) -> GenerationJob:
    return make_job(**neighbour)


def steps_of(job: GenerationJob) -> int:
    """If it drew its pictures one after the other."""
    return job.num_inference_steps * len(job.seeds)


def engine_threads() -> int:
    names = [thread.name for thread in threading.enumerate()]
    return sum(name.startswith(("drawing", "converting")) for name in names)


async def in_company(pipeline: MultiControlNetPipeline, job: GenerationJob) -> Any:
    others = [one_of(neighbour) for neighbour in NEIGHBOURS]
    first = [asyncio.create_task(pipeline.draw(one)) for one in others[:3]]
    mine = asyncio.create_task(pipeline.draw(job))
    rest = [asyncio.create_task(pipeline.draw(one)) for one in others[3:]]
    await asyncio.gather(*first, *rest)
    return await mine


@pytest.fixture(scope="module")
def shared_models(tiny: Path) -> Iterator[Models]:
    """One network that reads each kind by itself."""
    same = dict.fromkeys(map(str, ConditioningKind), "./canny")
    with loaded(model_settings(tiny, controlnet_models=same, shared_controlnet=True)) as models:
        yield models


@pytest.fixture(params=["models", "shared_models", "union_models"])
def any_pipeline(request: pytest.FixtureRequest) -> MultiControlNetPipeline:
    """Each way of having ControlNets."""
    return request.getfixturevalue(request.param).pipeline


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
async def test_a_picture_is_the_same_in_any_company(
    any_pipeline: MultiControlNetPipeline, subject: dict[str, Any]
) -> None:
    job = make_job(**subject)
    alone = await any_pipeline.draw(job)

    before = any_pipeline.status()["batches"]["steps"]
    together = await in_company(any_pipeline, job)
    taken = any_pipeline.status()["batches"]["steps"] - before

    assert apart(alone, together) <= 1
    assert taken < sum(steps_of(one) for one in (job, *map(one_of, NEIGHBOURS))) / 2


async def test_deterministic_bytes_are_the_same_under_any_load(
    tiny: Path, make_loader: Loaders
) -> None:
    pipeline = await make_loader(model_settings(tiny), deterministic=True).load()
    job = make_job(seeds=(7, 8))
    alone = await pipeline.draw(job)

    together = await in_company(pipeline, job)

    assert raw(alone) == raw(together)
    assert pipeline.status()["batches"]["largest"] == 1


async def test_a_late_job_joins_and_a_finished_one_leaves(
    own_pipeline: MultiControlNetPipeline,
) -> None:
    done, begun = list[str](), asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if progress.step >= 2:
            begun.set()

    async def draw(name: str, job: GenerationJob, *more: Any) -> Any:
        drawn = await own_pipeline.draw(job, *more)
        done.append(name)
        return drawn

    long = make_job(num_inference_steps=16)
    first = asyncio.create_task(draw("long", long, on_progress))
    await begun.wait()
    short = await draw("short", make_job(seeds=(9,), num_inference_steps=2))
    drawn = await first

    assert done == ["short", "long"]
    assert own_pipeline.status()["batches"] == {
        "steps": 16,
        "mean_pictures": 1.12,
        "largest": 2,
        "by_size": {1: 14, 2: 2},
    }
    assert apart(drawn, await own_pipeline.draw(long)) <= 1
    assert apart(short, await own_pipeline.draw(make_job(seeds=(9,), num_inference_steps=2))) <= 1


@pytest.mark.parametrize("deterministic", [False, True])
async def test_who_leaves_half_way_changes_nobody(
    tiny: Path, make_loader: Loaders, deterministic: bool
) -> None:
    pipeline = await make_loader(model_settings(tiny), deterministic=deterministic).load()
    stays = make_job(num_inference_steps=6)
    alone = await pipeline.draw(stays)
    half = asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if progress.step >= 3:
            half.set()

    leaving = make_job(prompt="another", guidance_scale=9.0, num_inference_steps=500)
    leaves = asyncio.create_task(pipeline.draw(leaving, on_progress))
    staying = asyncio.create_task(pipeline.draw(stays))
    await half.wait()
    leaves.cancel()
    drawn = await staying

    assert raw(drawn) == raw(alone) if deterministic else apart(drawn, alone) <= 1
    assert pipeline.status()["queue_depth"] == 0


async def test_progress_tells_the_place_in_the_queue(tiny: Path, make_loader: Loaders) -> None:
    pipeline = await make_loader(model_settings(tiny), deterministic=True).load()
    told = list[list[Progress]]([[], [], []])

    await asyncio.gather(*(pipeline.draw(make_job(seeds=(1,)), one.append) for one in told))

    assert {one.queue_position for one in told[2] if one.stage is Stage.QUEUE} >= {0, 1}
    for each in told:
        assert [one.step for one in each] == sorted(one.step for one in each)
        assert (each[-1].stage, each[-1].step, each[-1].steps) == (Stage.DECODE, 3, 3)


async def test_previews_come_as_often_as_asked_and_change_nothing(
    pipeline: MultiControlNetPipeline,
) -> None:
    told, silent = list[Progress](), list[Progress]()
    job = make_job(num_inference_steps=6)

    drawn = await pipeline.draw(replace(job, preview_every=2), told.append)
    plain = await pipeline.draw(job, silent.append)

    previews = [one.preview for one in told if one.preview is not None]
    assert [one.size for one in previews] == [(256, 192)] * 2
    assert previews[0].tobytes() != previews[1].tobytes()
    assert not any(one.preview for one in silent)
    assert raw(drawn) == raw(plain)


async def test_a_controlnet_nobody_wants_now_is_not_run(models: Models) -> None:
    rows = {kind: list[int]() for kind in models.networks}
    job = make_job(
        num_inference_steps=4,
        seeds=(1, 2),
        conditioning_scales={CANNY: 1.0, DEPTH: 1.0, SEGMENTATION: 0.0},
        control_windows={DEPTH: Window(0.0, 0.5)},
    )
    lone = make_job(num_inference_steps=4, guidance_scale=1.0, conditioning_scales={SCRIBBLE: 1.0})

    with ExitStack() as counted:
        for kind, network in models.networks.items():
            counted.enter_context(
                before_runs(network, lambda given, kind=kind: rows[kind].append(len(given)))
            )
        await together(models, job, lone)

    # Two guided pictures are four rows, the other one is one; only who wants a kind runs it.
    assert rows == {CANNY: [4] * 4, DEPTH: [4] * 2, SEGMENTATION: [], SCRIBBLE: [1] * 4}


async def test_a_job_that_cannot_be_prepared_fails_alone(models: Models) -> None:
    with failing(models.base.text_encoder, ValueError("no text"), at=range(1)):
        broken, sound = await together(models, make_job(prompt="new"), make_job(seeds=(8,)))

    assert isinstance(broken, ValueError)
    assert apart(sound, await models.pipeline.draw(make_job(seeds=(8,)))) <= 1


async def test_a_failed_step_fails_its_pictures_and_the_service_goes_on(models: Models) -> None:
    with failing(models.base.unet, ValueError("broken"), at=range(1, 2)):
        failed = await together(models, make_job(seeds=(1,)), make_job(seeds=(2,)))

    assert [type(one) for one in failed] == [ValueError, ValueError]
    assert (await models.pipeline.draw(make_job())).images


SHORT = torch.OutOfMemoryError("CUDA out of memory")
SHORT_ON_CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")


def part_of(models: Models, stage: str) -> nn.Module:
    """The module that works in a stage of a job."""
    return {
        "text": models.base.text_encoder_2,
        "embedding": models.embedders[CANNY],
        "control": models.networks[DEPTH],
        "unet": models.base.unet,
        "decoder": models.base.vae.decoder,
    }[stage]


@pytest.mark.parametrize(
    ("stage", "error"),
    [("control", SHORT), ("unet", SHORT), ("unet", SHORT_ON_CPU), ("decoder", SHORT)],
)
async def test_short_memory_halves_the_batch_and_changes_no_picture(
    models: Models, stage: str, error: Exception
) -> None:
    job = make_job(seeds=(1, 2, 3, 4), num_inference_steps=2)
    exact = await models.pipeline.draw(job)

    rows = 1 if stage == "decoder" else 2
    with limited(part_of(models, stage), error, most=rows) as tried:
        drawn = await models.pipeline.draw(job)
    again = await models.pipeline.draw(job)

    assert apart(exact, drawn) <= 1
    assert apart(exact, again) <= 1
    assert tried[:4] == [4 * rows, 2 * rows, rows, rows]
    # Later steps of the job do not try the whole batch again.
    assert tried.count(4 * rows) == 1


@pytest.mark.parametrize(
    ("stage", "tries"),
    [("text", 1), ("embedding", 1), ("control", 1), ("unet", 1), ("decoder", 2)],
)
async def test_without_any_memory_one_job_fails_by_one_sentence(
    models: Models, stage: str, tries: int
) -> None:
    with failing(part_of(models, stage), SHORT, at=range(tries)):
        failed, sound = await asyncio.gather(
            models.pipeline.draw(make_job(prompt=f"short at {stage}", num_inference_steps=2)),
            models.pipeline.draw(make_job(size=Size(48, 64), num_inference_steps=2)),
            return_exceptions=True,
        )

    assert isinstance(failed, GenerationFailed)
    assert "Memory ran out while drawing 64×48" in str(failed)
    assert not isinstance(sound, BaseException)
    assert (await models.pipeline.draw(make_job())).images


async def test_a_picture_that_finds_no_memory_to_decode_is_tiled(models: Models) -> None:
    vae = models.base.vae
    sides = list[int]()

    def no_more_than_a_tile(latents: Tensor) -> None:
        sides.append(max(latents.shape[2:]))
        if sides[-1] > vae.tile_latent_min_size:
            raise SHORT

    exact = await models.pipeline.draw(make_job())
    with before_runs(vae.decoder, no_more_than_a_tile):
        assert (await models.pipeline.draw(make_job())).images

    assert sides[0] == 16
    assert len(sides) > 2
    assert not vae.use_tiling
    assert raw(exact) == raw(await models.pipeline.draw(make_job()))


async def test_what_cannot_be_done_in_time_is_refused_at_once(
    pipeline: MultiControlNetPipeline,
) -> None:
    await pipeline.draw(make_job())
    with pytest.raises(DeadlinePassed, match="fewer steps"):
        await pipeline.draw(make_job(num_inference_steps=999), deadline=time.monotonic() + 0.05)
    assert (await pipeline.draw(make_job(), deadline=time.monotonic() + 60)).images


async def test_each_text_is_encoded_once(models: Models) -> None:
    texts = list[str]()

    def read(tokens: Tensor) -> None:
        (text,) = models.base.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        texts.append(text.strip())

    with before_runs(models.base.text_encoder, read):
        for prompt in ("one", "two", "one"):
            job = make_job(prompt=prompt, negative_prompt="pale", num_inference_steps=1)
            await models.pipeline.draw(job)

    assert texts == ["one", "pale", "two"]


async def test_it_closes_cleanly_with_work_at_hand(
    own_pipeline: MultiControlNetPipeline,
) -> None:
    before = engine_threads()
    work = [
        asyncio.create_task(own_pipeline.draw(make_job(num_inference_steps=800))) for _ in "abc"
    ]
    await asyncio.sleep(0.2)
    await asyncio.to_thread(own_pipeline.close)
    ended = await asyncio.gather(*work, return_exceptions=True)

    assert all("shutting down" in str(one) for one in ended)
    assert engine_threads() == before
    assert own_pipeline.status()["queue_depth"] == 0
