"""Whole pictures by our engine: sizes, batches, the union network, savers of steps."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any

from benchmarks.gpu.assembly import assembled, make_job
from benchmarks.gpu.bench import Bench
from writing_service.types import ConditioningKind, GenerationJob, Window

SHORT = 2
"""Steps of the pictures that warm up and that tell what all pictures cost beside their steps."""

Draw = Callable[[GenerationJob], Any]

SAVERS: Mapping[str, Mapping[str, Any]] = {
    "exact": {},
    "ControlNets in half of the steps": {
        "control_windows": {kind: Window(0.0, 0.5) for kind in ConditioningKind}
    },
    "two of four ControlNets": {
        "conditioning_scales": dict.fromkeys(list(ConditioningKind)[:2], 1.0)
    },
    "8 steps, guided": {"num_inference_steps": 8},
    "8 steps, guidance 1": {"num_inference_steps": 8, "guidance_scale": 1.0},
    "8 steps, guidance 0": {"num_inference_steps": 8, "guidance_scale": 0.0},
    "4 steps, guidance 0": {"num_inference_steps": 4, "guidance_scale": 0.0},
}
"""Changes of a job. One whose fields GenerationJob does not have is told as not there."""


def engine(bench: Bench) -> None:
    """Both sizes, all batches."""
    options = bench.options
    with assembled(bench) as ours:
        for side in (options.side, options.side // 2):
            for pictures in options.batches:
                job = make_job(side, options.steps, pictures)
                measure(bench, f"ours {side}² × {pictures}", ours.draw, job, dtype=ours.dtype)


def union(bench: Bench) -> None:
    """One network for all kinds, ours and diffusers'."""
    options = bench.options
    with assembled(bench, union=True) as ours:
        for side in (options.side, options.side // 2):
            job = make_job(side, options.steps)
            name = f"ours, union {side}² × 1"
            measure(bench, name, ours.draw, job, union=True, dtype=ours.dtype)


def savers(bench: Bench) -> None:
    """Each saver alone, under four ControlNets and under the union network."""
    known = {field.name for field in fields(GenerationJob)}
    side, steps = bench.options.side, bench.options.steps
    for together in (False, True):
        with assembled(bench, union=together) as ours:
            for name, changes in SAVERS.items():
                if bench.options.only not in name:
                    continue
                if missing := sorted(set(changes) - known):
                    bench.skip(name, f"this version's jobs have no {', '.join(missing)}")
                    continue
                told = f"{name}{', union' if together else ''} {side}² × 1"
                job = replace(make_job(side, steps), **changes)
                measure(bench, told, ours.draw, job, union=together, dtype=ours.dtype)


def measure(
    bench: Bench, name: str, draw: Draw, job: GenerationJob, union: bool = False, **told: Any
) -> None:
    """A row of whole pictures: median, slowest, the milliseconds of a step, memory.

    Where time is too short for whole pictures, it tells the step alone.
    """
    steps = job.num_inference_steps
    few = min(SHORT, steps - 1)
    short = partial(draw, replace(job, num_inference_steps=few))
    first = bench.seconds(short)
    base = statistics.median(bench.repeated(short, 3))
    figures = {**told, "first_seconds": first, **_shape(job, union)}
    if bench.left < 1.5 * base * steps / few:
        bench.skip(name, f"a whole picture does not fit into {bench.left:.0f} s")
        return
    bench.forget_peak()
    whole = bench.repeated(partial(draw, job))
    seconds = statistics.median(whole)
    step_ms = 1000 * (seconds - base) / (steps - few)
    bench.row(
        name,
        seconds=seconds,
        slowest=max(whole),
        repeats=len(whole),
        step_ms=step_ms,
        beside_steps_ms=1000 * base - few * step_ms,
        peak_gib=bench.peak_gib,
        **figures,
    )


def _shape(job: GenerationJob, union: bool) -> dict[str, Any]:
    """What the floor of the job is computed from."""
    guided = 2 if job.guidance_scale > 1 else 1
    return {
        "side": job.size.width,
        "pictures": len(job.seeds),
        "steps": job.num_inference_steps,
        "unet_rows": job.num_inference_steps * guided * len(job.seeds),
        "control_rows": guided * len(job.seeds) * _control_passes(job, union),
        "union": union,
    }


def _control_passes(job: GenerationJob, union: bool) -> int:
    """Passes of ControlNets over all steps, for one row."""
    steps, whole = job.num_inference_steps, Window()
    passes = 0
    for step in range(steps):
        wanted = [
            kind
            for kind, scale in job.conditioning_scales.items()
            if scale and job.control_windows.get(kind, whole).covers(step, steps)
        ]
        passes += bool(wanted) if union else len(wanted)
    return passes
