"""Ways to run the same step: what each costs. Predict before, keep what pays, write down what did not."""

import statistics
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu.assembly import Tweak, assembled, make_job
from benchmarks.gpu.bench import Bench, free_memory
from writing_service.diffusion.device import fusing

FEW, MORE = 2, 10
"""Steps of the two pictures whose difference tells what a step costs."""

SECONDS = 60
"""About what one variant takes, compilation included; the least time it is begun with."""

BLOCK = "BasicTransformerBlock"
NOT_COMPILED = {"use_torch_compile": False}


@dataclass(frozen=True)
class Variant:
    """Settings of the GPU, changes of the networks, a state of torch."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    tweak: Tweak | None = None
    within: Callable[[], Any] | None = None


def compiled(names: tuple[str, ...], mode: str = "default", dynamic: bool | None = None) -> Tweak:
    """All modules of these classes, each for itself."""

    def tweak(base: Any, networks: Mapping[Any, Any]) -> None:
        for module in _modules(base, networks):
            if type(module).__name__ in names:
                module.compile(mode=mode, dynamic=dynamic)

    return tweak


def in_float8(base: Any, networks: Mapping[Any, Any]) -> None:
    """Linear layers of the transformer blocks multiply in 8 bits."""
    for block in _modules(base, networks):
        if type(block).__name__ == BLOCK:
            for parent in list(block.modules()):
                for name, child in list(parent.named_children()):
                    if isinstance(child, nn.Linear):
                        setattr(parent, name, Float8Linear(child))


class Float8Linear(nn.Module):
    """A linear layer in float8 (e4m3): a scale for each row of the input and for each channel of the output."""

    LARGEST = 448.0

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        scale = linear.weight.detach().abs().amax(1, keepdim=True).float() / self.LARGEST
        self.weight = nn.Buffer((linear.weight.detach() / scale).to(torch.float8_e4m3fn))
        self.scale = nn.Buffer(scale.t().contiguous())
        self.bias = linear.bias

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(..., in) → (..., out)."""
        rows = inputs.flatten(0, -2)
        scale = rows.abs().amax(1, keepdim=True).float().clamp(min=1e-9) / self.LARGEST
        quantized = (rows / scale).to(torch.float8_e4m3fn)
        product = torch._scaled_mm(
            quantized, self.weight.t(), scale, self.scale, out_dtype=inputs.dtype
        )
        answer = product.unflatten(0, inputs.shape[:-1])
        return answer if self.bias is None else answer + self.bias


def _modules(base: Any, networks: Mapping[Any, Any]) -> list[nn.Module]:
    """Of the UNet and of each ControlNet, outer before inner."""
    distinct = dict.fromkeys((base.unet, *networks.values()))
    return [module for network in distinct for module in network.modules()]


def preferred(backend: SDPBackend) -> Any:
    """A kernel of attention where it can, which is not under the text encoders' mask."""
    others = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    return sdpa_kernel([backend, *others], set_priority=True)


VARIANTS: Mapping[str, Variant] = {
    "as the profile": Variant(),
    "not recorded": Variant({"use_cuda_graphs": False}),
    "blocks not fused": Variant({"fuse_blocks": False}),
    "not compiled": Variant(NOT_COMPILED),
    "not compiled, not recorded": Variant({**NOT_COMPILED, "use_cuda_graphs": False}),
    "not compiled, not channels last": Variant({**NOT_COMPILED, "channels_last": False}),
    "float16": Variant({"dtype": "float16"}),
    "cuDNN searches": Variant(
        within=partial(torch.backends.cudnn.flags, enabled=True, benchmark=True)
    ),
    "cuDNN's attention": Variant(within=partial(preferred, SDPBackend.CUDNN_ATTENTION)),
    "flash attention": Variant(within=partial(preferred, SDPBackend.FLASH_ATTENTION)),
    "as the profile, projections not joined": Variant(
        within=partial(patch.object, fusing, "join_projections")
    ),
    "blocks and residual blocks compiled": Variant(
        {"fuse_blocks": False}, compiled(("ResnetBlock2D",))
    ),
    "blocks and whole transformers compiled": Variant(
        {"fuse_blocks": False}, compiled(("Transformer2DModel",))
    ),
    "blocks compiled by max-autotune": Variant(
        NOT_COMPILED, compiled((BLOCK,), "max-autotune-no-cudagraphs")
    ),
    "networks compiled whole": Variant(
        NOT_COMPILED, compiled(("UNet2DConditionModel", "ControlNetModel"))
    ),
    "float8 products": Variant(tweak=in_float8),
}


def variants(bench: Bench) -> None:
    """Milliseconds of one step of one picture."""
    needed = SECONDS if bench.options.models == "sdxl" else 0
    for name, variant in VARIANTS.items():
        if bench.options.only not in name:
            continue
        if bench.left < needed:
            bench.skip(name, f"it needs about {needed} s and {bench.left:.0f} s are left")
            continue
        try:
            _measure(bench, name, variant)
        except Exception as error:
            # One that this card or this torch cannot do says nothing of the next.
            bench.fail(name, error)
        free_memory()


def _measure(bench: Bench, name: str, variant: Variant) -> None:
    job = make_job(bench.options.side, FEW)
    with (
        # First, for what is compiled keeps to the state that it was compiled in.
        (variant.within or nullcontext)(),
        assembled(bench, tweak=variant.tweak, **variant.settings) as ours,
    ):
        first = bench.seconds(partial(ours.draw, job))
        few, more = (
            statistics.median(
                bench.repeated(partial(ours.draw, replace(job, num_inference_steps=steps)), 3)
            )
            for steps in (FEW, MORE)
        )
        bench.row(
            name,
            step_ms=1000 * (more - few) / (MORE - FEW),
            first_seconds=first,
            peak_gib=bench.peak_gib,
            dtype=ours.dtype,
        )
