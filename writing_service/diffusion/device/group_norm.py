"""Group norms of channels-last images by Triton kernels: torch's own first copies them to channels first, and back.

Three short kernels: the moments of each channel over each chunk of pixels; of them, each group's mean and deviation,
and so a factor and a summand for each channel; the image times the one plus the other, through SiLU if asked. A vector
that is to be added to each pixel first, such as a convolution's bias or a timestep's embedding, only shifts the means,
so that it costs nothing. Sums are float32; moments are joined as Chan, Golub and LeVeque do (1983), for differences of
large sums lose their digits.

Triton comes with torch's CUDA builds; nothing else may import this module.
"""

# Triton's language has no types, and its kernels are no Python functions.
# pyright: reportMissingImports=false, reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportUntypedFunctionDecorator=false, reportIndexIssue=false, reportPrivateUsage=false

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

PIXELS = 64
CHANNELS = 64
"""Of the tile that one program holds: 64 channels of 16 bits are whole cache lines in a row."""

CHUNKS = 64
"""Whose moments one program joins at a time."""


def group_norm(
    image: Tensor, norm: nn.GroupNorm, shift: Tensor | None = None, silu: bool = False
) -> Tensor:
    """`norm(image + shift)`, then SiLU if asked. (n, channels, height, width) on CUDA, channels last.

    `shift` is (n or 1, channels).
    """
    image = image.contiguous(memory_format=torch.channels_last)
    rows, channels, height, width = image.shape
    pixels = height * width
    chunks = triton.cdiv(pixels, PIXELS)
    moments = torch.empty((2, rows, chunks, channels), dtype=torch.float32, device=image.device)
    affine = torch.empty((2, rows, channels), dtype=torch.float32, device=image.device)
    answer = torch.empty_like(image)
    tiles = (chunks, triton.cdiv(channels, CHANNELS), rows)
    _moments[tiles](image, moments[0], moments[1], pixels, channels, PIXELS, CHANNELS)
    each = channels // norm.num_groups
    _affine[norm.num_groups, rows](
        moments[0],
        moments[1],
        image if shift is None else shift,
        norm.weight,
        norm.bias,
        affine[0],
        affine[1],
        pixels,
        channels,
        chunks,
        each,
        norm.eps,
        0 if shift is None or shift.shape[0] == 1 else channels,
        shift is not None,
        PIXELS,
        CHUNKS,
        triton.next_power_of_2(each),
    )
    _apply[tiles](image, affine[0], affine[1], answer, pixels, channels, silu, PIXELS, CHANNELS)
    return answer


def add(image: Tensor, other: Tensor, bias: Tensor) -> Tensor:
    """`image + other + bias`; may write over `other`. Both are as in `group_norm`, `bias` is (channels,)."""
    image, other = (one.contiguous(memory_format=torch.channels_last) for one in (image, other))
    rows, channels, height, width = other.shape
    pixels = height * width
    tiles = (triton.cdiv(pixels, PIXELS), triton.cdiv(channels, CHANNELS), rows)
    _add[tiles](image, other, bias, pixels, channels, PIXELS, CHANNELS)
    return other


@triton.jit
def _tile(pixels, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Where this program's tile lies in an image, which of it is inside, and its channels."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    row = tl.program_id(2).to(tl.int64)
    where = (row * pixels + pixel[:, None]) * channels + channel[None, :]
    return where, (pixel[:, None] < pixels) & (channel[None, :] < channels), channel


@triton.jit
def _moments(image, means, squares, pixels, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Of each channel over this chunk of pixels: its mean, and the sum of its squared deviations from it."""
    where, inside, channel = _tile(pixels, channels, PIXELS, CHANNELS)
    values = tl.load(image + where, inside, 0.0).to(tl.float32)
    mean = tl.sum(values, 0) / tl.minimum(PIXELS, pixels - tl.program_id(0) * PIXELS)
    deviations = tl.where(inside, values - mean[None, :], 0.0)
    chunk = tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)
    tl.store(means + chunk * channels + channel, mean, channel < channels)
    square = tl.sum(deviations * deviations, 0)
    tl.store(squares + chunk * channels + channel, square, channel < channels)


@triton.jit
def _affine(
    means,
    squares,
    shift,
    weight,
    bias,
    factors,
    summands,
    pixels,
    channels,
    chunks,
    each,
    eps,
    shift_stride,
    SHIFTED: tl.constexpr,
    PIXELS: tl.constexpr,
    CHUNKS: tl.constexpr,
    EACH: tl.constexpr,
):
    """Of each channel of this group: by what its values are multiplied, and what is added then."""
    row = tl.program_id(1)
    member = tl.arange(0, EACH)
    channel = tl.program_id(0) * each + member
    inside = member < each
    shifted = tl.zeros((EACH,), tl.float32)
    if SHIFTED:
        shifted = tl.load(shift + row * shift_stride + channel, inside, 0.0).to(tl.float32)
    total = tl.zeros((EACH,), tl.float32)
    for start in range(0, chunks, CHUNKS):
        chunk = start + tl.arange(0, CHUNKS)
        held = (chunk[:, None] < chunks) & inside[None, :]
        count = tl.minimum(PIXELS, pixels - chunk * PIXELS).to(tl.float32)
        where = (row * chunks + chunk[:, None]) * channels + channel[None, :]
        mean = tl.load(means + where, held, 0.0) + shifted[None, :]
        total += tl.sum(tl.where(held, mean * count[:, None], 0.0), 0)
    size = (pixels * each).to(tl.float32)
    middle = tl.sum(total, 0) / size
    total = tl.zeros((EACH,), tl.float32)
    for start in range(0, chunks, CHUNKS):
        chunk = start + tl.arange(0, CHUNKS)
        held = (chunk[:, None] < chunks) & inside[None, :]
        count = tl.minimum(PIXELS, pixels - chunk * PIXELS).to(tl.float32)
        where = (row * chunks + chunk[:, None]) * channels + channel[None, :]
        apart = tl.load(means + where, held, 0.0) + shifted[None, :] - middle
        square = tl.load(squares + where, held, 0.0) + apart * apart * count[:, None]
        total += tl.sum(tl.where(held, square, 0.0), 0)
    factor = tl.rsqrt(tl.sum(total, 0) / size + eps)
    factor = factor * tl.load(weight + channel, inside, 0.0).to(tl.float32)
    summand = tl.load(bias + channel, inside, 0.0).to(tl.float32) + (shifted - middle) * factor
    tl.store(factors + row * channels + channel, factor, inside)
    tl.store(summands + row * channels + channel, summand, inside)


@triton.jit
def _apply(
    image,
    factors,
    summands,
    answer,
    pixels,
    channels,
    SILU: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    where, inside, channel = _tile(pixels, channels, PIXELS, CHANNELS)
    known = tl.program_id(2) * channels + channel
    factor = tl.load(factors + known, channel < channels, 0.0)
    summand = tl.load(summands + known, channel < channels, 0.0)
    values = tl.load(image + where, inside, 0.0).to(tl.float32) * factor[None, :] + summand[None, :]
    if SILU:
        values = values * tl.sigmoid(values)
    tl.store(answer + where, values, inside)


@triton.jit
def _add(image, other, bias, pixels, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    where, inside, channel = _tile(pixels, channels, PIXELS, CHANNELS)
    values = tl.load(image + where, inside, 0.0).to(tl.float32)
    values += tl.load(other + where, inside, 0.0).to(tl.float32)
    values += tl.load(bias + channel, channel < channels, 0.0).to(tl.float32)[None, :]
    tl.store(other + where, values, inside)
