"""Nothing is compiled while serving."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.utils import counters

from tests.diffusion.conftest import Loaders, gpu_settings, make_job, model_settings
from writing_service.diffusion.compiling import SIZES, BatchSizes
from writing_service.types import ConditioningKind, Size


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
        theirs, ours = await plain.draw(job), await compiled.draw(job)
        for one, other in zip(theirs.images, ours.images, strict=True):
            apart = torch.tensor(list(one.image.tobytes())) - torch.tensor(
                list(other.image.tobytes())
            )
            assert apart.abs().max() <= 1

    assert counters["stats"]["unique_graphs"] == graphs
