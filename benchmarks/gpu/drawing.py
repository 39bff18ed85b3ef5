"""Whole pictures by our engine: sizes, batches, the union network, savers of steps."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.gpu.assembly import assembled, make_job
from benchmarks.gpu.bench import Bench
from writing_service.config import PresetSettings, load_settings
from writing_service.types import ALWAYS, ConditioningKind, GenerationJob, Window

SHORT = (1, 3)
"""Steps of the pictures that warm up, and that tell what all pictures cost beside their steps."""

Draw = Callable[[GenerationJob], Any]
Changes = Mapping[str, Any]

NO_GUIDANCE = {"guidance_scale": 1.0}
SAVERS: Mapping[str, Changes] = {
    "exact": {},
    "ControlNets in 50 % of the steps": {
        "control_windows": dict.fromkeys(ConditioningKind, Window(0.0, 0.5))
    },
    "two of four ControlNets": {
        "conditioning_scales": dict.fromkeys(list(ConditioningKind)[:2], 1.0)
    },
    "guidance in 60 % of the steps": {"guidance_window": Window(0.0, 0.6)},
    "every 2nd step whole": {"cache_interval": 2},
    "every 3rd step whole": {"cache_interval": 3},
    "8 steps, guided": {"num_inference_steps": 8},
    "8 steps": {"num_inference_steps": 8, **NO_GUIDANCE},
    "4 steps": {"num_inference_steps": 4, **NO_GUIDANCE},
}
"""Each alone, as changes of a job. Few steps are what SDXL-Lightning and LCM need, whose LoRA is fused before."""


def engine(bench: Bench) -> None:
    """Both sizes, all batches."""
    options = bench.options
    sides = (options.side, options.side // 2)
    with assembled(bench, sides=sides, most=max(options.batches)) as ours:
        for side in sides:
            for pictures in options.batches:
                job = make_job(side, options.steps, pictures)
                measure(bench, f"ours {side}² × {pictures}", ours.draw, job, dtype=ours.dtype)


def union(bench: Bench) -> None:
    """One network for all kinds, ours and diffusers'."""
    options = bench.options
    sides = (options.side, options.side // 2)
    with assembled(bench, union=True, sides=sides) as ours:
        for side in sides:
            job = make_job(side, options.steps)
            name = f"ours, union {side}² × 1"
            measure(bench, name, ours.draw, job, union=True, dtype=ours.dtype)


def savers(bench: Bench) -> None:
    """Each saver, then the presets; under four ControlNets and under the union network."""
    options = bench.options
    chosen = {name: one for name, one in all_savers().items() if options.only in name}
    for together in (False, True):
        with assembled(bench, union=together) as ours:
            for name, changes in chosen.items():
                told = f"{name}{', union' if together else ''} {options.side}² × 1"
                job = replace(make_job(options.side, options.steps), **changes)
                measure(bench, told, ours.draw, job, union=together, dtype=ours.dtype)


def all_savers() -> dict[str, Changes]:
    """Single ones, and the presets of pipeline=sdxl."""
    presets = load_settings(["pipeline=sdxl"]).ai_generation.presets
    return {**SAVERS, **{f"preset {name}": _changes(one) for name, one in presets.items()}}


def _changes(preset: PresetSettings) -> Changes:
    """What a preset makes of a job."""
    windows = {kind: Window(*one) for kind, one in preset.conditioning_windows.items()}
    given = {
        "num_inference_steps": preset.num_inference_steps,
        "guidance_scale": preset.guidance_scale,
    }
    return {
        **{name: one for name, one in given.items() if one is not None},
        "guidance_window": Window(0.0, preset.guidance_until),
        "control_windows": windows,
        "cache_interval": preset.cache_interval,
    }


def measure(
    bench: Bench, name: str, draw: Draw, job: GenerationJob, union: bool = False, **told: Any
) -> None:
    """A row of whole pictures: median and slowest, what of it is not steps, the mean step, memory."""
    steps = job.num_inference_steps
    exact = replace(job, control_windows={}, guidance_window=ALWAYS, cache_interval=1)
    short = [partial(draw, replace(exact, num_inference_steps=few)) for few in SHORT]
    first = bench.seconds(short[0])
    quick, longer = (
        statistics.median(bench.repeated(one, min(3, bench.options.repeats))) for one in short
    )
    step = (longer - quick) / (SHORT[1] - SHORT[0])
    beside = quick - SHORT[0] * step
    if bench.left < 2.5 * (beside + steps * step):
        bench.skip(name, f"a picture does not fit into {bench.left:.0f} s")
        return
    # Savers have passes of their own to record.
    bench.seconds(partial(draw, job))
    bench.forget_peak()
    whole = bench.repeated(partial(draw, job))
    seconds = statistics.median(whole)
    bench.row(
        name,
        seconds=seconds,
        slowest=max(whole),
        repeats=len(whole),
        step_ms=1000 * (seconds - beside) / steps,
        beside_steps_ms=1000 * beside,
        first_seconds=first,
        peak_gib=bench.peak_gib,
        **told,
        side=job.size.width,
        pictures=len(job.seeds),
        steps=steps,
        **passes(job, union),
    )


def passes(job: GenerationJob, union: bool) -> dict[str, Any]:
    """How many rows each network takes over all steps, for the floor."""
    steps, pictures = job.num_inference_steps, len(job.seeds)
    rows = {"unet_rows": 0, "shallow_rows": 0, "control_rows": 0}
    for step in range(steps):
        guided = job.guidance_scale > 1 and job.guidance_window.covers(step, steps)
        taking = pictures * (1 + guided)
        if step % job.cache_interval:
            rows["shallow_rows"] += taking
            continue
        networks = len(_wanted(job, step))
        rows["unet_rows"] += taking
        rows["control_rows"] += taking * (min(1, networks) if union else networks)
    return {**rows, "united": union}


def _wanted(job: GenerationJob, step: int) -> list[ConditioningKind]:
    """Kinds that take part."""
    return [
        kind
        for kind, scale in job.conditioning_scales.items()
        if scale and job.control_windows.get(kind, ALWAYS).covers(step, job.num_inference_steps)
    ]
