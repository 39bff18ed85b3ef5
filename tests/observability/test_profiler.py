"""AIProfiler around a real pipeline on the CPU, and what its trace holds."""

import json
from pathlib import Path

import pytest

from tests.fakes import fake_generator
from writing_service.app import create_profiler
from writing_service.config import load_settings
from writing_service.diffusion.device.devices import DeviceInfo
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.tracing import TorchTracer
from writing_service.errors import InvalidRequest
from writing_service.observability.profiler import AIProfiler

SMALL = [
    "ai_generation.gpu.device=cpu",
    "ai_generation.generation.width=128",
    "ai_generation.generation.height=128",
    "ai_generation.generation.render_at=requested",
    "ai_generation.generation.num_inference_steps=2",
]


async def test_a_real_picture_is_profiled(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "for it"
    generator, profiler = create_profiler(load_settings(SMALL), folder)
    try:
        found = await profiler.profile_generation("学/习", "study", style="ink", seed=1)
    finally:
        generator.close()

    assert found["character"] == "学/习"
    assert found["success"]
    stages = found["stage_times_ms"]
    assert {"render", "conditioning", "denoise", "decode"} <= set(stages)
    assert 0 < stages["denoise"] < found["total_time_ms"]
    # Torch and the checkpoint alone take more.
    assert found["peak_memory_mb"] > 200
    times = [one["time_ms"] for one in found["operations"]]
    assert times == sorted(times, reverse=True)
    assert any("conv" in one["name"] for one in found["operations"])
    json.dumps(found)

    (trace,) = folder.iterdir()
    assert str(trace) == found["trace"]
    assert trace.name.startswith("ai_profile_学-习_")
    events = json.loads(trace.read_text("utf-8"))["traceEvents"]
    operations = [one for one in events if one.get("cat") == "cpu_op"]
    # Whatever thread runs the models is seen.
    assert any("convolution" in one["name"] for one in operations)
    assert any("Input Dims" in one.get("args", {}) for one in operations)


async def test_what_drawing_raises_is_raised(tmp_path: Path) -> None:
    generator, _ = fake_generator()
    settings = load_settings(SMALL).ai_generation
    tracer = TorchTracer(GPUManager(settings.gpu))
    with pytest.raises(InvalidRequest):
        await AIProfiler(generator.generate_character_image, tracer, tmp_path).profile_generation(
            " "
        )


def test_memory_of_a_block_is_what_it_held_at_once() -> None:
    manager = GPUManager(load_settings(SMALL).ai_generation.gpu)
    assert isinstance(manager.device, DeviceInfo)
    with TorchTracer(manager).measured() as memory:
        held = bytearray(b"x" * (200 * 2**20))
        before = len(held)
        del held
    assert before == 200 * 2**20
    assert memory.peak_mb >= memory.used_mb + 150
