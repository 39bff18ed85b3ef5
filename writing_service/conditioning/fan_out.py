"""All four kinds at once: choose the methods, draw concurrently in worker threads."""

import asyncio
import random
from collections.abc import Mapping

from writing_service.conditioning.base import ConditioningGenerator, Options
from writing_service.conditioning.canny import CannyConditioning
from writing_service.conditioning.depth import DepthConditioning
from writing_service.conditioning.scribble import ScribbleConditioning
from writing_service.conditioning.segmentation import SegmentationConditioning
from writing_service.errors import ConfigurationError
from writing_service.types import ConditioningKind, ControlImage, ControlImages, Scene

Methods = Mapping[ConditioningKind, str]


class ConditioningFanOut:
    """The generators of all kinds."""

    def __init__(self, generators: Mapping[ConditioningKind, ConditioningGenerator]) -> None:
        self._generators = generators

    def methods(self) -> dict[ConditioningKind, tuple[str, ...]]:
        """Public method names by kind."""
        return {kind: generator.available_methods for kind, generator in self._generators.items()}

    def choose_methods(
        self, requested: Methods, configured: Mapping[ConditioningKind, str | None], seed: int
    ) -> dict[ConditioningKind, str]:
        """For every kind: the requested method, else the configured one, else by the seed.

        Raises UnknownMethod, for requested names before anything else.
        """
        self._check(requested)
        chosen = {
            kind: requested.get(kind, configured.get(kind)) or self._by_chance(kind, seed)
            for kind in self._generators
        }
        self._check(chosen)
        return chosen

    def draw(self, scene: Scene, kind: ConditioningKind, method: str, seed: int) -> ControlImage:
        """One control image, here and now. Raises UnknownMethod."""
        return self._generators[kind].draw(scene, method, seed)

    async def generate(self, scene: Scene, methods: Methods, seed: int) -> ControlImages:
        """The kinds that `methods` names, concurrently and off the event loop.

        Raises UnknownMethod before anything is drawn.
        """
        self._check(methods)
        tasks = [
            self._generators[kind].generate(scene, name, seed) for kind, name in methods.items()
        ]
        images = await asyncio.gather(*tasks)
        return {image.kind: image for image in images}

    def _check(self, methods: Methods) -> None:
        for kind, name in methods.items():
            self._generators[kind].registry.get(name)

    def _by_chance(self, kind: ConditioningKind, seed: int) -> str:
        # Seeded by kind, so that leaving one kind out does not change another's method.
        return random.Random(f"{seed}:{kind}").choice(self._generators[kind].available_methods)


def build_fan_out(options: Options | None = None) -> ConditioningFanOut:
    """All four generators with the configured options. Raises ConfigurationError."""
    generators = (
        CannyConditioning(options),
        DepthConditioning(options),
        SegmentationConditioning(options),
        ScribbleConditioning(options),
    )
    fan_out = ConditioningFanOut({generator.kind: generator for generator in generators})
    _check_names(fan_out, options or {})
    return fan_out


def _check_names(fan_out: ConditioningFanOut, options: Options) -> None:
    known = [name for names in fan_out.methods().values() for name in names]
    for name in options:
        if name not in known:
            raise ConfigurationError(
                f"'ai_generation.conditioning.options.{name}' is unknown; "
                f"there are: {', '.join(known)}."
            )
