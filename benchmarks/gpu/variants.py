"""Ways to run the same step: what each costs. Predict before, keep what pays, write down what did not."""

import statistics
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from diffusers.models.attention_processor import Attention, FusedAttnProcessor2_0
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu.assembly import assembled, make_job
from benchmarks.gpu.bench import Bench, free_memory

FEW, MORE = 2, 10
"""Steps of the two pictures whose difference tells what a step costs."""

SECONDS = 60
"""About what one variant takes, compilation included; the least time it is begun with."""


@dataclass(frozen=True)
class Variant:
    """Settings of the GPU, changes of the networks, a state of torch."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    tweak: Callable[[Any, Mapping[Any, Any]], None] | None = None
    within: Callable[[], Any] | None = None


def fused(base: Any, networks: Mapping[Any, Any]) -> None:
    """Query, key and value by one product, in the UNet and every ControlNet."""
    for network in dict.fromkeys((base.unet, *networks.values())):
        for module in network.modules():
            if isinstance(module, Attention):
                module.fuse_projections(fuse=True)
                module.set_processor(FusedAttnProcessor2_0())


def compiled_residuals(base: Any, networks: Mapping[Any, Any]) -> None:
    """The convolutional blocks too."""
    for network in dict.fromkeys((base.unet, *networks.values())):
        for module in network.modules():
            if type(module).__name__ == "ResnetBlock2D":
                module.compile()


def compiled_whole(base: Any, networks: Mapping[Any, Any]) -> None:
    """Whole networks instead of blocks."""
    for network in dict.fromkeys((base.unet, *networks.values())):
        network.compile()


@contextmanager
def searched_convolutions() -> Generator[None]:
    """cuDNN tries its kernels for each shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


VARIANTS: Mapping[str, Variant] = {
    "as the profile": Variant(),
    "not compiled": Variant({"use_torch_compile": False}),
    "not compiled, not channels last": Variant(
        {"use_torch_compile": False, "channels_last": False}
    ),
    "float16": Variant({"dtype": "float16"}),
    "cuDNN searches": Variant(within=searched_convolutions),
    "cuDNN's attention": Variant(within=partial(sdpa_kernel, SDPBackend.CUDNN_ATTENTION)),
    "flash attention": Variant(within=partial(sdpa_kernel, SDPBackend.FLASH_ATTENTION)),
    "fused projections": Variant(tweak=fused),
    "residual blocks compiled too": Variant(tweak=compiled_residuals),
    "networks compiled whole": Variant({"use_torch_compile": False}, tweak=compiled_whole),
}


def variants(bench: Bench) -> None:
    """Milliseconds of one step of one picture."""
    needed = SECONDS if bench.options.models == "sdxl" else 0
    for name, variant in VARIANTS.items():
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
        assembled(bench, tweak=variant.tweak, **variant.settings) as ours,
        (variant.within or searched_nothing)(),
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


@contextmanager
def searched_nothing() -> Generator[None]:
    """torch as it is."""
    yield
