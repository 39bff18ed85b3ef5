"""On a CUDA device: every way of placing the models gives the picture that the CPU gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.diffusion.conftest import Loaders, gpu_settings, make_job, model_settings
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.tracing import TorchTracer
from writing_service.errors import ConfigurationError, GenerationFailed
from writing_service.types import Size

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

PLACINGS = [
    {},
    {"enable_cpu_offload": True},
    {"enable_sequential_cpu_offload": True},
    {"use_torch_compile": True},
    {"use_cuda_graphs": True},
    {"fuse_blocks": False},
    {"enable_attention_slicing": True, "enable_vae_slicing": True},
    {"memory_efficient": True, "channels_last": False},
]


@pytest.mark.parametrize("placing", PLACINGS, ids=str)
@pytest.mark.parametrize("union", [False, True])
async def test_picture_is_that_of_the_cpu(
    tiny: Path, make_loader: Loaders, placing: dict[str, bool], union: bool
) -> None:
    one_for_all = {"controlnet_models": {}, "controlnet_union": str(tiny / "union")}
    settings = model_settings(tiny, **(one_for_all if union else {}))
    off = {"use_torch_compile": False, "use_cuda_graphs": False, "enable_vae_tiling": False}
    on_cuda = gpu_settings(device="cuda", **{**off, **placing})
    loaders = [make_loader(settings), make_loader(settings, gpu_settings=on_cuda)]

    pictures = list[np.ndarray]()
    for loader in loaders:
        pipeline = await loader.load()
        # Twice: the second job finds the models where the first left them.
        await pipeline.draw(make_job(num_inference_steps=1))
        drawn = await pipeline.draw(make_job())
        pictures.append(np.asarray(drawn.images[0].image).astype(int))

    assert np.abs(pictures[0] - pictures[1]).max() <= 3


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float16"])
async def test_half_precision_is_near(tiny: Path, make_loader: Loaders, dtype: str) -> None:
    exact = await make_loader(model_settings(tiny)).load()
    on_cuda = gpu_settings(device="cuda", dtype=dtype)
    rough = await make_loader(model_settings(tiny), gpu_settings=on_cuda).load()

    first, second = [await one.draw(make_job()) for one in (exact, rough)]
    again = await rough.draw(make_job())

    difference = np.abs(
        np.asarray(first.images[0].image).astype(int) - np.asarray(second.images[0].image)
    )
    assert difference.mean() < 6
    assert again.images[0].image.tobytes() == second.images[0].image.tobytes()


async def test_too_little_memory_is_one_sentence(tiny: Path, make_loader: Loaders) -> None:
    on_cuda = gpu_settings(device="cuda", use_torch_compile=False, enable_vae_tiling=False)
    pipeline = await make_loader(model_settings(tiny), gpu_settings=on_cuda).load()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.002)
    try:
        with pytest.raises(GenerationFailed, match="Memory ran out while drawing 2048×2048"):
            await pipeline.draw(make_job(size=Size(2048, 2048)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    assert (await pipeline.draw(make_job())).images


def test_status_of_a_gpu() -> None:
    manager = GPUManager(gpu_settings(device="cuda"))
    status = manager.get_gpu_status()

    assert status.available
    assert status.name == torch.cuda.get_device_name()
    assert 0 < (status.memory.percent_used or 0) <= 100
    assert 0 < (status.temperature_celsius or 0) < 110
    assert (status.power_usage_watts or 0) > 1
    assert manager.gpu_info["total_memory_gb"] > 1


async def test_what_is_compiled_is_told(tiny: Path, make_loader: Loaders) -> None:
    manager = GPUManager(gpu_settings(device="cuda", use_torch_compile=True, max_batch_size=4))
    base = await make_loader(model_settings(tiny)).load_stable_diffusion_xl()

    manager.optimize_pipeline(base)

    assert manager.fixed_batch_sizes(1024) == (1, 2, 3, 4)


def test_tracing_tells_the_gpus_memory(tmp_path: Path) -> None:
    manager = GPUManager(gpu_settings(device="cuda"))
    tracer = TorchTracer(manager)
    with tracer.measured() as memory:
        _ = torch.zeros(64 * 2**20, device=manager.torch_device)
    with tracer.traced(tmp_path / "trace.json") as operations:
        torch.zeros(2**20, device=manager.torch_device).sin()

    assert memory.peak_mb - memory.used_mb >= 255
    assert operations.longest
    assert (tmp_path / "trace.json").stat().st_size > 0


def test_device_beyond_the_last_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="asks for cuda:99"):
        GPUManager(gpu_settings(device="cuda:99"))
