"""Folders of tiny random SDXL models, laid out as the real ones are."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    ControlNetUnionModel,
    DDIMScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

KINDS = ("canny", "depth", "segmentation", "scribble")
FACTOR = 4
_START, _END = "<|startoftext|>", "<|endoftext|>"
_POOLED, _TIME = 16, 8
_DENOISER: dict[str, Any] = {
    "in_channels": 4,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "attention_head_dim": (2, 4),
    "cross_attention_dim": 48,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": _TIME,
    "projection_class_embeddings_input_dim": _POOLED + 6 * _TIME,
    "norm_num_groups": 8,
}
_CONDITIONING = {"conditioning_embedding_out_channels": (4, 8, 16)}


def write_base(folder: Path) -> None:
    """UNet, VAE (4 pixels to a latent), two text encoders, tokenizers and scheduler."""
    torch.manual_seed(1)
    tokenizer = tiny_tokenizer()
    first, second = _text_encoders(tokenizer)
    pipeline = StableDiffusionXLPipeline(
        vae=tiny_vae(),
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=tiny_unet(),
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False
        ),
        add_watermarker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)


def tiny_unet(attentive: bool = False, **changes: Any) -> UNet2DConditionModel:
    """Two levels, of which the upper one reads the text only if `attentive`."""
    surface = "CrossAttn" if attentive else ""
    levels = {
        "down_block_types": (f"{surface}DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", f"{surface}UpBlock2D"),
    }
    return UNet2DConditionModel(sample_size=8, out_channels=4, **{**_DENOISER, **levels, **changes})


def write_controlnet(folder: Path, seed: int) -> None:
    """A ControlNet whose zero convolutions are random, so that it matters."""
    torch.manual_seed(seed)
    _wake(ControlNetModel(**_DENOISER, **_CONDITIONING)).save_pretrained(folder)


def write_union(folder: Path) -> None:
    """A union ControlNet, likewise."""
    torch.manual_seed(9)
    sizes = {"num_trans_channel": 32, "num_trans_head": 2, "num_proj_channel": 32}
    network = ControlNetUnionModel(**_DENOISER, **_CONDITIONING, **sizes, num_control_type=6)
    _wake(network).save_pretrained(folder)


def write_lora(path: Path, base: Path, seed: int, **changes: Any) -> None:
    """A LoRA for the UNet of a base model, in diffusers' form. `changes` are of the UNet it is for."""
    torch.manual_seed(seed)
    unet = (
        UNet2DConditionModel.from_pretrained(base / "unet") if not changes else tiny_unet(**changes)
    )
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_k", "to_v"], init_lora_weights=False))
    StableDiffusionXLPipeline.save_lora_weights(
        path.parent, unet_lora_layers=get_peft_model_state_dict(unet), weight_name=path.name
    )


def tiny_vae(**changes: Any) -> AutoencoderKL:
    """4 pixels to a latent."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 16, 16),
        norm_num_groups=4,
        latent_channels=4,
        sample_size=32,
        **{"scaling_factor": 0.5, **changes},
    )


def tiny_tokenizer() -> CLIPTokenizer:
    """Bytes only: every letter is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = [*alphabet, *(f"{byte}</w>" for byte in alphabet), _START, _END]
    return CLIPTokenizer(
        vocab={entry: index for index, entry in enumerate(entries)},
        merges=[],
        model_max_length=77,
        bos_token=_START,
        eos_token=_END,
        unk_token=_END,
        pad_token=_END,
    )


def _text_encoders(
    tokenizer: CLIPTokenizer,
) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    shared = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": _POOLED,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    narrow = CLIPTextConfig(hidden_size=16, intermediate_size=32, **shared)
    wide = CLIPTextConfig(hidden_size=32, intermediate_size=64, **shared)
    return CLIPTextModel(narrow), CLIPTextModelWithProjection(wide)


def _wake(network: Any) -> Any:
    """Training starts from zeros; here they would hide every mistake."""
    for name, parameter in network.named_parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02 if name.endswith("bias") else 0.15)
    return network
