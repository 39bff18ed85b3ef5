"""Whether main memory grows: many different requests in a row, through everything but HTTP."""

import itertools
from collections.abc import Sequence

import psutil

from benchmarks.engine.clients import STYLES, WORDS
from benchmarks.engine.lines import Line
from writing_service.app import create_generator
from writing_service.config import load_settings
from writing_service.encoding import encode_result
from writing_service.types import ImageFormat, WritingRequest

SIDE = 128
STEPS = 2
EVERY = 10
"""Pictures from one sample to the next."""

WARM = 0.2
"""Share of the samples that only show caches and memory pools filling, and are left out of the line."""

MEGABYTE = 10**6


async def measure(pictures: int) -> None:
    """Resident memory every ten pictures, and the slope of a line through it. Raises SystemExit for too few."""
    counts = range(EVERY, pictures + 1, EVERY)
    samples = dict(zip(counts, await resident(len(counts)), strict=True))
    for count, megabytes in samples.items():
        print(f"{count:>5} pictures{megabytes:>10.1f} MB")
    print(told(list(samples), list(samples.values())))


async def resident(samples: int) -> list[float]:
    """MB of this process after every ten pictures."""
    settings = load_settings(["ai_generation.generation.render_at=requested"])
    generator, process, taken = create_generator(settings), psutil.Process(), list[float]()
    requests = endless_requests()
    for _ in range(samples):
        for request in itertools.islice(requests, EVERY):
            encode_result(await generator.generate(request), 0, ImageFormat.PNG)
        taken.append(process.memory_info().rss / MEGABYTE)
    generator.close()
    return taken


def endless_requests():
    """All words in all styles, each time by another seed, so with other layouts and methods."""
    for seed, ((word, meaning), style) in enumerate(
        itertools.cycle(itertools.product(WORDS, STYLES))
    ):
        yield WritingRequest(
            word,
            meaning,
            style=style,
            width=SIDE,
            height=SIDE,
            seed=seed,
            num_inference_steps=STEPS,
        )


def told(counts: Sequence[float], megabytes: Sequence[float]) -> str:
    """A sentence about the slope after warming up."""
    warm = round(WARM * len(counts))
    if len(counts) - warm < 3:
        return f"For a slope it takes at least {4 * EVERY} pictures."
    line = Line.through([one / 100 for one in counts[warm:]], megabytes[warm:])
    word = "flat: slope within noise" if line.flat else "not flat: slope beyond noise"
    return (
        f"{line.slope:+.2f} ± {line.slope_error:.2f} MB per 100 pictures "
        f"(without the first {warm * EVERY}); {word}"
    )
