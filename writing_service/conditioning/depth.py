"""Depth of the word, near is white; the subject in the middle, the far background dark."""

import cv2
import numpy as np
from PIL import Image

from writing_service.conditioning.base import (
    ConditioningGenerator,
    Field,
    as_mask,
    edge_distance,
    enlarged,
    half_widths,
    ink,
    on_grid,
    opaque,
    ring,
    subject_luminance,
    unit,
)
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Mask, Pixels, RenderedWord

METHODS = MethodRegistry(ConditioningKind.DEPTH)

FAR, RING_DEPTH = 24, 12
FARTHEST_SUBJECT, NEAREST_SUBJECT = 60, 150
FARTHEST_WORD = 170
"""All of the word stands in front of the subject."""


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


class DepthConditioning(ConditioningGenerator):
    """Depth."""

    registry = METHODS

    def with_background(self, word: Pixels, glyph: RenderedWord, backdrop: Pixels) -> Pixels:
        """Put the subject into the middle distance, the ring far back."""
        coarse = on_grid(glyph.mask)
        ground = np.where(ring(coarse) > 0, RING_DEPTH, subject_depth(on_grid(backdrop)))
        return np.maximum(word, enlarged(as_mask(ground), glyph.mask))


def subject_depth(backdrop: Pixels) -> Mask:
    """The subject as a soft body, rising from its edge, its bright parts nearer; `FAR` around."""
    rise = edge_distance(opaque(backdrop)) / (60 * unit(backdrop))
    light = subject_luminance(backdrop).astype(np.float32) / 255
    height = (2 * np.minimum(rise, 1) + light) / 3
    depth = FARTHEST_SUBJECT + (NEAREST_SUBJECT - FARTHEST_SUBJECT) * height
    return as_mask(FAR + (depth - FAR) * (backdrop[..., 3] / np.float32(255)))


def _relief(mask: Mask, height: Field) -> Image.Image:
    """Heights 0..1 on a grid onto FARTHEST_WORD..255, with the mask's own soft edges."""
    near = FARTHEST_WORD + (255 - FARTHEST_WORD) * np.clip(height, 0, 1)
    return Image.fromarray(
        as_mask(cv2.multiply(enlarged(as_mask(near), mask), mask, scale=1 / 255))
    )
