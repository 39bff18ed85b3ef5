"""Seconds of a picture against its steps, its pixels and how many share a batch: a table, a plot, and how linear."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from benchmarks.embedded import a_job, timed_async
from benchmarks.engine.lines import Line
from writing_service.config import Settings, load_settings
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.types import GenerationJob

SIDE = 512
"""While steps or batch vary."""

MEGAPIXEL = 10**6


@dataclass(frozen=True)
class Curve:
    """Seconds against one thing, all else being equal."""

    name: str
    xs: Sequence[float]
    seconds: Sequence[float]

    @property
    def line(self) -> Line:
        """Through the points."""
        return Line.through(self.xs, self.seconds)


async def measure(
    steps: Sequence[int],
    sides: Sequence[int],
    batches: Sequence[int],
    repeats: int,
    picture: Path,
) -> None:
    """Three tables, of medians, and a plot of them in the file `picture`."""
    settings = load_settings(
        [
            "ai_generation.generation.render_at=requested",
            # The whole batch in each step.
            f"ai_generation.gpu.max_batch_size={max(batches)}",
        ]
    )
    gpu = GPUManager(settings.ai_generation.gpu)
    models, cache = settings.ai_generation.models, settings.ai_generation.cache
    loader = ModelLoader(models, gpu, cache, render_at="requested")
    pipeline = await loader.load()
    by_side = await jobs(settings, gpu, loader, sorted({*sides, SIDE}))
    plain = by_side[SIDE]

    async def curve(name: str, by_x: Mapping[float, GenerationJob]) -> Curve:
        seconds = [await median(pipeline, job, repeats) for job in by_x.values()]
        return Curve(name, list(by_x), seconds)

    curves = [
        await curve("steps", {one: replace(plain, num_inference_steps=one) for one in steps}),
        await curve("megapixels", {side**2 / MEGAPIXEL: by_side[side] for side in sides}),
        await curve(
            "pictures in a batch", {one: replace(plain, seeds=tuple(range(one))) for one in batches}
        ),
    ]
    loader.close()
    print(f"{gpu.device.name}, {plain.num_inference_steps} steps of {SIDE}²; medians of {repeats}")
    for one in curves:
        table(one)
    plot(curves, picture)
    print(f"\n{picture}")


async def jobs(
    settings: Settings, gpu: GPUManager, loader: ModelLoader, sides: Sequence[int]
) -> dict[int, GenerationJob]:
    """The same request at each size."""
    return {side: (await a_job(settings, gpu, loader, side))[0] for side in sides}


async def median(pipeline: MultiControlNetPipeline, job: GenerationJob, repeats: int) -> float:
    """Seconds, after one run to warm up."""
    return statistics.median(
        [await timed_async(pipeline.draw, job) for _ in range(repeats + 1)][1:]
    )


def table(curve: Curve) -> None:
    """Each point beside the line, and what the line says."""
    line = curve.line
    print(f"\n{curve.name:>20}{'seconds':>10}{'line':>10}")
    for x, seconds in zip(curve.xs, curve.seconds, strict=True):
        print(f"{x:>20.4g}{seconds:>10.2f}{line.at(x):>10.2f}")
    print(
        f"{line.fixed:.2f} s fixed, and {line.slope:.3f} ± {line.slope_error:.3f} s for each; "
        f"at most {100 * line.departure(curve.xs, curve.seconds):.0f} % from linear"
    )


def plot(curves: Sequence[Curve], picture: Path) -> None:
    """Side by side, points and lines, from zero."""
    # The same figures give the same file.
    matplotlib.rcParams |= {"svg.hashsalt": "cost", "svg.fonttype": "none"}
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    top = 1.05 * max(seconds for curve in curves for seconds in curve.seconds)
    for axes, curve in zip(figure.subplots(1, len(curves), sharey=True), curves, strict=True):
        axes.plot(curve.xs, curve.seconds, "o", color="C0")
        right = 1.05 * max(curve.xs)
        axes.plot([0, right], [curve.line.at(0), curve.line.at(right)], color="C0", alpha=0.5)
        axes.set(xlabel=curve.name, xlim=(0, right), ylim=(0, top))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)
