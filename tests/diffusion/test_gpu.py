"""GPUManager: profiles from devices that the tests describe, and what it tells without a GPU."""

import json
import re
from typing import Any

import pytest
import torch

from tests.diffusion.conftest import gpu_settings
from writing_service.diffusion.devices import choose_dtype
from writing_service.diffusion.gpu import DeviceInfo, GPUManager
from writing_service.diffusion.sensors import read_sensors
from writing_service.errors import ConfigurationError

CPU = DeviceInfo("cpu", "a CPU")


def gpu_of(gigabytes: float, **changes: Any) -> DeviceInfo:
    return DeviceInfo("cuda", "a GPU", total_memory_gb=gigabytes, **changes)


@pytest.mark.parametrize(
    ("gigabytes", "name", "batch"),
    [
        (139.7, "ultra_high_memory", 8),
        (79.2, "ultra_high_memory", 8),  # what an A100 of 80 GB reports
        (76.0, "high_memory", 4),
        (39.4, "high_memory", 4),
        (31.7, "medium_memory", 2),
        (23.6, "medium_memory", 2),  # an RTX 4090
        (15.7, "low_memory", 1),
        (11.6, "low_memory", 1),  # an RTX 3080 of 12 GB
        (7.8, "minimal_memory", 1),
    ],
)
def test_profile_by_memory(gigabytes: float, name: str, batch: int) -> None:
    profile = GPUManager(gpu_settings(), gpu_of(gigabytes)).optimization_profile

    assert (profile.name, profile.max_batch_size) == (name, batch)


def test_less_memory_never_means_fewer_savers() -> None:
    savers = (
        "memory_efficient",
        "enable_attention_slicing",
        "enable_vae_slicing",
        "enable_cpu_offload",
        "enable_sequential_cpu_offload",
    )
    profiles = [
        GPUManager(gpu_settings(), gpu_of(size)).optimization_profile
        for size in (90, 48, 24, 16, 8)
    ]
    counts = [sum(getattr(profile, saver) for saver in savers) for profile in profiles]

    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == len(savers)
    assert [profile.use_torch_compile for profile in profiles] == [True, True, False, False, False]


def test_cpu_has_a_profile_of_its_own() -> None:
    profile = GPUManager(gpu_settings(), CPU).optimization_profile

    assert profile.name == "cpu"
    assert profile.channels_last
    assert not profile.enable_cpu_offload


def test_settings_win_field_by_field() -> None:
    settings = gpu_settings(
        enable_attention_slicing=False, use_torch_compile=True, max_batch_size=3
    )
    profile = GPUManager(settings, gpu_of(8)).optimization_profile

    assert profile.name == "minimal_memory"
    assert not profile.enable_attention_slicing
    assert profile.use_torch_compile
    assert profile.max_batch_size == 3
    assert profile.enable_cpu_offload


@pytest.mark.parametrize(
    ("requested", "device", "dtype"),
    [
        ("auto", CPU, torch.float32),
        ("auto", DeviceInfo("cpu", "with AMX", fast_bfloat16=True), torch.bfloat16),
        ("auto", gpu_of(80, fast_bfloat16=True), torch.bfloat16),
        ("auto", gpu_of(16), torch.float16),
        ("float32", gpu_of(80, fast_bfloat16=True), torch.float32),
        ("float16", CPU, torch.float16),
    ],
)
def test_number_format(requested: str, device: DeviceInfo, dtype: torch.dtype) -> None:
    assert choose_dtype(requested, device) is dtype


@pytest.mark.parametrize(
    ("side", "pictures"), [(512, 32), (1024, 8), (1448, 4), (2048, 2), (8192, 1)]
)
def test_larger_pictures_come_in_smaller_batches(side: int, pictures: int) -> None:
    manager = GPUManager(gpu_settings(), gpu_of(80))

    assert abs(manager.get_recommended_batch_size(side) - pictures) <= (side == 1448)


def test_status_without_a_gpu() -> None:
    status = GPUManager(gpu_settings()).get_gpu_status().as_dict()

    assert status == {
        "available": False,
        "name": None,
        "memory": {"total_gb": None, "used_gb": None, "percent_used": None},
        "utilization_percent": None,
        "temperature_celsius": None,
        "power_usage_watts": None,
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
@pytest.mark.parametrize("requested", ["cuda", "cuda:1"])
def test_absent_cuda_is_a_clear_sentence(requested: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"asks for {requested}")):
        GPUManager(gpu_settings(device=requested))
    assert GPUManager(gpu_settings(device="auto")).device.kind == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_missing_driver_reads_nothing() -> None:
    reading = read_sensors(gpu_of(80, uuid="00000000-0000-0000-0000-000000000000"))

    assert (reading.utilization_percent, reading.power_usage_watts) == (None, None)


def test_monitor_remembers_time_and_memory() -> None:
    manager = GPUManager(gpu_settings())
    for number in range(12):
        with manager.memory_monitor(f"work {number}"):
            pass
    with pytest.raises(ZeroDivisionError), manager.memory_monitor("failing work"):
        _ = 1 / 0

    diagnostics = manager.get_diagnostics()

    history = diagnostics["performance_history"]
    assert len(history) == len(diagnostics["memory_history"]) == 10
    assert [one["operation"] for one in history][-2:] == ["work 11", "failing work"]
    assert all(one["duration_seconds"] >= 0 for one in history)
    assert diagnostics["memory_history"][-1]["process_gb"] > 0


def test_diagnostics_are_ready_for_json() -> None:
    diagnostics = json.loads(json.dumps(GPUManager(gpu_settings()).get_diagnostics()))

    assert set(diagnostics) == {
        "gpu_info",
        "optimization_profile",
        "current_status",
        "memory_history",
        "performance_history",
        "recommendations",
    }
    assert diagnostics["optimization_profile"]["name"] == "cpu"
    assert diagnostics["optimization_profile"]["settings"]["channels_last"] is True
    assert diagnostics["gpu_info"]["dtype"] == "float32"
    assert any("no GPU" in one for one in diagnostics["recommendations"])
