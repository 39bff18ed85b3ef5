"""How to run on a device of a given memory: its profile, and the settings that change it.

The device's memory gives the profile's name and how many pictures share a step at most. Whatever slows drawing down
is on only where the models would not fit without it (`footprint.py` has the arithmetic), cheapest first.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

from writing_service.config import LARGEST_SIDE, GPUSettings
from writing_service.diffusion.device.devices import DeviceInfo
from writing_service.diffusion.device.footprint import RESERVE, Footprint, pixels

# A "24 GB" card reports 23.5 GiB: the driver keeps a part to itself.
_KEPT_BY_DRIVER = 0.04

# An idle device: CUDA's context and a desktop. What else is taken belongs to other programs.
_TAKEN_WHEN_IDLE = 1.5


@dataclass(frozen=True)
class OptimizationProfile:
    """Which memory savers and speed-ups are on; `COSTS` says what each costs.

    `max_batch_size` counts guided pictures of 1024×1024. Attention is torch's own fused one unless
    `enable_xformers`.
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
    fuse_blocks: bool = True
    max_batch_size: int = 1

    @property
    def options(self) -> dict[str, bool]:
        """The switches, by name."""
        return {name: on for name, on in asdict(self).items() if isinstance(on, bool)}


COSTS: Mapping[str, str] = MappingProxyType(
    {
        "memory_efficient": "after each picture torch asks the driver anew for memory: some milliseconds",
        "enable_attention_slicing": "slower, and no smaller than torch's fused attention, which it replaces",
        "enable_vae_slicing": "pictures that end together are decoded one by one: some hundredths of a second each",
        "enable_vae_tiling": "nothing up to 1024²; beyond it decoding takes about a third longer, tiles are blended",
        "enable_cpu_offload": "each picture moves the models over the bus and back: one to several seconds",
        "enable_sequential_cpu_offload": "each step moves every layer over the bus: many times slower",
        "enable_xformers": "a package more; no faster than torch's fused attention on present cards",
        "channels_last": "nothing in memory; a conversion when the models load",
        "use_torch_compile": "loading takes longer, by seconds to minutes; batches are filled up to fixed sizes",
        "fuse_blocks": "rounds a little otherwise; its kernels are built when they first run",
        "use_cuda_graphs": "the first batch of each form waits for its recording, which keeps memory of its own",
    }
)
"""What each option costs, one line each."""

FOR_FIXED_SIZES = {"use_torch_compile", "use_cuda_graphs"}
"""Options under which batches come in fixed sizes only."""

CPU = OptimizationProfile("cpu", fuse_blocks=False)
_QUICKEST = {"use_torch_compile": True, "use_cuda_graphs": True}
BY_MEMORY: tuple[tuple[float, OptimizationProfile], ...] = (
    (80, OptimizationProfile("ultra_high_memory", max_batch_size=8, **_QUICKEST)),
    (40, OptimizationProfile("high_memory", max_batch_size=4, **_QUICKEST)),
    (24, OptimizationProfile("medium_memory", max_batch_size=2)),
    (12, OptimizationProfile("low_memory")),
    (0, OptimizationProfile("minimal_memory")),
)
"""From so many GB on; the first that fits counts. Larger batches gain little: one of 1024² fills a GPU."""


def choose_profile(
    device: DeviceInfo, settings: GPUSettings, footprint: Footprint
) -> OptimizationProfile:
    """By the device's memory, then field by field as the settings say (None: as the profile)."""
    profile = fitted(device, footprint)
    chosen = {name: getattr(settings, name) for name in asdict(profile) if name != "name"}
    return replace(profile, **{name: one for name, one in chosen.items() if one is not None})


def fitted(device: DeviceInfo, footprint: Footprint) -> OptimizationProfile:
    """The profile with as many savers as the models need to fit into what is free."""
    tier = _tier(device)
    if device.kind == "cpu":
        return tier
    offload = room(device, footprint) < footprint.picture
    layers = offload and room(device, footprint, offload=True) < footprint.picture
    left = room(device, footprint, offload, layers)
    batch = max(1, min(tier.max_batch_size, int(left / footprint.denoised)))
    return replace(
        tier,
        memory_efficient=left < 2 * max(batch * footprint.denoised, footprint.decoded),
        enable_vae_slicing=left < batch * footprint.decoded,
        enable_vae_tiling=left < pixels(LARGEST_SIDE) * footprint.decoded,
        enable_cpu_offload=offload,
        enable_sequential_cpu_offload=layers,
        use_torch_compile=tier.use_torch_compile and not offload,
        use_cuda_graphs=tier.use_cuda_graphs and not offload,
        fuse_blocks=not layers,
        max_batch_size=batch,
    )


def room(
    device: DeviceInfo, footprint: Footprint, offload: bool = False, layers: bool = False
) -> float:
    """GiB that pictures may take beside the weights; negative where those alone do not fit."""
    held = 0.0 if layers else footprint.offloaded if offload else footprint.weights
    return (device.free_memory_gb or device.total_memory_gb or 0.0) - RESERVE - held


def recommended_batch_size(
    device: DeviceInfo, profile: OptimizationProfile, footprint: Footprint, image_size: int
) -> int:
    """Guided pictures of `image_size`² at a time: what fits, at most the profile's; at least one."""
    share = pixels(image_size)
    most = profile.max_batch_size / share
    if device.kind == "cpu":
        return max(1, int(most))
    left = room(
        device, footprint, profile.enable_cpu_offload, profile.enable_sequential_cpu_offload
    )
    # Slices are decoded one by one, so that only the steps bound how many share them.
    each = footprint.denoised if profile.enable_vae_slicing else footprint.picture
    return max(1, int(min(most, left / (each * share))))


def _tier(device: DeviceInfo) -> OptimizationProfile:
    """By the smaller of what the device has and what others leave of it."""
    if device.kind == "cpu":
        return CPU
    total = device.total_memory_gb or 0.0
    free = total if device.free_memory_gb is None else device.free_memory_gb + _TAKEN_WHEN_IDLE
    nominal = min(total, free) / (1 - _KEPT_BY_DRIVER)
    return next(profile for least, profile in BY_MEMORY if nominal >= least)
