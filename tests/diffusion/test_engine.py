"""Many different jobs at once: none sees the others, each comes and goes as it likes."""

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.diffusion.conftest import Loaders, control_images, make_job, model_settings
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


async def in_company(pipeline: MultiControlNetPipeline, job: GenerationJob) -> Any:
    others = [make_job(**neighbour) for neighbour in NEIGHBOURS]
    first = [asyncio.create_task(pipeline.draw(one)) for one in others[:3]]
    mine = asyncio.create_task(pipeline.draw(job))
    rest = [asyncio.create_task(pipeline.draw(one)) for one in others[3:]]
    await asyncio.gather(*first, *rest)
    return await mine


@pytest.fixture(params=["separate", "shared", "union"])
async def any_pipeline(
    request: pytest.FixtureRequest, tiny: Path, make_loader: Loaders
) -> MultiControlNetPipeline:
    """Each way of having ControlNets."""
    changes: dict[str, Any] = {
        "separate": {},
        "shared": {
            "controlnet_models": dict.fromkeys(map(str, ConditioningKind), "./canny"),
            "shared_controlnet": True,
        },
        "union": {"controlnet_models": {}, "controlnet_union": str(tiny / "union")},
    }[request.param]
    return await make_loader(model_settings(tiny, **changes)).load()


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
async def test_a_picture_is_the_same_in_any_company(
    any_pipeline: MultiControlNetPipeline, subject: dict[str, Any]
) -> None:
    job = make_job(**subject)
    alone = await any_pipeline.draw(job)

    together = await in_company(any_pipeline, job)

    assert apart(alone, together) <= 1
    assert any_pipeline.status()["batches"]["largest"] > 3


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
    pipeline: MultiControlNetPipeline,
) -> None:
    done, begun = list[str](), asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if progress.step >= 5:
            begun.set()

    async def draw(name: str, job: GenerationJob, *more: Any) -> Any:
        drawn = await pipeline.draw(job, *more)
        done.append(name)
        return drawn

    long = make_job(num_inference_steps=60)
    first = asyncio.create_task(draw("long", long, on_progress))
    await begun.wait()
    short = await draw("short", make_job(seeds=(9,), num_inference_steps=2))
    drawn = await first

    assert done == ["short", "long"]
    assert pipeline.status()["batches"] == {"steps": 60, "mean_pictures": 1.03, "largest": 2}
    assert apart(drawn, await pipeline.draw(long)) <= 1
    assert apart(short, await pipeline.draw(make_job(seeds=(9,), num_inference_steps=2))) <= 1


@pytest.mark.parametrize("deterministic", [False, True])
async def test_who_leaves_half_way_changes_nobody(
    tiny: Path, make_loader: Loaders, deterministic: bool
) -> None:
    pipeline = await make_loader(model_settings(tiny), deterministic=deterministic).load()
    stays = make_job(num_inference_steps=8)
    alone = await pipeline.draw(stays)
    half = asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if progress.step >= 4:
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


async def test_a_controlnet_nobody_wants_now_is_not_run(tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(tiny))
    networks = await loader.load_controlnet_models()
    rows = {kind: list[int]() for kind in networks}
    for kind, network in networks.items():
        network.register_forward_hook(lambda *call, kind=kind: rows[kind].append(len(call[2][1])))
    pipeline = await loader.setup_multi_controlnet_pipeline(networks)
    job = make_job(
        num_inference_steps=4,
        seeds=(1, 2),
        conditioning_scales={CANNY: 1.0, DEPTH: 1.0, SEGMENTATION: 0.0},
        control_windows={DEPTH: Window(0.0, 0.5)},
    )
    lone = make_job(num_inference_steps=4, guidance_scale=1.0, conditioning_scales={SCRIBBLE: 1.0})

    async with asyncio.TaskGroup() as tasks:
        with paused(pipeline):
            tasks.create_task(pipeline.draw(job))
            tasks.create_task(pipeline.draw(lone))
            await asyncio.sleep(0.05)
    pipeline.close()

    # Two guided pictures are four rows, the other one is one; only who wants a kind runs it.
    assert rows == {CANNY: [4] * 4, DEPTH: [4] * 2, SEGMENTATION: [], SCRIBBLE: [1] * 4}


async def test_a_job_that_cannot_be_prepared_fails_alone(
    pipeline: MultiControlNetPipeline,
) -> None:
    with failing(pipeline, "_tensor", ValueError("not an image"), at=range(1)):
        broken, sound = await asyncio.gather(
            pipeline.draw(make_job()),
            pipeline.draw(make_job(seeds=(8,))),
            return_exceptions=True,
        )

    assert isinstance(broken, ValueError)
    assert apart(sound, await pipeline.draw(make_job(seeds=(8,)))) <= 1


async def test_a_failed_step_fails_its_pictures_and_the_service_goes_on(
    pipeline: MultiControlNetPipeline,
) -> None:
    with failing(pipeline, "_whole", ValueError("broken"), at=range(1, 2)):
        with paused(pipeline):
            tasks = [asyncio.create_task(pipeline.draw(make_job(seeds=(s,)))) for s in (1, 2)]
            await asyncio.sleep(0.05)
        failed = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in failed] == [ValueError, ValueError]
    assert (await pipeline.draw(make_job())).images


SHORT = torch.OutOfMemoryError("CUDA out of memory")
SHORT_ON_CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize("error", [SHORT, SHORT_ON_CPU])
@pytest.mark.parametrize("stage", ["_whole", "decode"])
async def test_short_memory_halves_the_batch_and_changes_no_picture(
    pipeline: MultiControlNetPipeline, stage: str, error: Exception
) -> None:
    job = make_job(seeds=(1, 2, 3, 4), num_inference_steps=4)
    exact = await pipeline.draw(job)

    sizes = list[int]()
    with limited(pipeline, stage, error, most=1, sizes=sizes):
        drawn = await pipeline.draw(job)
    again = await pipeline.draw(job)

    assert apart(exact, drawn) <= 1
    assert apart(exact, again) <= 1
    assert sizes[:4] == [4, 2, 1, 1]
    # Later steps of the job do not try the whole batch again.
    assert stage == "decode" or sizes.count(4) == 1


@pytest.mark.parametrize(("stage", "tries"), [("prepare", 1), ("_whole", 1), ("decode", 2)])
async def test_without_any_memory_one_job_fails_by_one_sentence(
    pipeline: MultiControlNetPipeline, stage: str, tries: int
) -> None:
    with failing(pipeline, stage, SHORT, at=range(tries)):
        failed, sound = await asyncio.gather(
            pipeline.draw(make_job(num_inference_steps=2)),
            pipeline.draw(make_job(size=Size(48, 64), num_inference_steps=2)),
            return_exceptions=True,
        )

    assert isinstance(failed, GenerationFailed)
    assert "Memory ran out while drawing 64×48" in str(failed)
    assert not isinstance(sound, BaseException)
    assert (await pipeline.draw(make_job())).images


async def test_a_picture_that_finds_no_memory_to_decode_is_tiled(
    pipeline: MultiControlNetPipeline,
) -> None:
    vae = denoiser_of(pipeline).base.vae
    tiled = list[bool]()
    whole = type(vae).decode

    def decode(*arguments: Any, **options: Any) -> Any:
        tiled.append(vae.use_tiling)
        if not vae.use_tiling:
            raise SHORT
        return whole(vae, *arguments, **options)

    exact = await pipeline.draw(make_job())
    vae.decode = decode
    assert (await pipeline.draw(make_job())).images
    del vae.decode

    assert tiled == [False, True]
    assert not vae.use_tiling
    assert raw(exact) == raw(await pipeline.draw(make_job()))


async def test_what_cannot_be_done_in_time_is_refused_at_once(
    pipeline: MultiControlNetPipeline,
) -> None:
    await pipeline.draw(make_job())
    with pytest.raises(DeadlinePassed, match="fewer steps"):
        await pipeline.draw(make_job(num_inference_steps=999), deadline=time.monotonic() + 0.05)
    assert (await pipeline.draw(make_job(), deadline=time.monotonic() + 60)).images


async def test_each_text_is_encoded_once(pipeline: MultiControlNetPipeline) -> None:
    base, texts = denoiser_of(pipeline).base, list[str]()
    encode = base.encode_prompt

    def counted(text: str, **options: Any) -> Any:
        texts.append(text)
        return encode(text, **options)

    base.encode_prompt = counted
    for prompt in ("one", "two", "one"):
        await pipeline.draw(make_job(prompt=prompt, num_inference_steps=1))

    assert texts == ["one", "blurry", "two"]


async def test_it_closes_cleanly_with_work_at_hand(pipeline: MultiControlNetPipeline) -> None:
    work = [asyncio.create_task(pipeline.draw(make_job(num_inference_steps=800))) for _ in "abc"]
    await asyncio.sleep(0.2)
    await asyncio.to_thread(pipeline.close)
    ended = await asyncio.gather(*work, return_exceptions=True)

    assert all("shutting down" in str(one) for one in ended)
    names = {thread.name for thread in threading.enumerate() if thread.is_alive()}
    assert not any(name.startswith("converting") for name in names)
    assert pipeline.status()["queue_depth"] == 0


def denoiser_of(pipeline: MultiControlNetPipeline) -> Any:
    return pipeline._engine._denoiser


@contextmanager
def replaced(
    pipeline: MultiControlNetPipeline, name: str, make: Callable[..., Any]
) -> Generator[None]:
    """One of the denoiser's methods; `make` gets the real one."""
    denoiser = denoiser_of(pipeline)
    setattr(denoiser, name, make(getattr(denoiser, name)))
    try:
        yield
    finally:
        delattr(denoiser, name)


def failing(pipeline: MultiControlNetPipeline, name: str, error: Exception, at: range) -> Any:
    """The calls `at`, counted from 0, fail."""
    calls = iter(range(10**6))

    def make(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if next(calls) in at:
                raise error
            return real(*arguments)

        return call

    return replaced(pipeline, name, make)


def limited(
    pipeline: MultiControlNetPipeline, name: str, error: Exception, most: int, sizes: list[int]
) -> Any:
    """More than `most` pictures at once find no memory; `sizes` are those that were tried."""

    def make(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            sizes.append(len(arguments[0]))
            if sizes[-1] > most:
                raise error
            return real(*arguments)

        return call

    return replaced(pipeline, name, make)


@contextmanager
def paused(pipeline: MultiControlNetPipeline) -> Generator[None]:
    """Whatever comes meanwhile begins together afterwards."""
    go = threading.Event()

    def make(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            go.wait(10)
            return real(*arguments)

        return call

    with replaced(pipeline, "prepare", make):
        try:
            yield
        finally:
            go.set()
