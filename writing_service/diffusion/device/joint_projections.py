"""Attention by fewer, larger products: weights that multiply the same numbers are one matrix.

In each block of a transformer these are query, key and value of its pixels; over all its blocks, keys and values of the
text. A GPU is busier with the larger ones. diffusers' own fused projections keep the separate weights besides, several
GiB for SDXL under four ControlNets; here each is let go once it is copied.
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import AttnProcessor2_0, FusedAttnProcessor2_0
from torch import nn


def join_projections(transformer: Any) -> None:
    """Join what can be joined; attention of other kinds than SDXL's, and what is joined already, stays as it is.

    From then on the blocks must be given what `texts_for` says.
    """
    blocks = list(transformer.transformer_blocks)
    if all(_reads_text(block) for block in blocks):
        _join_texts(transformer, blocks)
    for block in blocks:
        if _plain(block.attn1) and not block.attn1.is_cross_attention:
            _join_pixels(block.attn1)


def texts_for(transformer: Any, text: Any) -> Sequence[Any]:
    """What each block is given as the text: where they are joined, its own keys and values, one after the other."""
    blocks = len(transformer.transformer_blocks)
    joint: nn.Linear | None = getattr(transformer, "to_kv", None)
    return [text] * blocks if joint is None else joint(text).chunk(blocks, dim=-1)


def _join_pixels(attention: Any) -> None:
    attention.to_qkv = _joined([(attention, name) for name in ("to_q", "to_k", "to_v")])
    attention.set_processor(FusedAttnProcessor2_0())


def _join_texts(transformer: Any, blocks: Sequence[Any]) -> None:
    attentions = [block.attn2 for block in blocks]
    transformer.to_kv = _joined([(one, name) for one in attentions for name in ("to_k", "to_v")])
    for attention in attentions:
        # The processor cuts in two what this gives.
        attention.to_kv = nn.Identity()
        attention.set_processor(FusedAttnProcessor2_0())


def _reads_text(block: Any) -> bool:
    """Plainly, and in its second attention alone."""
    return (
        isinstance(block, BasicTransformerBlock)
        and not block.only_cross_attention
        and block.attn2 is not None
        and block.attn2.is_cross_attention
        and _plain(block.attn2)
    )


def _plain(attention: Any) -> bool:
    """Torch's attention, neither sliced nor xformers', between torch's own layers: no adapters, no biases, no norms."""
    layers = [getattr(attention, name, None) for name in ("to_q", "to_k", "to_v")]
    return (
        type(attention.processor) is AttnProcessor2_0
        and attention.norm_cross is None
        and attention.added_kv_proj_dim is None
        and all(_plain_layer(layer, attention.inner_dim) for layer in layers)
    )


def _plain_layer(layer: Any, width: int) -> bool:
    """Of torch's own class itself: adapters' are made from it."""
    bias = getattr(layer, "bias", None)
    return type(layer) is nn.Linear and bias is None and layer.out_features == width


def _joined(places: Sequence[tuple[Any, str]]) -> nn.Linear:
    """One layer in place of those that are found there, all of one shape: their outputs, one after the other.

    A CPU's memory is taken only as it is written, so that there is never more than one layer more than before.
    """
    joint = _empty(getattr(*places[0]), len(places))
    with torch.no_grad():
        for part, (parent, name) in zip(joint.weight.chunk(len(places)), places, strict=True):
            part.copy_(getattr(parent, name).weight)
            delattr(parent, name)
    return joint


def _empty(layer: nn.Linear, times: int) -> nn.Linear:
    """A layer with so many times the outputs of this one, its weights not set."""
    weight, outputs = layer.weight, times * layer.out_features
    made = nn.Linear(layer.in_features, outputs, bias=False, device="meta", dtype=weight.dtype)
    return made.to_empty(device=weight.device)
