"""What the four generators share: look the method up, draw the word with it, add the kind's background once."""

import asyncio
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, ControlImage, Mask, Pixels, Scene

REFERENCE = 512
"""Lengths in this room are given in pixels of a canvas whose shorter side is this long."""

RING = 10
"""Width of the quiet ring around the strokes, kept clear of the subject so that the word stands out."""

Options = Mapping[str, Mapping[str, int | float]]


class ConditioningGenerator:
    """Draws control images of one kind. Subclasses name the registry and draw the background."""

    registry: MethodRegistry

    def __init__(self, options: Options | None = None) -> None:
        """`options` override methods' numbers, by method. Raises ConfigurationError for unknown ones."""
        own = {name: options[name] for name in self.registry.names() if options and name in options}
        for name, numbers in own.items():
            self.registry.check_options(name, numbers)
        self._options = own

    @property
    def kind(self) -> ConditioningKind:
        """The kind of control image."""
        return self.registry.kind

    def get_available_methods(self) -> tuple[str, ...]:
        """Public names."""
        return self.registry.names()

    def draw(self, scene: Scene, method: str, seed: int) -> ControlImage:
        """The word by `method`, the background behind: RGB of the canvas's size. Raises UnknownMethod."""
        function = self.registry.get(method)
        options: dict[str, Any] = dict(self._options.get(method, {}))
        if self.registry.takes_seed(method):
            options["seed"] = seed
        word = np.asarray(function(scene.word, **options).convert("RGB"))
        picture = self.with_background(word, scene)
        return ControlImage(self.kind, method, Image.fromarray(picture))

    async def generate(self, scene: Scene, method: str, seed: int) -> ControlImage:
        """`draw` in a worker thread: OpenCV and NumPy let go of the interpreter while they work."""
        return await asyncio.to_thread(self.draw, scene, method, seed)

    def with_background(self, word: Pixels, scene: Scene) -> Pixels:
        """`word` (height, width, 3) with the scene's backdrop behind it; the input is not changed."""
        raise AssertionError(f"{type(self).__name__} draws no background.")


def unit(mask: NDArray[Any]) -> float:
    """Pixels of this canvas to one pixel of the reference canvas."""
    return min(mask.shape[:2]) / REFERENCE


def pixels(length: float, mask: NDArray[Any]) -> int:
    """A reference length on this canvas, at least one pixel."""
    return max(1, round(length * unit(mask)))


def ink(mask: Mask) -> Mask:
    """0 or 1 by half coverage."""
    return (mask > 127).astype(np.uint8)


def disc(radius: int) -> Mask:
    """A round structuring element."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def ring(scene: Scene) -> NDArray[np.bool_]:
    """The strokes and the quiet ring around them."""
    mask = scene.word.mask
    distance = cv2.distanceTransform(1 - ink(mask), cv2.DIST_L2, 3)
    return distance <= (RING * unit(mask) if mask.any() else -1)


def opaque(backdrop: Pixels) -> Mask:
    """Where the subject is: 0 or 1."""
    return (backdrop[..., 3] > 127).astype(np.uint8)


def subject_luminance(backdrop: Pixels) -> Mask:
    """The subject on white, grey, lightly smoothed: (height, width) uint8."""
    grey = cv2.cvtColor(np.ascontiguousarray(backdrop[..., :3]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    alpha = backdrop[..., 3].astype(np.float32) / 255
    on_white = grey * alpha + 255 * (1 - alpha)
    return cv2.GaussianBlur(on_white, (0, 0), max(0.6, 1.4 * unit(backdrop))).astype(np.uint8)
