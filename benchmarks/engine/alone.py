"""One picture at 512², against diffusers' own pipeline with the same weights, steps and guidance."""

import statistics

from benchmarks.embedded import a_job, diffusers_pipeline, draw_with, timed, timed_async
from writing_service.config import load_settings
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader

SIDE = 512


async def measure(repeats: int) -> None:
    """Medians of `repeats`, and their ratio."""
    settings = load_settings()
    gpu = GPUManager(settings.ai_generation.gpu)
    loader = ModelLoader(settings.ai_generation.models, gpu, settings.ai_generation.cache)
    pipeline, peer = await loader.load(), diffusers_pipeline(gpu)
    job, _ = await a_job(settings, gpu, loader, SIDE)
    ours, theirs = list[float](), list[float]()
    # In turns, so that both meet the same machine; the first of each only warms.
    for _ in range(repeats + 1):
        ours.append(await timed_async(pipeline.draw, job))
        theirs.append(timed(draw_with, peer, job))
    one, other = statistics.median(ours[1:]), statistics.median(theirs[1:])
    kind = str(gpu.dtype).removeprefix("torch.")
    print(f"{gpu.device.name}, {kind}, {SIDE}²; medians of {repeats}")
    print(f"one picture: ours {one:.2f} s, diffusers {other:.2f} s: {other / one:.2f}×")
    loader.close()
