"""What sharing a batch gains: several clients at once, with different words, styles, steps and weights.

Through the service's generator, as it is and one picture at a time with the same kernels
(`ai_generation.generation.deterministic=true`), both in this process, in turns.
"""

import asyncio
import statistics
import time
from dataclasses import dataclass

from benchmarks.embedded import timed_async
from writing_service.app import assemble_generator
from writing_service.config import AIGenerationSettings, load_settings
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader
from writing_service.generator import AIImageGenerator
from writing_service.types import ConditioningKind, WritingRequest

SIDE = 512
CLIENTS = 8
WORDS = (("学习", "study"), ("猫", "cat"), ("вода", "water"), ("tree", "tree"))
STYLES = ("comic", "watercolor", "ink", "traditional")
SHARED, ALONE = "shared batches", "one at a time"


@dataclass(frozen=True)
class Run:
    """All clients at once: the seconds that each waited, and of all together."""

    waits: tuple[float, ...]
    seconds: float
    mean_pictures: float

    @property
    def throughput(self) -> float:
        """Pictures a second."""
        return len(self.waits) / self.seconds


async def measure(repeats: int) -> None:
    """A line each, and the ratios; the figures are medians of `repeats`."""
    settings = {
        SHARED: load_settings(),
        ALONE: load_settings(["ai_generation.generation.deterministic=true"]),
    }
    services = {name: await service(one.ai_generation) for name, one in settings.items()}
    runs = {name: list[Run]() for name in services}
    # In turns, so that both meet the same machine; the first of each only warms.
    for _ in range(repeats + 1):
        for name, (generator, loader) in services.items():
            runs[name].append(await all_at_once(generator, loader))
    compare({name: some[1:] for name, some in runs.items()})
    for _, loader in services.values():
        loader.close()


async def service(settings: AIGenerationSettings) -> tuple[AIImageGenerator, ModelLoader]:
    """A generator, its models loaded."""
    gpu = GPUManager(settings.gpu)
    deterministic = settings.generation.deterministic
    loader = ModelLoader(settings.models, gpu, settings.cache, deterministic=deterministic)
    await loader.load()
    return assemble_generator(settings, loader, gpu), loader


def requests() -> list[WritingRequest]:
    """One for each client: other words, styles, steps and weights."""
    return [
        WritingRequest(
            *WORDS[client % len(WORDS)],
            style=STYLES[client % len(STYLES)],
            width=SIDE,
            height=SIDE,
            seed=client,
            num_inference_steps=6 + client % 5,
            conditioning_weights={
                ConditioningKind.DEPTH: 0.1 * client,
                ConditioningKind.SCRIBBLE: 0.0 if client % 3 == 0 else 0.6,
            },
        )
        for client in range(CLIENTS)
    ]


async def all_at_once(generator: AIImageGenerator, loader: ModelLoader) -> Run:
    """Every client asks at the same moment."""
    before, started = loader.status()["batches"], time.perf_counter()
    waits = await asyncio.gather(*(timed_async(generator.generate, one) for one in requests()))
    seconds, after = time.perf_counter() - started, loader.status()["batches"]
    steps = after["steps"] - before["steps"]
    pictures = sum(
        each["steps"] * (each["mean_pictures"] or 0) * sign
        for each, sign in ((after, 1), (before, -1))
    )
    return Run(tuple(waits), seconds, pictures / steps)


def compare(runs: dict[str, list[Run]]) -> None:
    """A line each, then the ratios."""
    print(f"{CLIENTS} clients:{'pictures/s':>24}{'median wait':>14}{'pictures a step':>18}")
    throughput, wait = dict[str, float](), dict[str, float]()
    for name, some in runs.items():
        throughput[name] = statistics.median(run.throughput for run in some)
        wait[name] = statistics.median(statistics.median(run.waits) for run in some)
        mean = statistics.mean(run.mean_pictures for run in some)
        print(f"{name:>20}{throughput[name]:>14.2f}{wait[name]:>12.2f} s{mean:>18.1f}")
    print(
        f"throughput {throughput[SHARED] / throughput[ALONE]:.2f}×, "
        f"median wait {wait[SHARED] / wait[ALONE]:.2f}×"
    )
