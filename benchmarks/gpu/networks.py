"""The networks that are measured: SDXL's own shapes or tiny ones with random weights, or the shipped checkpoint.

Random weights cost what trained ones cost. They are drawn on the device, in the number format that is measured.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    ControlNetUnionModel,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import logging as diffusers_logging
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)
from transformers.utils import logging as transformers_logging

from benchmarks.gpu.bench import NotHere
from writing_service.diffusion.checkpoints.parts import EMBEDDED
from writing_service.types import ConditioningKind

Options = Mapping[str, Any]

UNION_KINDS = (1, 2, 3, 5)
"""The union network's numbers of our four kinds."""


class Models(Protocol):
    """Makes networks anew at each call, on its device."""

    def base(self, dtype: torch.dtype) -> StableDiffusionXLPipeline:
        """UNet, VAE, both text encoders, tokenizers, scheduler."""
        ...

    def controlnets(self, dtype: torch.dtype) -> dict[ConditioningKind, Any]:
        """One for each kind."""
        ...

    def union(self, dtype: torch.dtype) -> dict[ConditioningKind, Any]:
        """One for all kinds. Raises NotHere where there is none."""
        ...


@dataclass(frozen=True)
class Shape:
    """What the networks' constructors are given. `denoiser` is for the UNet and every ControlNet."""

    denoiser: Options
    unet: Options
    controlnet: Options
    vae: Options
    texts: tuple[Options, Options]
    union: Options = field(default_factory=dict)
    vocabulary: int = 49408


SDXL = Shape(
    denoiser={
        "in_channels": 4,
        "block_out_channels": (320, 640, 1280),
        "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    unet={
        "sample_size": 128,
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    },
    controlnet={"conditioning_embedding_out_channels": (16, 32, 96, 256)},
    vae={
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "sample_size": 512,
        "scaling_factor": 0.13025,
    },
    texts=(
        {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "projection_dim": 768,
        },
        {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 20,
            "projection_dim": 1280,
            "hidden_act": "gelu",
        },
    ),
)
"""stabilityai/stable-diffusion-xl-base-1.0 with madebyollin/sdxl-vae-fp16-fix, by their config.json."""

_TINY_TEXT = {"num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 16}

TINY = Shape(
    denoiser={
        **SDXL.denoiser,
        "block_out_channels": (32, 64, 64),
        "layers_per_block": 1,
        "transformer_layers_per_block": (1, 1, 1),
        "attention_head_dim": (2, 4, 4),
        "cross_attention_dim": 48,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 64,
        "norm_num_groups": 8,
    },
    unet={**SDXL.unet, "sample_size": 8},
    controlnet={"conditioning_embedding_out_channels": (4, 8, 8, 16)},
    vae={
        "block_out_channels": (8, 8, 16, 16),
        "norm_num_groups": 4,
        "sample_size": 32,
        "scaling_factor": 0.13025,
    },
    texts=(
        {**_TINY_TEXT, "hidden_size": 16, "intermediate_size": 32},
        {**_TINY_TEXT, "hidden_size": 32, "intermediate_size": 64},
    ),
    union={"num_trans_channel": 32, "num_trans_head": 2, "num_proj_channel": 32},
    vocabulary=3201,
)
"""The same blocks, a few channels wide: for trying the programs."""


@dataclass(frozen=True)
class RandomModels:
    """Networks of a shape, for 8 pixels to a latent."""

    shape: Shape
    device: torch.device

    def base(self, dtype: torch.dtype) -> StableDiffusionXLPipeline:
        """See Models."""
        tokenizer = CLIPTokenizer.from_pretrained(EMBEDDED / "tokenizer")
        first, second = (self._text_config(tokenizer, one) for one in self.shape.texts)
        # It makes NumPy arrays of what it computes, so it is not born on a GPU.
        scheduler = _scheduler()
        with _born(self.device, dtype):
            return StableDiffusionXLPipeline(
                vae=vae(self.shape),
                text_encoder=CLIPTextModel(first).eval(),
                text_encoder_2=CLIPTextModelWithProjection(second).eval(),
                tokenizer=tokenizer,
                tokenizer_2=tokenizer,
                unet=unet(self.shape).eval(),
                scheduler=scheduler,
                add_watermarker=False,
            )

    def controlnets(self, dtype: torch.dtype) -> dict[ConditioningKind, Any]:
        """See Models."""
        with _born(self.device, dtype):
            return {kind: _awake(controlnet(self.shape)) for kind in ConditioningKind}

    def union(self, dtype: torch.dtype) -> dict[ConditioningKind, Any]:
        """See Models."""
        with _born(self.device, dtype):
            return dict.fromkeys(ConditioningKind, _awake(union(self.shape)))

    def _text_config(self, tokenizer: CLIPTokenizer, options: Options) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=self.shape.vocabulary,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **options,
        )


@dataclass(frozen=True)
class EmbeddedModels:
    """The shipped checkpoint, whose kinds share one ControlNet."""

    device: torch.device

    def __post_init__(self) -> None:
        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()

    def base(self, dtype: torch.dtype) -> StableDiffusionXLPipeline:
        """See Models."""
        base = StableDiffusionXLPipeline.from_pretrained(
            EMBEDDED, dtype=dtype, add_watermarker=False
        )
        return base.to(self.device)

    def controlnets(self, dtype: torch.dtype) -> dict[ConditioningKind, Any]:
        """See Models."""
        network = ControlNetModel.from_pretrained(EMBEDDED / "controlnet", dtype=dtype)
        return dict.fromkeys(ConditioningKind, network.to(self.device))

    def union(self, dtype: torch.dtype) -> dict[ConditioningKind, Any]:
        """See Models."""
        raise NotHere("the shipped checkpoint has no union network")


def models_of(name: str, device: torch.device) -> Models:
    """By the name in Options."""
    if name == "embedded":
        return EmbeddedModels(device)
    return RandomModels(SDXL if name == "sdxl" else TINY, device)


def unet(shape: Shape) -> UNet2DConditionModel:
    """On torch's default device, in its default format."""
    return UNet2DConditionModel(out_channels=4, **shape.denoiser, **shape.unet)


def controlnet(shape: Shape) -> ControlNetModel:
    """Likewise."""
    return ControlNetModel(**shape.denoiser, **shape.controlnet)


def union(shape: Shape) -> ControlNetUnionModel:
    """Likewise."""
    return ControlNetUnionModel(
        **shape.denoiser, **shape.controlnet, **shape.union, num_control_type=6
    )


def vae(shape: Shape) -> AutoencoderKL:
    """Likewise."""
    levels = len(shape.vae["block_out_channels"])
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=4,
        force_upcast=False,
        **shape.vae,
    ).eval()


def _scheduler() -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )


@contextmanager
def _born(device: torch.device, dtype: torch.dtype) -> Generator[None]:
    """Parameters made within begin their life there: nothing is converted or moved."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _awake(network: Any) -> Any:
    """A new ControlNet ends in zeros, which are quicker to multiply than what training leaves."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.01)
    return network.eval()
