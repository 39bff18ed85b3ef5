"""Depth of the word, near is white; the subject in the middle, the far background dark."""

import cv2
import numpy as np
from PIL import Image

from writing_service.conditioning.base import (
    ConditioningGenerator,
    Field,
    as_mask,
    binary,
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
from writing_service.conditioning.parts import parts_of
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Mask, Pixels, RenderedWord

METHODS = MethodRegistry(ConditioningKind.DEPTH)

FAR, RING_DEPTH = 24, 12
FARTHEST_SUBJECT, NEAREST_SUBJECT = 60, 150
FARTHEST_WORD = 170
"""All of the word stands in front of the subject."""


@METHODS.register
def black_and_white_depth(glyph: RenderedWord) -> Image.Image:
    """The whole word flat and nearest."""
    return Image.fromarray(glyph.mask)


@METHODS.register
def stroke_thickness_depth(glyph: RenderedWord, *, thick: float = 20.0) -> Image.Image:
    """Each stroke flat, and as near as it is thick.

    `thick` is the half-width, in pixels of a 512 canvas, that counts as nearest.
    """
    coarse = on_grid(glyph.mask)
    return _relief(glyph.mask, half_widths(ink(coarse)) / max(1e-3, thick * unit(coarse)))


@METHODS.register
def distance_transform_depth(glyph: RenderedWord, *, depth: float = 12.0) -> Image.Image:
    """Strokes as ridges: nearest along their middle lines.

    `depth` is how far from the edge, in pixels of a 512 canvas, counts as nearest.
    """
    coarse = on_grid(glyph.mask)
    return _relief(glyph.mask, edge_distance(ink(coarse)) / max(1e-3, depth * unit(coarse)))


@METHODS.register
def morphological_depth(
    glyph: RenderedWord, *, terraces: int = 4, step: float = 3.0
) -> Image.Image:
    """Terraces: what is left of the strokes after each of several erosions lies one step nearer.

    `step` is the radius of one erosion in pixels of a 512 canvas.
    """
    left = ink(on_grid(glyph.mask))
    element = disc(pixels(step, left))
    height = np.zeros(left.shape, np.float32)
    for _ in range(max(1, terraces)):
        left = as_mask(cv2.erode(left, element, borderValue=0))
        height += left
    return _relief(glyph.mask, height / np.float32(max(1, terraces)))


@METHODS.register
def multi_layer_depth(glyph: RenderedWord) -> Image.Image:
    """Strokes as layers in the order in which they are written: the last is nearest.

    Where no stroke data is known, the layers are the characters, in the order of the text.
    """
    word = parts_of(glyph)
    heights = np.array([0.0, *(part.order for part in word.parts)], np.float32)
    return _relief(glyph.mask, _spread(heights[word.labels], word.solid))


class DepthConditioning(ConditioningGenerator):
    """Depth."""

    registry = METHODS

    def with_background(self, word: Pixels, glyph: RenderedWord, backdrop: Pixels) -> Pixels:
        """Put the subject into the middle distance, the ring far back.

        Of the word's own picture only what lies on the ring counts: learned depth fills the canvas.
        """
        coarse = on_grid(glyph.mask)
        quiet = ring(coarse)
        ground = np.where(quiet > 0, RING_DEPTH, subject_depth(on_grid(backdrop)))
        near = cv2.bitwise_and(word, binary(enlarged(quiet, glyph.mask)))
        return np.maximum(as_mask(near), enlarged(as_mask(ground), glyph.mask))


def subject_depth(backdrop: Pixels) -> Mask:
    """The subject as a soft body, rising from its edge, its bright parts nearer; `FAR` around."""
    rise = edge_distance(opaque(backdrop)) / (60 * unit(backdrop))
    light = subject_luminance(backdrop).astype(np.float32) / 255
    height = (2 * np.minimum(rise, 1) + light) / 3
    depth = FARTHEST_SUBJECT + (NEAREST_SUBJECT - FARTHEST_SUBJECT) * height
    return as_mask(FAR + (depth - FAR) * (backdrop[..., 3] / np.float32(255)))


def _spread(height: Field, solid: Mask) -> Field:
    """Heights carried a little beyond the ink, so that enlarging does not sink its edges."""
    wide = np.asarray(cv2.dilate(height, np.ones((5, 5), np.uint8)), np.float32)
    return np.where(solid > 0, height, wide)


def _relief(mask: Mask, height: Field) -> Image.Image:
    """Heights 0..1 on a grid onto FARTHEST_WORD..255, with the mask's own soft edges."""
    near = FARTHEST_WORD + (255 - FARTHEST_WORD) * np.clip(height, 0, 1)
    return Image.fromarray(
        as_mask(cv2.multiply(enlarged(as_mask(near), mask), mask, scale=1 / 255))
    )
