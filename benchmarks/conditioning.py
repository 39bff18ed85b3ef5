"""Milliseconds for all four control images at 1024², at once and one by one. Run by `make bench-conditioning`.

Every combination of the classical methods is drawn, of a word before a pictogram; a combination's figure is its
median. The peer is the same four methods without our event loop and threads, and controlnet-aux's own processors
that need no network (Canny, standard line art) where that package is installed.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np

from writing_service.conditioning.fan_out import ConditioningFanOut, build_fan_out
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import ConditioningKind, Scene, Size

SIDE = 1024
REPEATS = 5
GOAL_MS = 60
STYLE = "ink"


async def main() -> None:
    """Single methods first, then the combinations, then the peer."""
    composer = SceneComposer(WordRenderer(FontLibrary()))
    scene = composer.compose(
        "学习", "auto", Size(SIDE, SIDE), PictogramLibrary().named("books"), seed=7
    )
    fan_out = build_fan_out()
    methods = fan_out.methods()
    print(f"{SIDE}², OpenCV on {cv2.getNumThreads()} threads; medians of {REPEATS}, milliseconds")
    singles = {
        (kind, name): timed(partial(fan_out.draw, scene, kind, name, 1, STYLE))
        for kind, names in methods.items()
        for name in names
    }
    for (kind, name), cost in singles.items():
        print(f"  {kind:<13}{name:<34}{cost:>7.1f}")
    together, apart = await combinations(fan_out, scene, methods)
    print(f"\nall four, {len(together)} combinations{'together':>13}{'one by one':>13}{'ratio':>8}")
    ratios = [other / one for one, other in zip(together, apart, strict=True)]
    for told, pick in (("median", statistics.median), ("slowest", max), ("fastest", min)):
        print(f"  {told:<28}{pick(together):>13.1f}{pick(apart):>13.1f}{pick(ratios):>7.2f}×")
    within = sum(cost <= GOAL_MS for cost in together)
    print(f"  within {GOAL_MS} ms: {within} of {len(together)}")
    controlnet_aux(scene, singles)


async def combinations(
    fan_out: ConditioningFanOut, scene: Scene, methods: Mapping[ConditioningKind, tuple[str, ...]]
) -> tuple[list[float], list[float]]:
    """Medians of every combination, concurrently and one method after the other."""
    together, apart = list[float](), list[float]()
    for names in itertools.product(*methods.values()):
        chosen = dict(zip(methods, names, strict=True))
        costs = list[tuple[float, float]]()
        for _ in range(REPEATS):
            started = time.perf_counter()
            await fan_out.generate(scene, chosen, 1, STYLE)
            middle = time.perf_counter()
            for kind, name in chosen.items():
                fan_out.draw(scene, kind, name, 1, STYLE)
            costs.append((middle - started, time.perf_counter() - middle))
        for figures, column in ((together, 0), (apart, 1)):
            figures.append(1000 * statistics.median(cost[column] for cost in costs))
    return together, apart


def controlnet_aux(scene: Scene, singles: Mapping[tuple[ConditioningKind, str], float]) -> None:
    """Its processors without networks beside our nearest, on the same plain rendering."""
    try:
        from controlnet_aux import CannyDetector, LineartStandardDetector
    except (ImportError, RuntimeError) as error:
        print(f"\ncontrolnet-aux does not run here ({str(error).splitlines()[0]}): no comparison.")
        return
    plain = np.asarray(scene.word.image)
    peers = {
        "CannyDetector": (CannyDetector(), ConditioningKind.CANNY, "opencv_canny"),
        "LineartStandardDetector": (
            LineartStandardDetector(),
            ConditioningKind.CANNY,
            "multi_scale_canny",
        ),
    }
    print("\ncontrolnet-aux")
    for name, (detector, kind, ours) in peers.items():
        cost = timed(partial(detector, plain, detect_resolution=SIDE, image_resolution=SIDE))
        ratio = cost / singles[kind, ours]
        print(f"  {name:<28}{cost:>9.1f}   {ratio:.2f}× ours ({ours}, with the pictogram)")


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds: the median, after one run to warm up."""
    work()
    costs = list[float]()
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        costs.append(time.perf_counter() - started)
    return 1000 * statistics.median(costs)


if __name__ == "__main__":
    asyncio.run(main())
