"""What the pictures are drawn on: a CUDA device or the CPU, and in which number format."""

from dataclasses import dataclass
from typing import Any

import torch

from writing_service.errors import ConfigurationError

GIB = 1024**3


@dataclass(frozen=True)
class DeviceInfo:
    """A device as it was found. Memory is in GiB, and None on the CPU.

    `uuid` is NVIDIA's, by which NVML knows the device whatever CUDA_VISIBLE_DEVICES renumbers.
    """

    kind: str
    name: str
    index: int = 0
    total_memory_gb: float | None = None
    compute_capability: tuple[int, int] | None = None
    multi_processor_count: int | None = None
    fast_bfloat16: bool = False
    uuid: str | None = None

    @property
    def torch_name(self) -> str:
        """As torch names it: "cuda:0" or "cpu"."""
        return f"cuda:{self.index}" if self.kind == "cuda" else "cpu"


def detect_device(requested: str) -> DeviceInfo:
    """`requested` is auto, cpu, cuda or cuda:N. Raises ConfigurationError for an absent one."""
    if requested == "cpu" or (requested == "auto" and not torch.cuda.is_available()):
        return _cpu()
    index = int(requested.partition(":")[2] or 0)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        found = f"only {count} CUDA device(s)" if count else "no CUDA device"
        raise ConfigurationError(
            f"Setting 'ai_generation.gpu.device' asks for {requested}, but torch finds {found}; "
            "use auto or cpu, or install the driver and torch's CUDA build."
        )
    return _cuda(index)


def choose_dtype(requested: str, device: DeviceInfo) -> torch.dtype:
    """`requested` is auto or a format's name.

    auto: bfloat16 where the device computes it natively, else float16 on CUDA, float32 on the CPU.
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
        fast_bfloat16=_cpu_supports("amx_tile") or _cpu_supports("avx512_bf16"),
    )


def _cpu_supports(feature: str) -> bool:
    # torch has no public question for this yet; without an answer, float32 is always right.
    ask = getattr(torch.cpu, f"_is_{feature}_supported", None)
    return bool(ask and ask())


def _cuda(index: int) -> DeviceInfo:
    found: Any = torch.cuda.get_device_properties(index)
    return DeviceInfo(
        kind="cuda",
        name=found.name,
        index=index,
        total_memory_gb=found.total_memory / GIB,
        compute_capability=(found.major, found.minor),
        multi_processor_count=found.multi_processor_count,
        fast_bfloat16=found.major >= 8,
        uuid=str(found.uuid),
    )
