"""What tuning changes in loaded models, seen on the models and in their pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.diffusion.conftest import Loaders, gpu_settings, make_job, model_settings
from writing_service.diffusion.device.profiles import COSTS
from writing_service.diffusion.gpu import GPUManager


async def test_reports_what_took_effect(tiny: Path, make_loader: Loaders) -> None:
    asked = {
        "channels_last": True,
        "enable_attention_slicing": True,
        "enable_vae_slicing": True,
        "enable_vae_tiling": True,
        "enable_cpu_offload": True,
        "enable_xformers": True,
    }
    base = await make_loader(model_settings(tiny)).load_stable_diffusion_xl()

    manager = GPUManager(gpu_settings(**asked))
    before = manager.get_diagnostics()["optimization_profile"]
    took = manager.optimize_pipeline(base)
    after = manager.get_diagnostics()["optimization_profile"]

    assert before["applied"] == {}
    assert before["not_applied"]["channels_last"] == "the models are not loaded yet"
    assert {name: after[name] for name in took} == took

    applied = [
        "channels_last",
        "enable_attention_slicing",
        "enable_vae_slicing",
        "enable_vae_tiling",
    ]
    assert took["applied"] == {name: COSTS[name] for name in applied}
    # An installed xformers breaks the attention of a CPU, so that it is never tried there.
    needs_cuda = ["enable_cpu_offload", "enable_xformers"]
    off = [
        "memory_efficient",
        "enable_sequential_cpu_offload",
        "use_torch_compile",
        "use_cuda_graphs",
        "fuse_blocks",
    ]
    assert set(took["not_applied"]) == {*needs_cuda, *off}
    assert all("CUDA" in took["not_applied"][name] for name in needs_cuda)
    assert all(took["not_applied"][name].startswith("off") for name in off)
    assert manager.fixed_batch_sizes(512) == ()
    assert base.vae.use_slicing
    assert base.vae.use_tiling
    assert base.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as it loads
async def test_batches_that_are_compiled_are_told(tiny: Path, make_loader: Loaders) -> None:
    base = await make_loader(model_settings(tiny)).load_stable_diffusion_xl()
    manager = GPUManager(gpu_settings(use_torch_compile=True))

    assert "use_torch_compile" in manager.optimize_pipeline(base)["applied"]
    # Of rows 1, 2, 4, 6, 8: those that are whole guided pictures.
    assert manager.fixed_batch_sizes(1024) == (1,)
    assert manager.fixed_batch_sizes(512) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "option", ["channels_last", "enable_attention_slicing", "enable_vae_slicing"]
)
async def test_savers_do_not_change_the_picture(
    tiny: Path, make_loader: Loaders, option: str
) -> None:
    pictures = list[np.ndarray]()
    for value in (False, True):
        settings = gpu_settings(**{"channels_last": False, option: value})
        loader = make_loader(model_settings(tiny), gpu_settings=settings)
        drawn = await (await loader.load()).draw(make_job())
        pictures.append(np.asarray(drawn.images[0].image).astype(int))

    assert np.abs(pictures[0] - pictures[1]).max() <= 1
