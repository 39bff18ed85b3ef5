"""Edges of the word, white on black; the subject's edges fainter."""

import cv2
import numpy as np
from PIL import Image

from writing_service.conditioning.base import (
    ConditioningGenerator,
    opaque,
    pixels,
    ring,
    subject_luminance,
)
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Pixels, RenderedWord, Scene

METHODS = MethodRegistry(ConditioningKind.CANNY)
SUBJECT = 150
"""Grey of the subject's edges; the word's are 255."""


@METHODS.register
def opencv_canny(glyph: RenderedWord, *, low: int = 50, high: int = 150) -> Image.Image:
    """Canny's detector with fixed thresholds (J. Canny, 1986)."""
    return Image.fromarray(cv2.Canny(glyph.mask, low, high))


@METHODS.register
def adaptive_canny(glyph: RenderedWord, *, smoothing: float = 2.0) -> Image.Image:
    """Canny on the smoothed word; the upper threshold is Otsu's of its own gradient, the lower half of that.

    Smoothing rounds corners off, so that the outline reads as one written line.
    """
    sigma = max(0.5, smoothing * pixels(10, glyph.mask) / 10)
    smooth = cv2.GaussianBlur(glyph.mask, (0, 0), sigma)
    across, down = (cv2.Sobel(smooth, cv2.CV_16S, *axis) for axis in ((1, 0), (0, 1)))
    gradient = cv2.convertScaleAbs(cv2.magnitude(across.astype(np.float32), down.astype(np.float32)), alpha=0.25)
    threshold, _ = cv2.threshold(gradient[gradient > 0].reshape(-1, 1), 0, 255, cv2.THRESH_OTSU) if gradient.any() else (1, None)
    high = max(1.0, 4.0 * threshold)
    edges = cv2.Canny(across, down, high / 2, high, L2gradient=True)
    return Image.fromarray(cv2.dilate(edges, np.ones((2, 2), np.uint8)))


class CannyConditioning(ConditioningGenerator):
    """Edges."""

    registry = METHODS

    def with_background(self, word: Pixels, scene: Scene) -> Pixels:
        """Add the subject's edges in grey, outside the ring."""
        if scene.backdrop is None:
            return word
        edges = subject_edges(scene.backdrop)
        edges[ring(scene)] = 0
        return np.maximum(word, edges[..., None])


def subject_edges(backdrop: Pixels) -> Pixels:
    """The outline and the inner edges of the subject: (height, width) uint8, 0 or `SUBJECT`."""
    inner = cv2.Canny(subject_luminance(backdrop), 30, 90)
    solid = opaque(backdrop)
    outline = cv2.morphologyEx(solid, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.where((inner > 0) | (outline > 0), SUBJECT, 0).astype(np.uint8)


