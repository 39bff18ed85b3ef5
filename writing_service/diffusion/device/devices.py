"""What the pictures are drawn on: a CUDA device or the CPU, and in which number format."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from writing_service.diffusion.device.sensors import GIB, read_free_memory
from writing_service.errors import ConfigurationError


@dataclass(frozen=True)
class DeviceInfo:
    """A device as it was found. Memory is in GiB; None is whatever nobody tells, as all of it on the CPU.

    `free_memory_gb` is of the start, before any model is loaded. `mig` is a slice of a card (multi-instance GPU):
    name and memory are the slice's. `uuid` is NVIDIA's, by which NVML knows the device whatever
    CUDA_VISIBLE_DEVICES renumbers.
    """

    kind: str
    name: str
    index: int = 0
    total_memory_gb: float | None = None
    free_memory_gb: float | None = None
    compute_capability: tuple[int, int] | None = None
    multi_processor_count: int | None = None
    fast_bfloat16: bool = False
    mig: bool = False
    uuid: str | None = None

    @property
    def torch_name(self) -> str:
        """As torch names it: "cuda:0" or "cpu"."""
        return f"cuda:{self.index}" if self.kind == "cuda" else "cpu"


def detect_devices() -> tuple[DeviceInfo, ...]:
    """All CUDA devices that torch sees, in its order; none where there is no driver."""
    if not torch.cuda.is_available():
        return ()
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return tuple(describe_cuda(index, one) for index, one in enumerate(found))


def choose_device(requested: str, found: Sequence[DeviceInfo]) -> DeviceInfo:
    """`requested` is auto (the CUDA device with the most free memory, else the CPU), cpu, cuda or cuda:N.

    Raises ConfigurationError for an absent one.
    """
    if requested == "cpu" or (requested == "auto" and not found):
        return _cpu()
    if requested == "auto":
        return max(found, key=lambda one: one.free_memory_gb or 0.0)
    index = int(requested.partition(":")[2] or 0)
    for device in found:
        if device.index == index:
            return device
    told = f"only {len(found)} CUDA device(s)" if found else "no CUDA device"
    raise ConfigurationError(
        f"Setting 'ai_generation.gpu.device' asks for {requested}, but torch finds {told}; "
        "use auto or cpu, or install the driver and torch's CUDA build."
    )


def describe_cuda(index: int, properties: Any, nvml: Any = None) -> DeviceInfo:
    """From torch's device properties, of which older builds lack some; NVML tells the free memory.

    `nvml` None is pynvml. torch could tell it too, but would take half a GiB of each device that it asks.
    """
    uuid = getattr(properties, "uuid", None)
    uuid = None if uuid is None else str(uuid)
    return DeviceInfo(
        kind="cuda",
        name=properties.name,
        index=index,
        total_memory_gb=properties.total_memory / GIB,
        free_memory_gb=read_free_memory(uuid, nvml),
        compute_capability=(properties.major, properties.minor),
        multi_processor_count=getattr(properties, "multi_processor_count", None),
        fast_bfloat16=properties.major >= 8,
        mig=" MIG " in properties.name,
        uuid=uuid,
    )


def choose_dtype(requested: str, device: DeviceInfo) -> torch.dtype:
    """`requested` is auto or a format's name.

    auto: bfloat16 where the device is quick at it, else float16 on CUDA, float32 on the CPU.
    """
    if requested != "auto":
        return getattr(torch, requested)
    if device.fast_bfloat16:
        return torch.bfloat16
    return torch.float16 if device.kind == "cuda" else torch.float32


def _cpu() -> DeviceInfo:
    return DeviceInfo(
        kind="cpu",
        name=f"CPU ({torch.get_num_threads()} threads)",
        fast_bfloat16=(_cpu_supports("amx_tile") or _cpu_supports("avx512_bf16"))
        and bfloat16_pays(convolution_seconds),
    )


def bfloat16_pays(seconds: Callable[[torch.dtype], float]) -> bool:
    """Whether work that takes `seconds` in a number format is done sooner in bfloat16 than in float32."""
    return seconds(torch.bfloat16) < seconds(torch.float32)


@lru_cache(maxsize=4)
def convolution_seconds(dtype: torch.dtype) -> float:
    """The best of a few runs of what the networks do most, on the CPU; some milliseconds each, once in a process."""
    image = torch.rand(2, 128, 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    kernel = torch.rand(128, 128, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    times = list[float]()
    with torch.inference_mode():
        for _ in range(5):
            started = time.perf_counter()
            torch.nn.functional.conv2d(image, kernel, padding=1)
            times.append(time.perf_counter() - started)
    return min(times)


def _cpu_supports(feature: str) -> bool:
    # torch has no public question for this yet; without an answer, float32 is always right.
    ask = getattr(torch.cpu, f"_is_{feature}_supported", None)
    return bool(ask and ask())
