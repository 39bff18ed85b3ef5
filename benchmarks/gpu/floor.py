"""The floor: how many operations a picture takes, and how many this card does in a second."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu import networks
from benchmarks.gpu.bench import Bench, NotHere
from benchmarks.gpu.networks import SDXL, TINY, UNION_KINDS, Shape
from writing_service.diffusion.denoising.steering import StepInput
from writing_service.diffusion.denoising.unet import SteppedUNet

TERA = 1e12
SUSTAINED_SECONDS = 2.0
"""A card that is asked for more than its power allows slows down after a moment."""


def floor(bench: Bench) -> None:
    """Rates, then counts."""
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        for what, (work, operations) in _workloads(bench, dtype).items():
            bench.row(f"{what}, {name}", tflops=_rate(bench, work, operations) / TERA)
    if bench.options.models == "embedded":
        raise NotHere("operations are counted for models=sdxl and models=tiny")
    shape = SDXL if bench.options.models == "sdxl" else TINY
    for side in (bench.options.side, bench.options.side // 2):
        bench.row(f"operations, {side}²", side=side, **count(shape, side))


def _workloads(bench: Bench, dtype: torch.dtype) -> Mapping[str, tuple[Callable[[], Any], float]]:
    """What the networks mostly do, at sizes of theirs at 1024² under guidance, and operations of each."""
    n = bench.options.product
    new = partial(torch.randn, device=bench.device, dtype=dtype)
    a, b = new(n, n), new(n, n)
    tokens = n // 2
    heads = new(2, 10, tokens, 64)
    side, channels = max(4, n // 64), 320
    maps = new(2, channels, side, side).to(memory_format=torch.channels_last)
    kernel = new(channels, channels, 3, 3).to(memory_format=torch.channels_last)
    return {
        f"product {n}³": (partial(torch.matmul, a, b), 2 * n**3),
        f"attention over {tokens} tokens": (
            partial(F.scaled_dot_product_attention, heads, heads, heads),
            4 * 2 * 10 * tokens**2 * 64,
        ),
        f"convolution 3×3 of {channels}, {side}²": (
            partial(F.conv2d, maps, kernel, padding=1),
            2 * 2 * side**2 * channels**2 * 9,
        ),
    }


@torch.no_grad()
def _rate(bench: Bench, work: Callable[[], Any], operations: float) -> float:
    """A second, sustained."""
    once = min(bench.seconds(work) for _ in range(3))
    times = max(1, int(SUSTAINED_SECONDS / once)) if bench.on_gpu else 1

    def many() -> None:
        for _ in range(times):
            work()

    return times * operations / bench.seconds(many)


@torch.no_grad()
def count(shape: Shape, side: int) -> dict[str, float]:
    """TFLOP of one row's pass of each network at `side` pixels, by torch's FlopCounterMode on the meta device.

    A multiplication and an addition are two. `shallow` is the UNet's pass that reuses deep features,
    `embedding` is of one control image, `decoding` of one picture. Norms and activations are not
    counted.
    """
    with torch.device("meta"):
        unet, one = networks.unet(shape), networks.controlnet(shape)
        all_kinds, vae = networks.union(shape), networks.vae(shape)
        stepped, step = SteppedUNet(unet), _step(shape, side)
        _, deep = stepped.whole_and_deep(step, None)
        image = torch.empty(1, 3, side, side)
        embedders = [network.controlnet_cond_embedding for network in (one, all_kinds)]
        features = [embedder(image) for embedder in embedders]
        for network in (one, all_kinds):
            network.controlnet_cond_embedding = nn.Identity()
        kinds = list(UNION_KINDS)
        modes = {
            "controlnet_cond": [features[1]] * len(kinds),
            "control_type": torch.zeros(1, all_kinds.config.num_control_type),
            "control_type_idx": kinds,
            "conditioning_scale": [1.0] * len(kinds),
        }
        return {
            "unet": _counted(partial(_pass, unet, step)),
            "shallow": _counted(partial(stepped.shallow, step, deep)),
            "controlnet": _counted(partial(_pass, one, step, controlnet_cond=features[0])),
            "union": _counted(partial(_pass, all_kinds, step, **modes)),
            "embedding": _counted(partial(embedders[0], image)),
            "decoding": _counted(partial(_decode, vae, side)),
        }


@torch.no_grad()
def _counted(work: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / TERA


def _step(shape: Shape, side: int) -> StepInput:
    pooled = shape.texts[1]["projection_dim"]
    return StepInput(
        torch.empty(1, 4, side // 8, side // 8),
        torch.empty(1),
        torch.empty(1, 77, shape.denoiser["cross_attention_dim"]),
        {"text_embeds": torch.empty(1, pooled), "time_ids": torch.empty(1, 6)},
    )


def _pass(network: Any, step: StepInput, **control: Any) -> Any:
    return network(
        step.sample,
        step.timestep,
        encoder_hidden_states=step.states,
        added_cond_kwargs=dict(step.added),
        return_dict=False,
        **control,
    )


def _decode(vae: AutoencoderKL, side: int) -> Any:
    return vae.decode(torch.empty(1, 4, side // 8, side // 8))
