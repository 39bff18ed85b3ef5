"""Networks from folders and files, by diffusers. Raises whatever the libraries raise."""

from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import (
    StableDiffusionXLPipeline,
)

from writing_service.diffusion.checkpoints.locating import Located
from writing_service.diffusion.checkpoints.weights import has_variant

_CLASSES: dict[str, Any] = {
    "vae": AutoencoderKL,
    "controlnet": ControlNetModel,
    "union": ControlNetUnionModel,
}

_ADAPTER = "lora"
_TEXT_ENCODERS = ("text_encoder", "text_encoder_2")


def read_base(located: Located, dtype: torch.dtype, vae: Any | None) -> Any:
    """Text encoders, UNet, VAE (in its place `vae`, if given) and scheduler, as a diffusers pipeline."""
    given = {} if vae is None else {"vae": vae}
    if located.config:
        base = StableDiffusionXLPipeline.from_single_file(
            str(located.place),
            config=str(located.config),
            dtype=dtype,
            local_files_only=True,
            add_watermarker=False,
            **given,
        )
    else:
        base = StableDiffusionXLPipeline.from_pretrained(
            located.place,
            dtype=dtype,
            use_safetensors=True,
            variant=_variant(located),
            add_watermarker=False,
            **given,
        )
    # Such a VAE overflows in float16; it stays in float32 rather than to and fro each picture.
    if base.vae.dtype == torch.float16 and base.vae.config.force_upcast:
        base.vae.to(torch.float32)
    return base


def read_network(located: Located, dtype: torch.dtype) -> Any:
    """A VAE or a ControlNet."""
    kind = _CLASSES[located.part.role]
    if located.config:
        return kind.from_single_file(
            str(located.place), config=str(located.config), dtype=dtype, local_files_only=True
        )
    return kind.from_pretrained(
        located.place, dtype=dtype, use_safetensors=True, variant=_variant(located)
    )


def add_lora(base: Any, located: Located) -> None:
    """Add a LoRA to the weights of the networks that it is for, for good: it costs nothing at each step.

    Raises ValueError where it is for none of them.
    """
    tensors, alphas, metadata = base.lora_state_dict(
        str(located.place),
        unet_config=base.unet.config,
        use_safetensors=True,
        local_files_only=True,
        return_lora_metadata=True,
    )
    given = {
        "network_alphas": alphas,
        "adapter_name": _ADAPTER,
        "metadata": metadata,
        "_pipeline": base,
    }
    names = [name for name in ("unet", *_TEXT_ENCODERS) if _any_for(name, tensors)]
    if not names:
        raise ValueError(f"{located.place} changes none of the networks")
    for name in names:
        if name == "unet":
            base.load_lora_into_unet(tensors, unet=base.unet, **given)
        else:
            encoder = getattr(base, name)
            base.load_lora_into_text_encoder(tensors, text_encoder=encoder, prefix=name, **given)
    # One after the other: fused LoRAs add up, and no two are in memory at once.
    base.fuse_lora(components=names, lora_scale=located.part.scale, adapter_names=[_ADAPTER])
    base.unload_lora_weights()


def networks_of(base: Any) -> list[Any]:
    """All of a diffusers pipeline."""
    return [one for one in base.components.values() if isinstance(one, torch.nn.Module)]


def _any_for(name: str, tensors: dict[str, Any]) -> bool:
    return any(key.startswith(f"{name}.") for key in tensors)


def _variant(located: Located) -> str | None:
    """The wanted one, where there are weights of it."""
    variant = located.part.variant
    return variant if has_variant(located.part.networks(located.place), variant) else None
