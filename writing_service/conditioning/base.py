"""What the four generators share: look the method up, draw the word, add the background once."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from writing_service.conditioning.registry import (
    SEED,
    STYLE,
    LearnedMethod,
    MethodRegistry,
    Numbers,
)
from writing_service.types import (
    ConditioningKind,
    ControlImage,
    Mask,
    Pixels,
    RenderedWord,
    Scene,
)

REFERENCE = 512
"""Lengths in this room are given in pixels of a canvas whose shorter side is this long."""

RING = 10
"""Width of the quiet ring around the strokes; no subject there, so that the word stands out."""

Field = NDArray[np.float32]
"""(height, width) float32: a length or a height at every pixel."""

Options = Mapping[str, Numbers]
"""Numbers by method."""

_GRID = 512
"""Smooth things are computed with the shorter side at most this long, and enlarged afterwards."""

_WIDTH_GRID = 256
_WIDTH_LEVELS = 10


class ConditioningGenerator(ABC):
    """Draws control images of one kind. Subclasses name the registry and draw the background."""

    registry: MethodRegistry
    mode: ClassVar[Literal["L", "RGB"]] = "L"
    """How the kind's pictures are worked on; what comes out is always RGB."""

    def __init__(
        self, options: Options | None = None, learned: Iterable[LearnedMethod] = ()
    ) -> None:
        """`options` override methods' numbers; `learned` are further methods. Other kinds' are left alone.

        Raises ConfigurationError for numbers that a method does not have.
        """
        self.registry = self.registry.with_learned(one for one in learned if one.kind == self.kind)
        given = options or {}
        self._options = {
            name: self.registry.settle(name, given[name])
            for name in self.registry.names()
            if name in given
        }

    @property
    def kind(self) -> ConditioningKind:
        """The kind of control image."""
        return self.registry.kind

    @property
    def available_methods(self) -> tuple[str, ...]:
        """Public names of those that can be used here."""
        return self.registry.names()

    def get_available_methods(self) -> tuple[str, ...]:
        """The same, by the name that the guide uses."""
        return self.available_methods

    def draw(self, scene: Scene, method: str, seed: int, style: str = "") -> ControlImage:
        """The word by `method`, the subject behind: RGB of the canvas's size.

        Without a backdrop the picture is the method's own. Raises UnknownMethod, MethodUnavailable.
        """
        word = self._foreground(scene.word, method, seed, style)
        if scene.backdrop is not None:
            backdrop = np.ascontiguousarray(scene.backdrop)
            word = Image.fromarray(self.with_background(np.asarray(word), scene.word, backdrop))
        return ControlImage(self.kind, method, word.convert("RGB"), self.registry.model_of(method))

    async def generate(self, scene: Scene, method: str, seed: int, style: str = "") -> ControlImage:
        """`draw` in a worker thread: OpenCV and NumPy let go of the interpreter while they work."""
        return await asyncio.to_thread(self.draw, scene, method, seed, style)

    @abstractmethod
    def with_background(self, word: Pixels, glyph: RenderedWord, backdrop: Pixels) -> Pixels:
        """A new picture: `word`, drawn by a method, with the subject behind; both in `mode`."""

    def _foreground(self, glyph: RenderedWord, method: str, seed: int, style: str) -> Image.Image:
        function = self.registry.get(method)
        options: dict[str, Any] = dict(self._options.get(method, {}))
        known = {SEED: seed, STYLE: style}
        options |= {key: known[key] for key in known if self.registry.takes(method, key)}
        return function(glyph, **options).convert(self.mode)


def unit(mask: NDArray[Any]) -> float:
    """Pixels of this canvas (or grid) to one pixel of the reference canvas."""
    return min(mask.shape[:2]) / REFERENCE


def pixels(length: float, mask: NDArray[Any]) -> int:
    """A reference length on this canvas, at least one pixel."""
    return max(1, round(length * unit(mask)))


def ink(mask: Mask) -> Mask:
    """0 or 1 by half coverage; by half of the darkest where strokes are too fine to cover more."""
    level = min(127, int(mask.max(initial=0)) // 2)
    return as_mask(cv2.threshold(mask, level, 1, cv2.THRESH_BINARY)[1])


def disc(radius: int) -> Mask:
    """A round structuring element."""
    size = (2 * radius + 1, 2 * radius + 1)
    return as_mask(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size))


def on_grid(image: Pixels, shorter: int = _GRID) -> Pixels:
    """Averaged down until the shorter side is `shorter` pixels; smaller images stay as they are."""
    height, width = image.shape[:2]
    if min(height, width) <= shorter:
        return image
    scale = shorter / min(height, width)
    size = (round(width * scale), round(height * scale))
    return as_mask(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def enlarged(image: Mask, canvas: NDArray[Any]) -> Mask:
    """Back from a grid to the canvas's size, smoothly."""
    height, width = canvas.shape[:2]
    return as_mask(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def binary(grey: Mask) -> Mask:
    """0 below half, 255 above."""
    return as_mask(cv2.threshold(grey, 127, 255, cv2.THRESH_BINARY)[1])


def ring(mask: Mask) -> Mask:
    """255 on the strokes and on the quiet ring around them, else 0."""
    coarse = on_grid(mask)
    distance = cv2.distanceTransform(as_mask(coarse < 32), cv2.DIST_L2, 3)
    # One pixel more than the ring's width makes good what enlarging rounds away.
    near = as_mask(distance <= RING * unit(coarse) + 1) * np.uint8(255)
    return binary(enlarged(near, mask))


def nearest(values: NDArray[Any], known: Mask) -> NDArray[Any]:
    """Each pixel takes the value of the nearest known one (`known` is 0 or 1); 0 where none is known."""
    if not known.any():
        return np.zeros_like(values)
    _, numbers = cv2.distanceTransformWithLabels(
        1 - known, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.asarray(numbers, np.int32)
    by_number = np.zeros(int(number.max()) + 1, values.dtype)
    by_number[number[known > 0]] = values[known > 0]
    return by_number[number]


def opaque(backdrop: Pixels) -> Mask:
    """Where the subject is: 0 or 1."""
    return as_mask(cv2.threshold(backdrop[..., 3], 127, 1, cv2.THRESH_BINARY)[1])


def subject_luminance(backdrop: Pixels) -> Mask:
    """The subject on white, grey, lightly smoothed: (height, width) uint8."""
    dark = 255 - as_mask(cv2.cvtColor(backdrop, cv2.COLOR_RGBA2GRAY))
    alpha = np.ascontiguousarray(backdrop[..., 3])
    on_white = 255 - as_mask(cv2.multiply(dark, alpha, scale=1 / 255))
    return as_mask(cv2.GaussianBlur(on_white, (0, 0), max(0.6, 1.4 * unit(backdrop))))


def edge_distance(solid: Mask) -> Field:
    """How deep in the ink each pixel lies, in pixels; 0 outside."""
    distance = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    # Ink everywhere has no edge to measure from.
    return np.minimum(np.asarray(distance, np.float32), min(solid.shape) / 2)


def half_widths(solid: Mask) -> Field:
    """Half the width of the stroke that each ink pixel belongs to, in pixels; 0 outside.

    That is the radius of the largest disc inside the ink that covers the pixel, the "local
    thickness" of Hildebrand and Rüegsegger (1997), in ten steps: a disc of that radius around all
    pixels that lie so deep. Discs reach out by the square root of two, into square stroke ends.
    """
    coarse = as_mask(on_grid(solid * np.uint8(255), _WIDTH_GRID) > 127)
    distance = edge_distance(coarse)
    widths = distance.copy()
    for level in np.linspace(0, distance.max(initial=0), _WIDTH_LEVELS + 1)[1:]:
        reach = cv2.distanceTransform(as_mask(distance < level - 1e-3), cv2.DIST_L2, 3)
        widths[(np.asarray(reach) <= level * np.sqrt(2)) & (coarse > 0)] = level
    return _filled_out(widths, coarse, solid)


def as_mask(array: Any) -> Pixels:
    """OpenCV's and NumPy's results as uint8, copied only when they are not."""
    return np.asarray(array, np.uint8)


def _filled_out(widths: Field, coarse: Mask, solid: Mask) -> Field:
    """Smoothed within the ink, enlarged, in pixels of `solid`."""
    share = cv2.GaussianBlur(coarse.astype(np.float32), (0, 0), 2.0)
    smooth = np.asarray(cv2.GaussianBlur(widths, (0, 0), 2.0)) / np.maximum(share, 1e-3)
    height, width = solid.shape
    large = np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(large * solid * (height / coarse.shape[0]), np.float32)
