"""A few lines that suggest the word, white on black; the subject's outlines fainter."""

import cv2
import numpy as np
from PIL import Image
from skimage.morphology import skeletonize

from writing_service.conditioning.base import (
    ConditioningGenerator,
    Field,
    as_mask,
    disc,
    edge_distance,
    enlarged,
    half_widths,
    ink,
    on_grid,
    opaque,
    pixels,
    ring,
    subject_luminance,
    unit,
)
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Mask, Pixels, RenderedWord

METHODS = MethodRegistry(ConditioningKind.SCRIBBLE)

SUBJECT = 150
"""Grey of the subject's lines; the word's are 255."""

_GRID = 384
"""Thinning costs by the pixel, and its lines are redrawn anyway: it is done on a smaller canvas."""


@METHODS.register
def skeletonization_scribble(glyph: RenderedWord, *, width: float = 4.0) -> Image.Image:
    """The strokes' middle lines by Zhang and Suen's thinning (1984), all of one width.

    `width` is in pixels of a 512 canvas.
    """
    solid = ink(on_grid(glyph.mask, _GRID))
    return _drawn(_from_middle(solid) <= _half(width, solid), glyph.mask)


@METHODS.register
def morphological_simplification(
    glyph: RenderedWord, *, rounding: float = 3.0, share: float = 0.5, width: float = 3.0
) -> Image.Image:
    """Brush strokes: corners opened away, then eroded to a `share` of each stroke's own width.

    `rounding` (a radius) and `width` (the least that stays of a stroke) are in pixels of a
    512 canvas.
    """
    solid = ink(on_grid(glyph.mask, _GRID))
    simple = as_mask(cv2.morphologyEx(solid, cv2.MORPH_OPEN, disc(pixels(rounding, solid))))
    brush = edge_distance(simple) > (1 - min(1.0, share)) * half_widths(simple)
    # Strokes that opening or eroding would swallow keep their middle lines.
    return _drawn(brush | (_from_middle(solid) <= _half(width, solid)), glyph.mask)


class ScribbleConditioning(ConditioningGenerator):
    """Scribbles."""

    registry = METHODS

    def with_background(self, word: Pixels, glyph: RenderedWord, backdrop: Pixels) -> Pixels:
        """Add the subject's outline and strongest inner edges in grey, outside the ring."""
        lines = cv2.bitwise_and(subject_lines(backdrop), 255 - ring(glyph.mask))
        return np.maximum(word, as_mask(lines))


def subject_lines(backdrop: Pixels) -> Mask:
    """(height, width) uint8, 0 or `SUBJECT`, three pixels wide on a 512 canvas."""
    coarse = on_grid(backdrop)
    outline = cv2.Canny(opaque(coarse) * np.uint8(255), 100, 200)
    inner = cv2.Canny(subject_luminance(coarse), 60, 160)
    thin = np.maximum(as_mask(outline), as_mask(inner))
    if unit(coarse) >= 0.5:
        thin = as_mask(cv2.dilate(thin, np.ones((3, 3), np.uint8)))
    return np.minimum(_binary(enlarged(thin, backdrop)), SUBJECT)


def _from_middle(solid: Mask) -> Field:
    """Distance from the strokes' middle lines, in pixels."""
    middle = as_mask(skeletonize(solid > 0))
    distance = np.asarray(cv2.distanceTransform(1 - middle, cv2.DIST_L2, 5), np.float32)
    # Without any zero pixel the transform measures from nowhere.
    return distance if middle.any() else np.full(solid.shape, np.inf, np.float32)


def _half(width: float, solid: Mask) -> float:
    return max(0.5, width * unit(solid) / 2)


def _drawn(lines: np.typing.NDArray[np.bool_], canvas: Mask) -> Image.Image:
    return Image.fromarray(_binary(enlarged(as_mask(lines) * np.uint8(255), canvas)))


def _binary(grey: Mask) -> Mask:
    return as_mask(cv2.threshold(grey, 127, 255, cv2.THRESH_BINARY)[1])
