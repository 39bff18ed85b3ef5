"""What a person could change so that drawing gets quicker or fits; each piece of advice names its setting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from writing_service.config import ModelSettings
from writing_service.diffusion.device.devices import DeviceInfo
from writing_service.diffusion.device.footprint import Footprint
from writing_service.diffusion.device.profiles import OptimizationProfile, fitted

_NEARLY_FULL = 90.0
_HOT = 85
_MUCH_MORE = 1.5

_SAVERS = ("enable_vae_slicing", "enable_cpu_offload", "enable_sequential_cpu_offload")


@dataclass(frozen=True)
class Situation:
    """A device, what runs on it, and how it fares. `models` None: not known."""

    device: DeviceInfo
    found: Sequence[DeviceInfo]
    profile: OptimizationProfile
    footprint: Footprint
    models: ModelSettings | None
    percent_used: float | None = None
    temperature: int | None = None


def recommendations(now: Situation) -> list[str]:
    """Sentences; none when all is well."""
    return list(_on_the_cpu(now) if now.device.kind == "cpu" else _on_a_gpu(now))


def _on_the_cpu(now: Situation) -> Iterator[str]:
    if now.found:
        yield f"{now.found[0].name} stands idle: set ai_generation.gpu.device=cuda to draw on it."
    elif now.models is None or now.models.base_model != "embedded":
        yield "There is no GPU in use, and SDXL takes minutes here: start with pipeline=embedded."


def _on_a_gpu(now: Situation) -> Iterator[str]:
    yield from _about_memory(now)
    yield from _about_savers(now)
    if (now.temperature or 0) >= _HOT:
        yield (
            f"The GPU is at {now.temperature} °C and may slow down: see to its cooling, or draw less at once with "
            "ai_generation.gpu.max_batch_size=1."
        )


def _about_memory(now: Situation) -> Iterator[str]:
    others = [one for one in now.found if one.index != now.device.index]
    roomier = max(others, key=_free, default=now.device)
    if _free(roomier) > _MUCH_MORE * _free(now.device):
        yield (
            f"{roomier.name} has {_free(roomier):.0f} GiB free, this one {_free(now.device):.0f}: "
            f"set ai_generation.gpu.device=cuda:{roomier.index}."
        )
    if (now.percent_used or 0) >= _NEARLY_FULL and not now.profile.enable_cpu_offload:
        yield (
            "GPU memory is nearly full: set ai_generation.gpu.enable_cpu_offload=true or "
            "ai_generation.gpu.max_batch_size=1."
        )
    if now.profile.enable_cpu_offload and now.footprint.controlnets > now.footprint.unet:
        yield (
            "Models move to the GPU and back, which is slow: pipeline=sdxl_union needs a quarter of the "
            "ControlNets' memory."
        )


def _about_savers(now: Situation) -> Iterator[str]:
    """Switches that a setting turned on and the memory does not ask for."""
    needed = fitted(now.device, now.footprint)
    if now.profile.enable_attention_slicing:
        yield (
            "Attention slicing is slower than torch's fused attention and saves nothing: set "
            "ai_generation.gpu.enable_attention_slicing=null."
        )
    for saver in _SAVERS:
        if getattr(now.profile, saver) and not getattr(needed, saver):
            yield f"The models fit without it, and it is slow: set ai_generation.gpu.{saver}=null."


def _free(device: DeviceInfo) -> float:
    return device.free_memory_gb or device.total_memory_gb or 0.0
