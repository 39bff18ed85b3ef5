"""Depth of the word, near is white; the subject in the middle, the far background dark."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from writing_service.conditioning.base import (
    ConditioningGenerator,
    ink,
    opaque,
    ring,
    subject_luminance,
    unit,
)
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Pixels, RenderedWord, Scene

METHODS = MethodRegistry(ConditioningKind.DEPTH)
FAR, RING_DEPTH = 24, 12
NEAREST_SUBJECT = 150
WORD = 170
"""The word's lowest depth: all of it stands in front of the subject."""

Depth = NDArray[np.float32]


@METHODS.register
def stroke_thickness_depth(glyph: RenderedWord, *, thick: float = 24.0) -> Image.Image:
    """Each stroke as near as it is thick: its own half-width, spread over the whole stroke.

    `thick` is the half-width, in pixels of a 512 canvas, that counts as nearest.
    """
    solid = ink(glyph.mask)
    distance = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    return _relief(solid, _spread(distance) / (thick * unit(glyph.mask)))


@METHODS.register
def distance_transform_depth(glyph: RenderedWord, *, round_off: float = 16.0) -> Image.Image:
    """Strokes as rounded ridges: nearest along their middle lines, where `round_off` pixels from the edge."""
    solid = ink(glyph.mask)
    distance = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    return _relief(solid, distance / (round_off * unit(glyph.mask)))


class DepthConditioning(ConditioningGenerator):
    """Depth."""

    registry = METHODS

    def with_background(self, word: Pixels, scene: Scene) -> Pixels:
        """Put the subject into the middle distance, the ring far back."""
        ground = np.full(word.shape[:2], FAR, np.uint8)
        if scene.backdrop is not None:
            ground = np.maximum(ground, subject_depth(scene.backdrop))
            ground[ring(scene)] = RING_DEPTH
        return np.maximum(word, ground[..., None])


def subject_depth(backdrop: Pixels) -> Pixels:
    """The subject as a soft body: rising from its edge, its bright parts nearer; 0 elsewhere."""
    solid = opaque(backdrop)
    rise = cv2.distanceTransform(solid, cv2.DIST_L2, 3) / (60 * unit(backdrop))
    light = subject_luminance(backdrop).astype(np.float32) / 255
    depth = 60 + 60 * np.minimum(rise, 1) + (NEAREST_SUBJECT - 120) * light
    return np.where(solid > 0, depth, 0).astype(np.uint8)


def _spread(distance: Depth) -> Depth:
    """Carry the middle line's distance out to the edge of its stroke, by growing maxima inside the ink."""
    inside = distance > 0
    spread, reach = distance, int(np.ceil(distance.max(initial=0)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    for _ in range(min(24, reach // 2 + 1)):
        spread = np.where(inside, cv2.dilate(spread, kernel), 0)
    return spread


def _relief(solid: NDArray[np.uint8], height: Depth) -> Image.Image:
    """Heights 0..1 onto WORD..255, softened a little at the edges."""
    near = WORD + (255 - WORD) * np.clip(height, 0, 1)
    depth = np.where(solid > 0, near, 0).astype(np.float32)
    soft = cv2.GaussianBlur(depth, (0, 0), max(0.5, 1.2 * unit(solid)))
    return Image.fromarray(np.clip(soft, 0, 255).astype(np.uint8))
