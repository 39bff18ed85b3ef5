"""Write the trained networks as a checkpoint folder that diffusers' own `from_pretrained` reads."""

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline
from torch import nn
from transformers import CLIPTokenizer

from training.models import build_scheduler


def export(
    folder: Path,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    networks: nn.Module,
) -> int:
    """SDXL's layout in fp16, the shared ControlNet in `controlnet/` beside it; return the bytes written.

    The folder is written under another name first and swapped in whole.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    narrow, wide = networks.encoders
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=narrow,
        text_encoder_2=wide,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=networks.unet,
        scheduler=build_scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    # Where a part was read from is nobody's business.
    for part in (vae, networks.unet, networks.controlnet):
        part.register_to_config(_name_or_path="")
    # Training padded and cut; who reads the file decides for himself.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    for part in (vae, narrow, wide, networks.unet, networks.controlnet):
        part.to("cpu", dtype=torch.float16, memory_format=torch.contiguous_format)
    pipeline.save_pretrained(partial, safe_serialization=True)
    networks.controlnet.save_pretrained(partial / "controlnet", safe_serialization=True)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
