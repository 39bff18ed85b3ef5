"""Applying a profile to loaded models: memory formats, attention, VAE, compilation, placement."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import accelerate
import torch

from writing_service.diffusion.device import fusing
from writing_service.diffusion.device.compiling import compile_blocks
from writing_service.diffusion.device.profiles import FOR_FIXED_SIZES, OptimizationProfile

logger = logging.getLogger(__name__)

_READ_FROM_OUTSIDE = ["MultiheadAttention"]
"""Layers that use the weights of others inside them without calling those; the union network has such."""

_Releases = tuple[Callable[[], None], ...]


@dataclass(frozen=True)
class Tuning:
    """What took effect, why something that was asked for did not, and how to bring offloaded models back."""

    applied: tuple[str, ...] = ()
    releases: _Releases = ()
    refusals: Mapping[str, str] = field(default_factory=dict)

    def release(self) -> None:
        """After each picture."""
        for release in self.releases:
            release()


@dataclass(frozen=True)
class _Models:
    """A diffusers pipeline, and what runs beside it."""

    pipeline: Any
    networks: Sequence[Any]
    resident: Sequence[Any]
    device: torch.device
    by_layers: bool = False
    """Whether they leave the device layer by layer."""

    @property
    def denoisers(self) -> list[Any]:
        """The UNet and its ControlNets."""
        return [self.pipeline.unet, *self.networks]

    @property
    def convolutional(self) -> list[Any]:
        """Everything that gains from channels-last memory."""
        return [*self.denoisers, self.pipeline.vae, *self.resident]


def tune(
    pipeline: Any,
    networks: Sequence[Any],
    resident: Sequence[Any],
    profile: OptimizationProfile,
    device: torch.device,
) -> Tuning:
    """Apply what the profile asks for and this machine can do; place everything on `device`."""
    models = _Models(pipeline, networks, resident, device, profile.enable_sequential_cpu_offload)
    asked = [name for name in _STEPS if getattr(profile, name)]
    refusals = {name: why for name in asked if (why := _STEPS[name](models))}
    applied = [name for name in asked if name not in refusals]
    placed, releases = _place(models, profile)
    applied += placed
    if profile.use_torch_compile and not placed and _compile(models):
        applied.append("use_torch_compile")
    if profile.use_cuda_graphs and not placed and device.type == "cuda":
        applied.append("use_cuda_graphs")
    if profile.memory_efficient and device.type == "cuda":
        applied.append("memory_efficient")
    missing = [name for name, on in profile.options.items() if on and name not in applied]
    refusals |= {name: _why_not(name, device) for name in missing if name not in refusals}
    return Tuning(tuple(applied), releases, refusals)


def _why_not(option: str, device: torch.device) -> str:
    """Of what is a matter of the device or of another option alone."""
    if device.type != "cuda":
        return "it needs a CUDA device"
    if option in FOR_FIXED_SIZES:
        return "models that leave the device after their turn are neither compiled nor recorded"
    return "enable_sequential_cpu_offload is on, which goes further"


def offload(pipeline: Any, networks: Sequence[Any], device: torch.device, tuning: Tuning) -> Tuning:
    """Let models that are on the device wait in main memory from now on; what is so now."""
    placed, releases = _offload_models(_Models(pipeline, networks, (), device))
    return replace(tuning, applied=(*tuning.applied, *placed), releases=releases)


def _channels_last(models: _Models) -> None:
    for model in models.convolutional:
        model.to(memory_format=torch.channels_last)


def _attention_slicing(models: _Models) -> None:
    for model in models.denoisers:
        model.set_attention_slice("auto")


def _xformers(models: _Models) -> str | None:
    # On a CPU an installed xformers breaks the attention, so it is never asked there.
    if models.device.type != "cuda":
        return "it needs a CUDA device"
    if find_spec("xformers") is None:
        return "the package xformers is not installed (pip install 'writing-service[gpu]')"
    try:
        for model in models.denoisers:
            # Tries its kernel on a small tensor first.
            model.enable_xformers_memory_efficient_attention()
    except Exception as error:
        # Built for another torch or card it raises whatever comes.
        for model in models.denoisers:
            model.set_default_attn_processor()
        logger.warning("xformers does not work here, torch's own attention is used: %s", error)
        return f"xformers does not work here ({type(error).__name__}: {error})"
    return None


def _vae_slicing(models: _Models) -> None:
    models.pipeline.vae.enable_slicing()


def _vae_tiling(models: _Models) -> None:
    models.pipeline.vae.enable_tiling()


def _fuse_blocks(models: _Models) -> str | None:
    if models.by_layers:
        return "layers that leave the device after their turn run one by one"
    reason = fusing.why_not(models.device)
    if reason is None:
        for model in models.convolutional:
            fusing.fuse_blocks(model)
    return reason


_STEPS: Mapping[str, Callable[[_Models], str | None]] = {
    "channels_last": _channels_last,
    "enable_attention_slicing": _attention_slicing,
    "enable_xformers": _xformers,
    "enable_vae_slicing": _vae_slicing,
    "enable_vae_tiling": _vae_tiling,
    "fuse_blocks": _fuse_blocks,
}
"""Each says why it did not work, None where it did."""


def _place(models: _Models, profile: OptimizationProfile) -> tuple[list[str], _Releases]:
    """On the device as a whole, or offloaded; layer by layer wins where both kinds are asked."""
    for model in models.resident:
        model.to(models.device)
    if models.device.type == "cuda" and profile.enable_sequential_cpu_offload:
        return _offload_layers(models)
    if models.device.type == "cuda" and profile.enable_cpu_offload:
        return _offload_models(models)
    models.pipeline.to(models.device)
    for network in models.networks:
        network.to(models.device)
    return [], ()


def _offload_layers(models: _Models) -> tuple[list[str], _Releases]:
    models.pipeline.enable_sequential_cpu_offload(device=models.device)
    for network in models.networks:
        accelerate.cpu_offload(
            network, models.device, offload_buffers=True, preload_module_classes=_READ_FROM_OUTSIDE
        )
    return ["enable_sequential_cpu_offload"], ()


def _offload_models(models: _Models) -> tuple[list[str], _Releases]:
    models.pipeline.enable_model_cpu_offload(device=models.device)
    hooks = [accelerate.cpu_offload_with_hook(one, models.device)[1] for one in models.networks]
    releases = (models.pipeline.maybe_free_model_hooks, *(hook.offload for hook in hooks))
    return ["enable_cpu_offload"], releases


def _compile(models: _Models) -> bool:
    """What is compiled is ready only after Denoiser.compile."""
    compile_blocks(models.denoisers, models.pipeline.unet._repeated_blocks)
    return True
