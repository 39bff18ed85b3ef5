"""All four kinds at once: choose the methods, draw concurrently in worker threads."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from writing_service.conditioning.base import ConditioningGenerator, Options
from writing_service.conditioning.canny import CannyConditioning
from writing_service.conditioning.depth import DepthConditioning
from writing_service.conditioning.registry import LearnedMethod, MethodAbout
from writing_service.conditioning.scribble import ScribbleConditioning
from writing_service.conditioning.segmentation import SegmentationConditioning
from writing_service.errors import (
    ConfigurationError,
    MethodUnavailable,
    ModelsUnavailable,
    UnknownMethod,
)
from writing_service.types import ConditioningKind, ControlImage, ControlImages, Scene

Methods = Mapping[ConditioningKind, str]

OnImage = Callable[[ControlImage], None]
"""Called on the event loop for each image as it appears."""


class ConditioningFanOut:
    """The generators of all kinds."""

    def __init__(self, generators: Mapping[ConditioningKind, ConditioningGenerator]) -> None:
        self._generators = generators

    def methods(self) -> dict[ConditioningKind, tuple[str, ...]]:
        """Public names by kind of the methods that can be used here."""
        return {kind: generator.available_methods for kind, generator in self._generators.items()}

    def catalogue(self) -> list[MethodAbout]:
        """All methods, for people."""
        return [one for each in self._generators.values() for one in each.registry.catalogue()]

    def missing_methods(self) -> dict[str, str]:
        """Methods that cannot be used here, by name, and what each needs."""
        generators = self._generators.values()
        return {name: need for one in generators for name, need in one.registry.missing().items()}

    def choose_methods(
        self,
        requested: Methods,
        configured: Mapping[ConditioningKind, str | None],
        seed: int,
        style: str = "",
        script: str = "",
    ) -> dict[ConditioningKind, str]:
        """For every kind: the requested method, else the configured one, else by the seed among those
        that suit the style and the script.

        Raises UnknownMethod and MethodUnavailable for requested names, ModelsUnavailable for configured
        ones: those are not the client's to mend.
        """
        self._check(requested)
        fixed = {kind: name for kind, name in configured.items() if name and kind not in requested}
        try:
            self._check(fixed)
        except MethodUnavailable as error:
            raise ModelsUnavailable(f"The configured method is missing: {error}") from error
        return {
            kind: requested.get(kind)
            or fixed.get(kind)
            or self._by_chance(kind, seed, style, script)
            for kind in self._generators
        }

    def check_configured(self, configured: Mapping[ConditioningKind, str | None]) -> None:
        """Raises ConfigurationError for names that do not exist; what is only missing may still come."""
        try:
            self._check({kind: name for kind, name in configured.items() if name})
        except UnknownMethod as error:
            raise ConfigurationError(
                f"Setting 'ai_generation.conditioning.methods': {error}"
            ) from None
        except MethodUnavailable:
            return

    def draw(
        self, scene: Scene, kind: ConditioningKind, method: str, seed: int, style: str = ""
    ) -> ControlImage:
        """One control image, here and now. Raises UnknownMethod, MethodUnavailable."""
        return self._generators[kind].draw(scene, method, seed, style)

    async def generate(
        self,
        scene: Scene,
        methods: Methods,
        seed: int,
        style: str = "",
        on_image: OnImage | None = None,
    ) -> ControlImages:
        """The kinds that `methods` names, concurrently and off the event loop.

        Raises UnknownMethod and MethodUnavailable before anything is drawn.
        """
        self._check(methods)

        async def drawn(kind: ConditioningKind, name: str) -> ControlImage:
            image = await self._generators[kind].generate(scene, name, seed, style)
            if on_image is not None:
                on_image(image)
            return image

        images = await asyncio.gather(*(drawn(kind, name) for kind, name in methods.items()))
        return {image.kind: image for image in images}

    def _check(self, methods: Methods) -> None:
        for kind, name in methods.items():
            self._generators[kind].registry.get(name)

    def _by_chance(self, kind: ConditioningKind, seed: int, style: str, script: str) -> str:
        names = self._generators[kind].registry.suiting(style, script)
        # Seeded by kind, so that leaving one kind out does not change another's method.
        return random.Random(f"{seed}:{kind}").choice(names)


def build_fan_out(
    options: Options | None = None, learned: Sequence[LearnedMethod] = ()
) -> ConditioningFanOut:
    """All four generators with the configured options. Raises ConfigurationError."""
    generators = (
        CannyConditioning(options, learned),
        DepthConditioning(options, learned),
        SegmentationConditioning(options, learned),
        ScribbleConditioning(options, learned),
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
