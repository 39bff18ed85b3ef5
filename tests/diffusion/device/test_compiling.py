"""Nothing is compiled while serving."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.utils import counters

from tests.diffusion.conftest import Loaders, gpu_settings, make_job, model_settings
from writing_service.diffusion.denoising.controls import controls_of
from writing_service.diffusion.denoising.denoiser import Denoiser
from writing_service.diffusion.denoising.texts import TokenCounter
from writing_service.diffusion.device.compiling import SIZES, BatchSizes
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.types import ConditioningKind, Size


def apart(one: Any, other: Any) -> int:
    """The largest difference of two drawn jobs, of 255."""
    pairs = zip(one.images, other.images, strict=True)
    return max(
        int(np.abs(np.asarray(a.image, int) - np.asarray(b.image, int)).max()) for a, b in pairs
    )


@given(rows=st.lists(st.integers(), min_size=1, max_size=100))
def test_batches_of_compiled_networks_are_filled_by_less_than_a_half(rows: list[int]) -> None:
    filled = BatchSizes(fixed=True).filled(rows)

    assert filled[: len(rows)] == rows
    assert set(filled[len(rows) :]) <= {rows[-1]}
    assert len(filled) in SIZES or len(filled) == len(rows) > SIZES[-1]
    assert len(filled) <= 1.5 * len(rows)
    assert BatchSizes().filled(rows) == rows


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (5, (1, 2, 4, 6))])
def test_sizes_up_to_a_batch_hold_it(most: int, sizes: tuple[int, ...]) -> None:
    assert BatchSizes(fixed=True).up_to(most) == sizes
    assert BatchSizes().up_to(most) == ()


@pytest.mark.slow
async def test_after_loading_nothing_is_compiled_and_pictures_are_the_same(
    tiny: Path, make_loader: Loaders
) -> None:
    torch._dynamo.reset()
    plain = await make_loader(model_settings(tiny)).load()
    settings = gpu_settings(use_torch_compile=True)
    size = Size(64, 48)
    loader = make_loader(model_settings(tiny), gpu_settings=settings, compile_for=size)
    compiled = await loader.load()
    assert loader.load_times_ms["compiling"] > 0
    graphs = counters["stats"]["unique_graphs"]
    assert graphs > 0

    kinds = list(ConditioningKind)
    jobs = [
        make_job(),
        make_job(seeds=(1, 2, 3), conditioning_scales={kinds[0]: 1.0}),
        make_job(guidance_scale=1.0, num_inference_steps=1),
        make_job(size=Size(48, 64)),
    ]
    for job in jobs:
        assert apart(await plain.draw(job), await compiled.draw(job)) <= 1

    assert counters["stats"]["unique_graphs"] == graphs


async def test_batches_of_fixed_sizes_change_no_picture(tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(tiny))
    plain = await loader.load()
    base, networks = await loader.load_stable_diffusion_xl(), await loader.load_controlnet_models()
    rows = list[int]()
    base.unet.register_forward_hook(lambda *call: rows.append(len(call[2][0])))
    filled = MultiControlNetPipeline(
        Denoiser(
            base,
            controls_of(networks),
            torch.device("cpu"),
            torch.float32,
            counter := TokenCounter((base.tokenizer, base.tokenizer_2)),
            sizes=BatchSizes(fixed=True),
        ),
        GPUManager(gpu_settings()),
        counter,
        "tiny",
        {},
    )
    first, *_ = ConditioningKind
    jobs = [
        make_job(seeds=(1, 2)),
        make_job(conditioning_scales={first: 1.0}, cache_interval=2),
        make_job(guidance_scale=1.0, conditioning_scales={}),
    ]

    alone = [await plain.draw(job) for job in jobs]
    together = await asyncio.gather(*(filled.draw(job) for job in jobs))
    filled.close()

    assert set(rows) <= set(SIZES)
    for one, other in zip(alone, together, strict=True):
        assert apart(one, other) <= 1
