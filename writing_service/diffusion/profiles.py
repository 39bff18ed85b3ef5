"""How to run on a device of a given memory: one profile each, and the settings that change it."""

from dataclasses import asdict, dataclass, replace

from writing_service.config import GPUSettings
from writing_service.diffusion.devices import DeviceInfo

# A "24 GB" card reports 23.5 GiB: the driver keeps a part to itself.
_KEPT_BY_DRIVER = 0.04


@dataclass(frozen=True)
class OptimizationProfile:
    """Which memory savers and speed-ups are on.

    `memory_efficient` gives cached memory back to the device after each picture.
    `max_batch_size` counts pictures of 1024×1024. Attention is torch's own fused one unless
    `enable_xformers`; slicing it is slower and only for small memories.
    """

    name: str
    memory_efficient: bool = False
    enable_attention_slicing: bool = False
    enable_vae_slicing: bool = False
    enable_vae_tiling: bool = False
    enable_cpu_offload: bool = False
    enable_sequential_cpu_offload: bool = False
    enable_xformers: bool = False
    channels_last: bool = True
    use_torch_compile: bool = False
    use_cuda_graphs: bool = False
    max_batch_size: int = 1


CPU = OptimizationProfile("cpu")
BY_MEMORY: tuple[tuple[float, OptimizationProfile], ...] = (
    (
        80,
        OptimizationProfile(
            "ultra_high_memory", use_torch_compile=True, use_cuda_graphs=True, max_batch_size=8
        ),
    ),
    (
        40,
        OptimizationProfile(
            "high_memory",
            enable_vae_tiling=True,
            use_torch_compile=True,
            use_cuda_graphs=True,
            max_batch_size=4,
        ),
    ),
    (
        24,
        OptimizationProfile(
            "medium_memory",
            memory_efficient=True,
            enable_attention_slicing=True,
            enable_vae_slicing=True,
            max_batch_size=2,
        ),
    ),
    (
        12,
        OptimizationProfile(
            "low_memory",
            memory_efficient=True,
            enable_attention_slicing=True,
            enable_vae_slicing=True,
            enable_vae_tiling=True,
            enable_cpu_offload=True,
        ),
    ),
    (
        0,
        OptimizationProfile(
            "minimal_memory",
            memory_efficient=True,
            enable_attention_slicing=True,
            enable_vae_slicing=True,
            enable_vae_tiling=True,
            enable_cpu_offload=True,
            enable_sequential_cpu_offload=True,
        ),
    ),
)
"""From so many GB on; the first that fits counts."""


def choose_profile(device: DeviceInfo, settings: GPUSettings) -> OptimizationProfile:
    """By the device's memory, then field by field as the settings say (None: as the profile)."""
    profile = _by_memory(device)
    chosen = {name: getattr(settings, name) for name in asdict(profile) if name != "name"}
    return replace(profile, **{name: one for name, one in chosen.items() if one is not None})


def _by_memory(device: DeviceInfo) -> OptimizationProfile:
    if device.kind == "cpu":
        return CPU
    nominal = (device.total_memory_gb or 0) / (1 - _KEPT_BY_DRIVER)
    return next(profile for least, profile in BY_MEMORY if nominal >= least)
