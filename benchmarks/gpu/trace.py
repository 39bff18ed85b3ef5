"""Where the time of a step goes, by class of kernel, and how long the GPU has nothing to do."""

import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.assembly import Engine, assembled, make_job
from benchmarks.gpu.bench import Bench, NotHere
from writing_service.diffusion.denoising.picture import Picture

STEPS = 3
SLOWEST_TOLD = 20

CLASSES: Mapping[str, str] = {
    "attention": r"flash|fmha|sdpa|attention",
    "norm": r"norm|rowwisemoments|fusedparams|welford|triton_(red|per)_",
    # Inductor's names tell all that they fuse, copies too.
    "layout and copies": r"^(?!triton).*(memcpy|memset|nchwtonhwc|nhwctonchw|tensortransform|catarray|::cat|copy|fill)",
    "convolution": r"conv|fprop|dgrad|cudnn|implicit",
    "product": r"gemm|gemv|nvjet|cutlass|cublas|splitk|triton_tem_|::(add|b|scaled_)?mm|::linear|matmul",
    "elementwise": r"elementwise|triton_poi_|gelu|silu|::add|::mul|upsample|reduce|index|softmax",
}
"""Patterns of kernels' names in small letters; the first that fits counts."""

OTHER = "other"


@dataclass(frozen=True)
class Span:
    """One kernel: microseconds."""

    name: str
    start: float
    duration: float


def trace(bench: Bench) -> None:
    """Some steps of one picture, timed without the profiler first, for that makes the host slower."""
    with assembled(bench) as ours:
        job = make_job(bench.options.side, max(bench.options.steps, 3 * STEPS))
        picture = ours.denoiser.begin(ours.denoiser.prepare(job), 0)
        bench.seconds(lambda: _steps(ours, picture))
        issuing, whole = _timed(bench, ours, picture)
        bench.row("a step", step_ms=whole / STEPS, issuing_ms=issuing / STEPS)
        kind = ProfilerActivity.CUDA if bench.on_gpu else ProfilerActivity.CPU
        with profile(activities=[kind], acc_events=True) as profiler:
            _steps(ours, picture)
            bench.wait()
        if bench.on_gpu:
            spans = _kernels(profiler, bench.options.out / "trace.json.gz")
            _tell_idle(bench, spans)
        else:
            spans = _operators(profiler)
        _tell_classes(bench, spans)


def _steps(ours: Engine, picture: Picture) -> None:
    """As the engine takes them."""
    for _ in range(STEPS):
        (direction,) = ours.denoiser.directions([picture])
        picture.advance(direction)
        ours.denoiser.keep_up()


def _timed(bench: Bench, ours: Engine, picture: Picture) -> tuple[float, float]:
    """Milliseconds until all steps are asked of the device, and until they are done."""
    bench.wait()
    started = time.perf_counter()
    for _ in range(STEPS):
        (direction,) = ours.denoiser.directions([picture])
        picture.advance(direction)
    issued = time.perf_counter()
    bench.wait()
    return 1000 * (issued - started), 1000 * (time.perf_counter() - started)


def _kernels(profiler: Any, path: Path) -> list[Span]:
    """All that ran on the GPU. The trace stays at `path`; chrome://tracing and Perfetto open it."""
    profiler.export_chrome_trace(str(path))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    on_gpu = ("kernel", "gpu_memcpy", "gpu_memset")
    spans = [
        Span(one["name"], float(one["ts"]), float(one["dur"]))
        for one in events
        if one.get("cat") in on_gpu and one.get("ph") == "X"
    ]
    if not spans:
        raise NotHere("the profiler saw no kernels; it needs CUPTI, and leave to use it")
    return spans


def _operators(profiler: Any) -> list[Span]:
    """Of a CPU: operators, without what they call."""
    return [Span(one.key, 0.0, one.self_cpu_time_total) for one in profiler.key_averages()]


def kernel_class(name: str) -> str:
    """By the name; see CLASSES."""
    small = name.casefold()
    return next((one for one, pattern in CLASSES.items() if re.search(pattern, small)), OTHER)


def busy_us(spans: Iterable[Span]) -> float:
    """Microseconds in which at least one of them ran."""
    busy, end = 0.0, float("-inf")
    for one in sorted(spans, key=lambda span: span.start):
        stop = one.start + one.duration
        busy += max(0.0, stop - max(one.start, end))
        end = max(end, stop)
    return busy


def _tell_idle(bench: Bench, spans: list[Span]) -> None:
    whole = max(one.start + one.duration for one in spans) - min(one.start for one in spans)
    busy = busy_us(spans)
    bench.row(
        "GPU, under the profiler",
        busy_ms=busy / 1000 / STEPS,
        idle_ms=(whole - busy) / 1000 / STEPS,
        kernels_per_step=round(len(spans) / STEPS),
    )


def _tell_classes(bench: Bench, spans: list[Span]) -> None:
    total = sum(one.duration for one in spans)
    classes, names = Counter[str](), Counter[str]()
    for one in spans:
        classes[kernel_class(one.name)] += one.duration
        names[one.name] += one.duration
    for name, spent in classes.most_common():
        bench.row(name, ms_per_step=spent / 1000 / STEPS, share=spent / total)
    for name, spent in names.most_common(SLOWEST_TOLD):
        told = f"kernel {name[:120]}"
        bench.row(told, ms_per_step=spent / 1000 / STEPS, kind=kernel_class(name))
