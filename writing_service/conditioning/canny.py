"""Edges of the word, white on black; the subject's edges fainter."""

import cv2
import numpy as np
from PIL import Image

from writing_service.conditioning.base import (
    ConditioningGenerator,
    as_mask,
    binary,
    enlarged,
    on_grid,
    opaque,
    pixels,
    ring,
    subject_luminance,
    unit,
)
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Mask, Pixels, RenderedWord

METHODS = MethodRegistry(ConditioningKind.CANNY)

SUBJECT = 150
"""Grey of the subject's edges; the word's are 255."""


@METHODS.register
def opencv_canny(glyph: RenderedWord, *, low: int = 50, high: int = 150) -> Image.Image:
    """Canny's detector (1986) with fixed thresholds: lines one pixel wide, as ControlNets know."""
    return Image.fromarray(as_mask(cv2.Canny(glyph.mask, low, high)))


@METHODS.register
def adaptive_canny(
    glyph: RenderedWord, *, smoothing: float = 2.0, line: float = 2.0
) -> Image.Image:
    """Canny with thresholds from the picture: the upper is Otsu's of the gradient, the lower half.

    After Fang, Yue and Yu, "The Study on an Application of Otsu Method in Canny Operator" (2009).
    `smoothing` (a standard deviation) rounds corners off, so that the outline reads as one written
    line, `line` wide; both in pixels of a 512 canvas.
    """
    edges = _edges_at(glyph.mask, max(0.5, smoothing * unit(glyph.mask)))
    width = pixels(line, glyph.mask)
    return Image.fromarray(as_mask(cv2.dilate(edges, np.ones((width, width), np.uint8))))


@METHODS.register
def multi_scale_canny(
    glyph: RenderedWord, *, finest: float = 1.0, coarsest: float = 8.0, scales: int = 3
) -> Image.Image:
    """Canny's edges at several scales, one over the other: corners and stroke ends get echoes.

    After Witkin, "Scale-Space Filtering" (1983). `finest` and `coarsest` are standard deviations in
    pixels of a 512 canvas; the scales between are evenly spaced.
    """
    coarse = on_grid(glyph.mask)
    edges = np.zeros_like(coarse)
    for smoothing in np.linspace(finest, coarsest, max(1, scales)):
        sigma = max(0.5, float(smoothing) * unit(coarse))
        np.maximum(edges, _edges_at(coarse, sigma), out=edges)
    return Image.fromarray(binary(enlarged(edges, glyph.mask)))


@METHODS.register
def structured_edge_detection(
    glyph: RenderedWord, *, scale: float = 4.0, share: float = 0.35
) -> Image.Image:
    """Edges with a direction, from the structure tensor: thick along strokes, open at corners.

    The tensor is the gradient's outer product averaged over a neighbourhood (Förstner and Gülch,
    1987; Bigün and Granlund, 1987); the difference of its eigenvalues is large where the gradients of
    the neighbourhood agree, and small at corners and crossings, where they do not. `scale` is the
    neighbourhood's standard deviation in pixels of a 512 canvas, `share` the share of the
    greatest difference that counts as an edge.
    """
    coarse = on_grid(glyph.mask)
    smooth = cv2.GaussianBlur(coarse, (0, 0), 1.0).astype(np.float32)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    sigma = max(0.6, scale * unit(coarse) / 2)
    xx, yy, xy = (
        np.asarray(cv2.GaussianBlur(product, (0, 0), sigma))
        for product in (across * across, down * down, across * down)
    )
    strength = np.sqrt(np.hypot(xx - yy, 2 * xy))
    edges = as_mask(strength > min(1.0, share) * strength.max(initial=0)) * np.uint8(255)
    return Image.fromarray(binary(enlarged(edges, glyph.mask)))


class CannyConditioning(ConditioningGenerator):
    """Edges."""

    registry = METHODS

    def with_background(self, word: Pixels, glyph: RenderedWord, backdrop: Pixels) -> Pixels:
        """Add the subject's edges in grey, outside the ring."""
        edges = cv2.bitwise_and(subject_edges(backdrop), 255 - ring(glyph.mask))
        return np.maximum(word, as_mask(edges))


def subject_edges(backdrop: Pixels) -> Mask:
    """The outline and the inner edges of the subject: (height, width) uint8, 0 or `SUBJECT`."""
    solid = opaque(backdrop)
    outline = cv2.Canny(solid * np.uint8(255), 100, 200)
    # The outline shows in the luminance too, a pixel or two beside: only what lies deeper counts.
    deep = cv2.erode(solid, np.ones((5, 5), np.uint8), borderValue=0)
    inner = cv2.Canny(subject_luminance(backdrop), 30, 90) * as_mask(deep)
    return np.minimum(np.maximum(as_mask(outline), as_mask(inner)), SUBJECT)


def _edges_at(mask: Mask, sigma: float) -> Mask:
    smooth = cv2.GaussianBlur(mask, (0, 0), sigma)
    across, down = (cv2.Sobel(smooth, cv2.CV_16S, *axis) for axis in ((1, 0), (0, 1)))
    high = max(1.0, _otsu(across, down))
    return as_mask(cv2.Canny(across, down, high / 2, high))


def _otsu(across: cv2.typing.MatLike, down: cv2.typing.MatLike) -> float:
    """Otsu's threshold of the gradient's strength |across| + |down|, in the gradient's own unit."""
    scale = 0.25  # a step from 0 to 255 just fits into eight bits
    strength = cv2.add(
        cv2.convertScaleAbs(across, alpha=scale), cv2.convertScaleAbs(down, alpha=scale)
    )
    threshold, _ = cv2.threshold(strength, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return threshold / scale
