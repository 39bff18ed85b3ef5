"""All four kinds at once: choose the methods, draw concurrently in worker threads."""

import asyncio
import random
from collections.abc import Mapping

from writing_service.conditioning.base import ConditioningGenerator, Options
from writing_service.conditioning.canny import CannyConditioning
from writing_service.conditioning.depth import DepthConditioning
from writing_service.conditioning.scribble import ScribbleConditioning
from writing_service.conditioning.segmentation import SegmentationConditioning
from writing_service.types import ConditioningKind, ControlImage, ControlImages, Scene

Methods = Mapping[ConditioningKind, str]


class ConditioningFanOut:
    """The generators of all kinds."""

    def __init__(self, generators: Mapping[ConditioningKind, ConditioningGenerator]) -> None:
        self._generators = generators

    def methods(self) -> dict[ConditioningKind, tuple[str, ...]]:
        """Public method names by kind."""
        return {kind: generator.get_available_methods() for kind, generator in self._generators.items()}

    def choose_methods(
        self, requested: Methods, configured: Mapping[ConditioningKind, str | None], seed: int
    ) -> dict[ConditioningKind, str]:
        """For every kind: the requested method, else the configured one, else one that the seed picks.

        Raises UnknownMethod.
        """
        return {
            kind: self._choose(kind, requested.get(kind) or configured.get(kind), seed)
            for kind in self._generators
        }

    def draw(self, scene: Scene, kind: ConditioningKind, method: str, seed: int) -> ControlImage:
        """One control image, here and now."""
        return self._generators[kind].draw(scene, method, seed)

    async def generate(self, scene: Scene, methods: Methods, seed: int) -> ControlImages:
        """The kinds that `methods` names, concurrently and off the event loop."""
        tasks = [self._generators[kind].generate(scene, name, seed) for kind, name in methods.items()]
        images = await asyncio.gather(*tasks)
        return {image.kind: image for image in images}

    def _choose(self, kind: ConditioningKind, name: str | None, seed: int) -> str:
        registry = self._generators[kind].registry
        if name is None:
            # Seeded by kind, so that leaving one kind out does not change another's method.
            return random.Random(f"{seed}:{kind}").choice(registry.names())
        registry.get(name)
        return name


def build_fan_out(options: Options | None = None) -> ConditioningFanOut:
    """All four generators with the configured options. Raises ConfigurationError."""
    generators = (
        CannyConditioning(options),
        DepthConditioning(options),
        SegmentationConditioning(options),
        ScribbleConditioning(options),
    )
    return ConditioningFanOut({generator.kind: generator for generator in generators})
