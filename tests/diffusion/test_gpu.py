"""GPUManager: profiles from devices that the tests describe, and what it tells without a GPU."""

import json
import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diffusion.conftest import gpu_settings
from writing_service.config import ModelSettings, load_settings
from writing_service.diffusion.device.advice import Situation, recommendations
from writing_service.diffusion.device.devices import (
    bfloat16_pays,
    choose_dtype,
    convolution_seconds,
    describe_cuda,
)
from writing_service.diffusion.device.footprint import footprint_of
from writing_service.diffusion.device.profiles import COSTS, OptimizationProfile
from writing_service.diffusion.device.sensors import GIB, SensorReading, read_sensors
from writing_service.diffusion.fake import FakeNVML
from writing_service.diffusion.gpu import DeviceInfo, GPUManager
from writing_service.errors import ConfigurationError

CPU = DeviceInfo("cpu", "a CPU")
SAVERS = (
    "memory_efficient",
    "enable_vae_tiling",
    "enable_vae_slicing",
    "enable_cpu_offload",
    "enable_sequential_cpu_offload",
)


@cache
def models(pipeline: str) -> ModelSettings:
    return load_settings([f"pipeline={pipeline}"]).ai_generation.models


def gpu_of(gigabytes: float, free: float | None = None, **changes: Any) -> DeviceInfo:
    """So many GiB; all but half a one are free, unless `free` says less."""
    free = gigabytes - 0.5 if free is None else free
    return DeviceInfo("cuda", "a GPU", total_memory_gb=gigabytes, free_memory_gb=free, **changes)


def manager_on(*found: DeviceInfo, pipeline: str = "sdxl", **switches: Any) -> GPUManager:
    """On the first GPU, if there is any; 16 bits."""
    chosen = {"device": "cuda" if found else "cpu", "dtype": "float16", **switches}
    return GPUManager(gpu_settings(**chosen), models(pipeline), found)


def profile_on(device: DeviceInfo, **settings: Any) -> OptimizationProfile:
    return manager_on(device, **settings).optimization_profile


def savers(profile: OptimizationProfile) -> list[str]:
    return [name for name in SAVERS if getattr(profile, name)]


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
    profile = profile_on(gpu_of(gigabytes))

    assert (profile.name, profile.max_batch_size) == (name, batch)


@pytest.mark.parametrize(
    ("total", "free", "name"),
    [
        (79.2, 60.0, "high_memory"),
        (79.2, 23.0, "medium_memory"),
        (79.2, 3.0, "minimal_memory"),
        (23.6, 22.2, "medium_memory"),  # its own context and a desktop change nothing
        (23.6, 18.0, "low_memory"),
        (79.2, None, "ultra_high_memory"),  # the driver does not tell
    ],
)
def test_what_others_hold_of_a_gpu_counts_as_not_there(
    total: float, free: float | None, name: str
) -> None:
    device = DeviceInfo("cuda", "a GPU", total_memory_gb=total, free_memory_gb=free)

    assert profile_on(device).name == name


def test_weights_are_those_of_the_arithmetic() -> None:
    """In GB, as everyone gives them: the module's own table."""

    def gigabytes(pipeline: str | None) -> float:
        return footprint_of(pipeline and models(pipeline)).weights * GIB / 1e9

    assert gigabytes("sdxl") == gigabytes(None) == pytest.approx(5.1 + 4 * 2.5 + 1.8, abs=0.1)
    assert gigabytes("sdxl_union") == pytest.approx(5.1 + 2.5 + 1.8, abs=0.1)
    assert gigabytes("embedded") == pytest.approx(0.031, abs=0.002)
    assert footprint_of(None, 4).weights == 2 * footprint_of(None).weights


@pytest.mark.parametrize(
    ("gigabytes", "pipeline", "expected"),
    [
        # 15.8 GiB of weights, 2 in reserve; a picture of 2048² is decoded in 6, one of 1024² in 1.5.
        (79.2, "sdxl", []),
        (39.4, "sdxl", []),
        (23.6, "sdxl", ["enable_vae_tiling"]),
        (19.9, "sdxl", ["memory_efficient", "enable_vae_tiling"]),
        # UNet and ControlNets alone are 14.1 GiB: below 18 GiB they must move layer by layer.
        (15.7, "sdxl", ["enable_cpu_offload", "enable_sequential_cpu_offload"]),
        (7.8, "sdxl", ["enable_vae_tiling", "enable_cpu_offload", "enable_sequential_cpu_offload"]),
        # 8.8 GiB of weights, of which 7.1 at once.
        (15.7, "sdxl_union", ["enable_vae_tiling"]),
        (11.6, "sdxl_union", ["memory_efficient", "enable_vae_tiling", "enable_cpu_offload"]),
        (5.8, "embedded", ["enable_vae_tiling"]),
    ],
)
def test_only_what_the_memory_needs_is_on(
    gigabytes: float, pipeline: str, expected: list[str]
) -> None:
    assert savers(profile_on(gpu_of(gigabytes), pipeline=pipeline)) == expected


@settings(deadline=None)
@given(st.floats(1, 160), st.floats(0, 40), st.sampled_from(["sdxl", "sdxl_union", "embedded"]))
def test_more_memory_never_means_slower_savers(
    gigabytes: float, more: float, pipeline: str
) -> None:
    def cost(profile: OptimizationProfile) -> tuple[bool, ...]:
        return profile.enable_sequential_cpu_offload, profile.enable_cpu_offload

    small, large = (
        profile_on(gpu_of(size), pipeline=pipeline) for size in (gigabytes, gigabytes + more)
    )

    assert cost(large) <= cost(small)
    assert large.max_batch_size >= small.max_batch_size
    assert not small.enable_attention_slicing
    assert not (small.use_torch_compile and small.enable_cpu_offload)


def test_every_option_says_what_it_costs() -> None:
    assert set(COSTS) == set(OptimizationProfile("any").options)
    assert all("\n" not in cost for cost in COSTS.values())


def test_cpu_has_a_profile_of_its_own() -> None:
    profile = manager_on().optimization_profile

    assert profile.name == "cpu"
    assert profile.channels_last
    assert not profile.enable_cpu_offload


@pytest.mark.parametrize("switch", OptimizationProfile("any").options)
@pytest.mark.parametrize("value", [True, False])
def test_every_switch_can_be_overridden(switch: str, value: bool) -> None:
    profile = profile_on(gpu_of(8), **{switch: value})

    assert getattr(profile, switch) is value
    assert profile.name == "minimal_memory"


def test_settings_win_field_by_field() -> None:
    profile = profile_on(gpu_of(8), enable_vae_tiling=False, max_batch_size=3)

    assert not profile.enable_vae_tiling
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


def test_on_a_cpu_bfloat16_is_taken_only_where_it_is_measured_to_pay() -> None:
    quick = {torch.bfloat16: 1.0, torch.float32: 1.5}
    emulated = {torch.bfloat16: 9.0, torch.float32: 1.5}

    assert bfloat16_pays(quick.__getitem__)
    assert not bfloat16_pays(emulated.__getitem__)
    assert convolution_seconds(torch.float32) > 0


@pytest.mark.parametrize(
    ("gigabytes", "pipeline", "batches"),
    [
        # Of 512², 1024², 1536², 2048². The profile's 8, 4, 2 or 1 of 1024², or what fits of 1.5 GiB each.
        (79.2, "sdxl", (32, 8, 3, 2)),
        (39.4, "sdxl", (16, 4, 1, 1)),
        (23.6, "sdxl", (8, 2, 1, 1)),
        (19.9, "sdxl", (4, 1, 1, 1)),
        (15.7, "sdxl", (4, 1, 1, 1)),
        (7.8, "sdxl", (4, 1, 1, 1)),
        (11.6, "sdxl_union", (4, 1, 1, 1)),
        (5.8, "embedded", (4, 1, 1, 1)),
    ],
)
def test_recommended_batches(gigabytes: float, pipeline: str, batches: tuple[int, ...]) -> None:
    manager = manager_on(gpu_of(gigabytes), pipeline=pipeline)
    found = [manager.get_recommended_batch_size(side) for side in (512, 1024, 1536, 2048)]

    assert tuple(found) == batches


def test_a_recommended_batch_is_one_that_fits_whatever_the_settings_say() -> None:
    """24 GB less 15.8 of weights and 2 in reserve are 5.3 GiB: three of 1024² at 1.5."""
    manager = manager_on(gpu_of(23.6), max_batch_size=8)

    assert manager.optimization_profile.max_batch_size == 8
    assert manager.get_recommended_batch_size(1024) == 3
    assert manager.get_recommended_batch_size(8192) == 1


def test_nothing_is_compiled_before_a_pipeline_is_tuned() -> None:
    assert manager_on(gpu_of(79.2)).fixed_batch_sizes(1024) == ()


A100 = SimpleNamespace(
    name="NVIDIA A100-SXM4-80GB",
    total_memory=79 * GIB,
    major=8,
    minor=0,
    multi_processor_count=108,
    uuid="a100",
)
SLICE = SimpleNamespace(
    name="NVIDIA A100-SXM4-80GB MIG 2g.20gb",
    total_memory=19 * GIB,
    major=8,
    minor=0,
    multi_processor_count=28,
    uuid="slice",
)


def test_a_gpu_is_described_as_torch_and_nvml_tell() -> None:
    nvml = FakeNVML({"GPU-a100": {"free": 70 * GIB}})

    device = describe_cuda(1, A100, nvml)

    assert device == DeviceInfo(
        kind="cuda",
        name="NVIDIA A100-SXM4-80GB",
        index=1,
        total_memory_gb=79,
        free_memory_gb=70,
        compute_capability=(8, 0),
        multi_processor_count=108,
        fast_bfloat16=True,
        uuid="a100",
    )
    assert nvml.opened == 0


@pytest.mark.parametrize("nvml", [FakeNVML(None), FakeNVML({}), FakeNVML({"GPU-a100": {}})])
def test_what_is_not_told_is_none(nvml: FakeNVML) -> None:
    device = describe_cuda(0, A100, nvml)

    assert device.free_memory_gb is None
    assert read_sensors(device.uuid, nvml) == SensorReading(None, None, None)
    bare = SimpleNamespace(name="a GPU", total_memory=GIB, major=7, minor=5)
    assert describe_cuda(0, bare, nvml).uuid is None
    assert describe_cuda(0, bare, nvml).multi_processor_count is None


def test_sensors_of_a_card_and_of_a_slice_of_it() -> None:
    card = {"free": 70 * GIB, "gpu": 40, "temperature": 61, "milliwatts": 250_500}
    nvml = FakeNVML({"GPU-a100": card, "MIG-slice": {"free": 18 * GIB, "card": "GPU-a100"}})

    assert read_sensors("a100", nvml) == SensorReading(40, 61, 250.5)
    assert read_sensors("slice", nvml) == SensorReading(None, 61, 250.5)
    device = describe_cuda(0, SLICE, nvml)
    assert device.mig
    assert not describe_cuda(0, A100, nvml).mig
    assert (device.total_memory_gb, device.free_memory_gb) == (19, 18)
    assert profile_on(device).name == "low_memory"


def test_of_several_gpus_the_one_with_most_room_is_taken_unless_one_is_named() -> None:
    found = [gpu_of(79.2, free=5, index=0), gpu_of(47.5, index=1)]

    assert manager_on(*found, device="auto").device.index == 1
    assert manager_on(*found, device="cuda").device.index == 0
    assert manager_on(*found, device="cuda:0").device.index == 0
    assert manager_on(*found, device="cpu").device.kind == "cpu"
    assert [one["index"] for one in manager_on(*found).gpu_info["devices"]] == [0, 1]
    with pytest.raises(ConfigurationError, match=re.escape("only 2 CUDA device(s)")):
        manager_on(*found, device="cuda:2")


def test_no_gpu() -> None:
    assert manager_on(device="auto").device.kind == "cpu"
    assert manager_on().gpu_info["devices"] == []
    with pytest.raises(ConfigurationError, match="asks for cuda:1, but torch finds no CUDA"):
        manager_on(device="cuda:1")


def situation(*found: DeviceInfo, pipeline: str = "sdxl", **settings: Any) -> Situation:
    manager = manager_on(*found, pipeline=pipeline, **settings)
    chosen = models(pipeline)
    profile = manager.optimization_profile
    return Situation(manager.device, found, profile, footprint_of(chosen), chosen)


@pytest.mark.parametrize(
    ("now", "overrides"),
    [
        (situation(), ["pipeline=embedded"]),
        (situation(pipeline="embedded"), []),
        (situation(gpu_of(79.2)), []),
        (situation(gpu_of(79.2), device="cpu"), ["ai_generation.gpu.device=cuda"]),
        (situation(gpu_of(15.7)), ["pipeline=sdxl_union"]),
        (situation(gpu_of(11.6), pipeline="sdxl_union"), []),
        (
            situation(gpu_of(79.2, free=5), gpu_of(47.5, index=1), pipeline="embedded"),
            ["ai_generation.gpu.device=cuda:1"],
        ),
        (
            situation(gpu_of(79.2), enable_attention_slicing=True, enable_vae_slicing=True),
            [
                "ai_generation.gpu.enable_attention_slicing=null",
                "ai_generation.gpu.enable_vae_slicing=null",
            ],
        ),
    ],
)
def test_recommendations_name_a_setting_that_can_be_given(
    now: Situation, overrides: list[str]
) -> None:
    named = [re.findall(r"[a-z_.]+=[a-z0-9_:]+", one) for one in recommendations(now)]

    assert [one[0] for one in named] == overrides
    for each in named:
        load_settings(each)


def test_a_hot_or_full_gpu_is_told() -> None:
    now = replace(situation(gpu_of(79.2)), percent_used=93.0, temperature=90)

    full, hot = recommendations(now)

    assert "ai_generation.gpu.enable_cpu_offload=true" in full
    assert "90 °C" in hot
    assert "ai_generation.gpu.max_batch_size=1" in hot
    load_settings(re.findall(r"ai_generation[a-z_.]+=[a-z0-9]+", full + hot))


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
    reading = read_sensors("00000000-0000-0000-0000-000000000000")

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
    assert set(diagnostics["optimization_profile"]) == {
        "name",
        "settings",
        "applied",
        "not_applied",
    }
    assert any("no GPU" in one for one in diagnostics["recommendations"])
