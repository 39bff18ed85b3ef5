"""A tiny SDXL model in one file, its tensors named and laid out as in Stability AI's own files."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

_RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"),
    ("conv_shortcut", "skip_connection"),
)
_UNET = (
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"),
    ("add_embedding.linear_2", "label_emb.0.2"),
    ("conv_norm_out", "out.0"),
    ("conv_out", "out.2"),
    ("conv_in", "input_blocks.0.0"),
)
_VAE = (
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    (r"mid_block\.attentions\.0\.to_(\w)", r"mid.attn_1.\1"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
)
_OPEN_CLIP = (
    (r"text_model\.embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"text_model\.embeddings\.token_embedding", "token_embedding"),
    (r"text_model\.final_layer_norm", "ln_final"),
    (r"text_model\.encoder\.layers", "transformer.resblocks"),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"fc1\.", "c_fc."),
    (r"fc2\.", "c_proj."),
    (r"self_attn", "attn"),
)


def write_single_file(path: Path, base: Any) -> None:
    """`base` is a diffusers pipeline whose UNet has one layer a block."""
    tensors = {
        **_prefixed("model.diffusion_model.", unet_tensors(base.unet)),
        **_prefixed("first_stage_model.", _vae(base.vae)),
        **_prefixed("conditioner.embedders.0.transformer.text_model.", base.text_encoder.state_dict()),
        **_prefixed("conditioner.embedders.1.model.", _open_clip(base.text_encoder_2)),
    }  # fmt: skip
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def unet_tensors(unet: Any) -> dict[str, torch.Tensor]:
    """By their original names, without a prefix."""
    return {_unet_name(name): one for name, one in unet.state_dict().items()}


def _unet_name(name: str) -> str:
    if not name.startswith(("down_blocks", "mid_block", "up_blocks")):
        return _replaced(name, _UNET)
    found = re.fullmatch(r"(down|up|mid)_blocks?\.(\d\.)?(\w+)\.(\d)\.(.*)", name)
    assert found
    where, block, kind, layer, leaf = found.groups()
    place, column = _unet_place(where, int((block or "0.")[0]), kind, int(layer))
    if kind == "resnets":
        leaf = _replaced(leaf, _RESNET)
    elif kind == "downsamplers":
        leaf = leaf.replace("conv", "op")
    return f"{place}.{column}.{leaf}" if where != "mid" else f"{place}.{leaf}"


def _unet_place(where: str, block: int, kind: str, layer: int) -> tuple[str, int]:
    """The original's blocks are one list, with two entries for each of ours of one layer."""
    column = 1 if kind == "attentions" else 0
    if where == "mid":
        return f"middle_block.{1 if column else 2 * layer}", 0
    if where == "down":
        return f"input_blocks.{1 + 2 * block + (kind == 'downsamplers')}", column
    if kind == "upsamplers":
        return f"output_blocks.{2 * block + 1}", 2 if block == 0 else 1
    return f"output_blocks.{2 * block + layer}", column


def _vae(vae: Any) -> dict[str, torch.Tensor]:
    last = len(vae.config.up_block_types) - 1

    def name_of(name: str) -> str:
        renamed = _replaced(name, _VAE)
        found = re.match(r"decoder\.up_blocks\.(\d)\.(resnets|upsamplers\.0)", renamed)
        if found is None:
            return renamed
        inner = "block" if found[2] == "resnets" else "upsample"
        return f"decoder.up.{last - int(found[1])}.{inner}{renamed[found.end() :]}"

    return {name_of(name): tensor for name, tensor in vae.state_dict().items()}


def _open_clip(encoder: Any) -> dict[str, torch.Tensor]:
    state = encoder.state_dict()
    tensors = {
        _replaced(name, _OPEN_CLIP): tensor
        for name, tensor in state.items()
        if not re.search(r"[qkv]_proj", name)
    }
    tensors["text_projection"] = tensors.pop("text_projection.weight").T
    for name in [one for one in state if ".q_proj." in one]:
        joined = torch.cat([state[name.replace("q_proj", f"{one}_proj")] for one in "qkv"])
        tensors[_replaced(name, _OPEN_CLIP).replace("q_proj.", "in_proj_")] = joined
    return tensors


def _replaced(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    for ours, theirs in pairs:
        name = re.sub(ours, theirs, name)
    return name


def _prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor.detach().clone() for name, tensor in tensors.items()}
