"""A few lines that suggest the word, white on black; the subject's outlines fainter."""

import cv2
import numpy as np
from PIL import Image
from skimage.morphology import skeletonize

from writing_service.conditioning.base import (
    ConditioningGenerator,
    disc,
    ink,
    opaque,
    pixels,
    ring,
    subject_luminance,
    unit,
)
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Mask, Pixels, RenderedWord, Scene

METHODS = MethodRegistry(ConditioningKind.SCRIBBLE)
SUBJECT = 150
_GRID = 256
"""Thinning is done on a canvas whose shorter side is at most this long: lines are redrawn anyway."""


@METHODS.register
def skeletonization_scribble(glyph: RenderedWord, *, width: int = 4) -> Image.Image:
    """The strokes' middle lines by Zhang and Suen's thinning (1984), `width` pixels wide."""
    small = _on_grid(ink(glyph.mask))
    return Image.fromarray(_as_lines(skeletonize(small > 0).astype(np.uint8), glyph.mask, width))


@METHODS.register
def morphological_simplification(
    glyph: RenderedWord, *, rounding: int = 5, line: int = 5
) -> Image.Image:
    """The word's simplified outline as a thick line: small corners closed and opened away, then the gradient."""
    solid = ink(glyph.mask)
    kernel = disc(pixels(rounding, solid))
    simple = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, kernel)
    # Opening may swallow thin strokes whole: those stay as they were.
    simple = np.maximum(cv2.morphologyEx(simple, cv2.MORPH_OPEN, kernel), solid)
    inner = cv2.erode(simple, disc(pixels(line, solid)))
    return Image.fromarray((simple - inner) * np.uint8(255))


class ScribbleConditioning(ConditioningGenerator):
    """Scribbles."""

    registry = METHODS

    def with_background(self, word: Pixels, scene: Scene) -> Pixels:
        """Add the subject's outline and strongest inner edges in grey, outside the ring."""
        if scene.backdrop is None:
            return word
        lines = subject_lines(scene.backdrop)
        lines[ring(scene)] = 0
        return np.maximum(word, lines[..., None])


def subject_lines(backdrop: Pixels) -> Mask:
    """(height, width) uint8, 0 or `SUBJECT`."""
    solid, width = opaque(backdrop), pixels(3, backdrop)
    outline = cv2.morphologyEx(solid, cv2.MORPH_GRADIENT, disc(max(1, width // 2)))
    inner = cv2.dilate(cv2.Canny(subject_luminance(backdrop), 60, 160), disc(max(1, width // 2)))
    return np.where((outline > 0) | (inner > 0), SUBJECT, 0).astype(np.uint8)


def _on_grid(solid: Mask) -> Mask:
    shrink = min(1.0, _GRID / min(solid.shape))
    if shrink == 1.0:
        return solid
    size = (max(1, round(solid.shape[1] * shrink)), max(1, round(solid.shape[0] * shrink)))
    return (cv2.resize(solid * np.uint8(255), size, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)


def _as_lines(thin: Mask, canvas: Mask, width: int) -> Mask:
    """Bring one-pixel lines back to the canvas's size, smooth, `width` reference pixels wide, binary."""
    height, full = canvas.shape
    large = cv2.resize(thin * np.uint8(255), (full, height), interpolation=cv2.INTER_LINEAR)
    wide = cv2.dilate(large, disc(max(1, round(width * unit(canvas) / 2))))
    smooth = cv2.GaussianBlur(wide, (0, 0), max(0.5, 1.2 * unit(canvas)))
    return np.where(smooth > 90, 255, 0).astype(np.uint8)
