"""Memory: the peak of each profile against the arithmetic, and what happens where there is too little of it."""

import gc
import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.gpu.assembly import Engine, assembled, make_job
from benchmarks.gpu.bench import Bench
from writing_service.diffusion.device.devices import DeviceInfo
from writing_service.diffusion.device.footprint import footprint_of
from writing_service.diffusion.device.profiles import BY_MEMORY, OptimizationProfile, fitted
from writing_service.diffusion.device.sensors import GIB
from writing_service.errors import GenerationFailed

STEPS = 2
LEAST_CARD_GIB = 8
"""What the profile for the smallest cards is tried with."""

KEPT_BY_DRIVER_GIB = 1.0
"""Of a card's nominal memory, beside what the allocator hands out."""

LADDER = (1.1, 0.6, 0.3, 0.15, 0.05, -0.5)
"""Limits, as shares of what a batch takes beside the weights; a negative one has no room for all weights."""


def profiles(bench: Bench) -> None:
    """Each with no more memory than the smallest card that it is chosen for."""
    bench.require_gpu("this part")
    for least_gb, _ in BY_MEMORY:
        before = bench.held_gib or 0.0
        card_gib = float(least_gb or LEAST_CARD_GIB)
        card = DeviceInfo("cuda", f"{card_gib:.0f} GB", total_memory_gb=card_gib)
        profile = fitted(card, footprint_of(None))
        _profile(bench, card_gib, profile)
        _collect()
        after = (bench.held_gib or 0.0) - before
        bench.row(f"{profile.name}: held after it is gone", gib=after)


def ladder(bench: Bench) -> None:
    """The largest batch under ever less memory, then without a limit again."""
    bench.require_gpu("this part")
    before = bench.held_gib or 0.0
    _ladder(bench)
    _collect()
    bench.row("held after it is gone", gib=(bench.held_gib or 0.0) - before)


def _profile(bench: Bench, card_gib: float, profile: OptimizationProfile) -> None:
    """Compilation is left out: it takes time, not memory."""
    settings = {**asdict(profile), "use_torch_compile": False}
    del settings["name"]
    with assembled(bench, **settings) as ours:
        total = _total_gib(bench)
        limit = min(total, card_gib) - KEPT_BY_DRIVER_GIB
        for pictures in dict.fromkeys((1, profile.max_batch_size)):
            weights = weights_gib(ours, profile)
            with limited(bench, limit):
                told = _draw(bench, ours, pictures)
            peak = bench.peak_gib or 0.0
            bench.row(
                f"{profile.name} × {pictures}",
                limit_gib=limit,
                weights_gib=weights,
                peak_gib=peak,
                working_gib=peak - weights,
                **told,
            )


def _ladder(bench: Bench) -> None:
    pictures = max(bench.options.batches)
    with assembled(bench, use_torch_compile=False) as ours:
        _draw(bench, ours, 1)
        held = bench.held_gib or 0.0
        told = _draw(bench, ours, pictures)
        working = (bench.peak_gib or 0.0) - held
        bench.row(f"{pictures} pictures, no limit", held_gib=held, working_gib=working, **told)
        for share in LADDER:
            limit = held + share * working if share > 0 else held * -share
            with limited(bench, limit):
                told = _draw(bench, ours, pictures)
            name = f"{pictures} pictures, {share:.0%} of it" if share > 0 else "half of the weights"
            bench.row(name, limit_gib=limit, peak_gib=bench.peak_gib, **told)
        bench.row("no limit again", **_draw(bench, ours, pictures))


def _draw(bench: Bench, ours: Engine, pictures: int) -> dict[str, Any]:
    """How it went: seconds, failed tries, and the sentence where there was no picture."""
    _collect()
    bench.forget_peak()
    failure = ""

    def draw() -> None:
        nonlocal failure
        try:
            ours.draw(make_job(bench.options.side, STEPS, pictures))
        except GenerationFailed as error:
            failure = str(error)

    with _shortages() as told:
        seconds = bench.seconds(draw)
    return {"seconds": seconds, "failed_tries": len(told), "failure": failure}


def weights_gib(ours: Engine, profile: OptimizationProfile) -> float:
    """What of the weights is on the device at once while it draws, counted from the networks.

    Layer by layer it is little. Where models wait in main memory, the UNet and its ControlNets are there together until
    the picture is done.
    """
    denoisers = [ours.base.unet, *ours.networks]
    others = [ours.base.vae, ours.base.text_encoder, ours.base.text_encoder_2]
    if profile.enable_sequential_cpu_offload:
        return 0.0
    if profile.enable_cpu_offload:
        return sum(map(_gib, denoisers))
    return sum(map(_gib, [*denoisers, *others]))


def _gib(network: torch.nn.Module) -> float:
    return sum(one.numel() * one.element_size() for one in network.parameters()) / GIB


@contextmanager
def limited(bench: Bench, gib: float) -> Generator[None]:
    """torch's allocator may hold no more than this."""
    _collect()
    torch.cuda.set_per_process_memory_fraction(min(1.0, gib / _total_gib(bench)), bench.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)


def _total_gib(bench: Bench) -> float:
    return torch.cuda.get_device_properties(bench.device).total_memory / GIB


@contextmanager
def _shortages() -> Generator[list[str]]:
    """What the engine's log tells of memory that ran out."""
    told = list[str]()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    logger, listener = logging.getLogger("writing_service.diffusion.denoising.thrift"), Listener()
    logger.addHandler(listener)
    logger.propagate = False
    try:
        yield told
    finally:
        logger.propagate = True
        logger.removeHandler(listener)


def _collect() -> None:
    gc.collect()
    torch.cuda.empty_cache()
