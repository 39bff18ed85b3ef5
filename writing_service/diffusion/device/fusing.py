"""Residual blocks, transformers and group norms with less traffic: diffusers' arithmetic in fewer passes over memory.

Where a block adds biases, a timestep's embedding and its own input, torch reads and writes the whole image each time,
and its group norms copy it besides. Here the norms take up what is added before them and the last sums are one
(`group_norm.py`), and images stay channels last. Weights stay where they are, but for those that transformers multiply
by the same numbers (`joint_projections.py`).
"""

from importlib.util import find_spec
from typing import Any, cast

import torch
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from writing_service.diffusion.device.joint_projections import join_projections, texts_for


def why_not(device: torch.device) -> str | None:
    """Why blocks cannot be fused on this device; None where they can."""
    if device.type != "cuda":
        return "it needs a CUDA device"
    return None if find_spec("triton") else "the package triton is not installed"


def fuse_blocks(network: nn.Module) -> None:
    """Have the network's blocks run fused from now on; those of other kinds than SDXL's run as they are."""
    # Modules are found as this goes: a list of all would keep what is let go on the way.
    for module in network.modules():
        if fused := _fused(module):
            cast(Any, module).forward = fused


def _fused(module: nn.Module) -> "_Residual | _Transformer | _Norm | None":
    """The module's forward pass, fused; None where there is none."""
    if isinstance(module, ResnetBlock2D) and _plain_residual(module):
        return _Residual(module)
    if isinstance(module, Transformer2DModel) and module.use_linear_projection:
        return _Transformer(module)
    if isinstance(module, nn.GroupNorm) and module.affine:
        return _Norm(module)
    return None


def _plain_residual(block: Any) -> bool:
    """Neither resizes nor scales."""
    return (
        block.upsample is None
        and block.downsample is None
        and block.time_embedding_norm == "default"
        and isinstance(block.nonlinearity, nn.SiLU)
        and block.output_scale_factor == 1
    )


class _Norm:
    """A group norm's forward pass."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        self._norm = norm

    def __call__(self, image: Tensor) -> Tensor:
        from writing_service.diffusion.device.group_norm import group_norm

        norm = self._norm
        # A VAE's attention normalises what it has flattened.
        if image.ndim != 4:
            return F.group_norm(image, norm.num_groups, norm.weight, norm.bias, norm.eps)
        return group_norm(image, norm)


class _Residual:
    """A residual block's forward pass."""

    def __init__(self, block: Any) -> None:
        self._block = block

    def __call__(self, image: Tensor, temb: Tensor | None, *_: Any, **__: Any) -> Tensor:
        from writing_service.diffusion.device.group_norm import add, group_norm

        block = self._block
        hidden = group_norm(image, block.norm1, silu=True)
        hidden = _without_bias(block.conv1, hidden)
        hidden = group_norm(hidden, block.norm2, shift=_shift(block, temb), silu=True)
        hidden = _without_bias(block.conv2, hidden)
        bias = block.conv2.bias
        if block.conv_shortcut is not None:
            image = _without_bias(block.conv_shortcut, image)
            bias = bias if block.conv_shortcut.bias is None else bias + block.conv_shortcut.bias
        return add(image, hidden, bias)


class _Transformer:
    """The forward pass of a transformer over an image's pixels, whose blocks' products are joined."""

    def __init__(self, transformer: Any) -> None:
        join_projections(transformer)
        self._transformer = transformer

    def __call__(
        self,
        image: Tensor,
        encoder_hidden_states: Any = None,
        *,
        attention_mask: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        return_dict: bool = True,
        **given: Any,
    ) -> Any:
        from writing_service.diffusion.device.group_norm import add, group_norm

        given["attention_mask"] = _bias(attention_mask, image.dtype)
        given["encoder_attention_mask"] = _bias(encoder_attention_mask, image.dtype)
        given.pop("added_cond_kwargs", None)
        transformer = self._transformer
        # Channels last, an image is the list of its pixels.
        pixels = group_norm(image, transformer.norm).permute(0, 2, 3, 1)
        hidden = transformer.proj_in(pixels.flatten(1, 2))
        texts = texts_for(transformer, encoder_hidden_states)
        for block, text in zip(transformer.transformer_blocks, texts, strict=True):
            hidden = block(hidden, encoder_hidden_states=text, **given)
        hidden = F.linear(hidden, transformer.proj_out.weight)
        hidden = hidden.unflatten(1, pixels.shape[1:3]).permute(0, 3, 1, 2)
        answer = add(image, hidden, transformer.proj_out.bias)
        return Transformer2DModelOutput(sample=answer) if return_dict else (answer,)


def _bias(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What attention adds to its scores, as diffusers makes it of a mask; networks may have made it already."""
    if mask is None or mask.ndim != 2:
        return mask
    return (1 - mask.to(dtype)).unsqueeze(1) * -10000.0


def _without_bias(conv: nn.Conv2d, image: Tensor) -> Tensor:
    return F.conv2d(image, conv.weight, None, conv.stride, conv.padding)


def _shift(block: Any, temb: Tensor | None) -> Tensor:
    """(n or 1, channels): what the block adds before its second norm."""
    bias = block.conv1.bias[None]
    if block.time_emb_proj is None or temb is None:
        return bias
    return block.time_emb_proj(temb if block.skip_time_act else F.silu(temb)) + bias
