"""What stands on the canvas, measured once: the word's strokes and the pictogram behind them."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from training.art.layers import Bytes, Layers, Plane, planes_of
from training.art.textures import blur, moved
from writing_service.types import Scene


@dataclass(frozen=True, eq=False)
class Shape:
    """A silhouette: `cover` (H, W) in 0..1. Distances are in pixels."""

    cover: Plane

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.cover.shape
        return height, width

    @property
    def unit(self) -> float:
        """One 512th of the short side: every length is a multiple of it."""
        return min(self.size) / 512

    @cached_property
    def inside(self) -> Plane:
        """From each covered pixel to the nearest edge; 0 outside."""
        return _distance(self.cover > 0.5)

    @cached_property
    def outside(self) -> Plane:
        """From each empty pixel to the shape; 0 inside. Smoothed: grown edges are not jagged."""
        return cv2.GaussianBlur(_distance(self.cover <= 0.5), (0, 0), 0.8)

    @cached_property
    def half(self) -> float:
        """Half the usual stroke's width: twice the mean distance from its edge."""
        covered = self.inside[self.inside > 0]
        return float(2 * covered.mean()) if covered.size else 1.0

    @cached_property
    def bounds(self) -> tuple[int, int, int, int]:
        """left, top, right, bottom in pixels; the whole canvas for an empty shape."""
        left, top, width, height = cv2.boundingRect((self.cover > 0.5).astype(np.uint8))
        if not width:
            return 0, 0, self.size[1], self.size[0]
        return left, top, left + width, top + height

    @cached_property
    def rows(self) -> Plane:
        """(H, 1): 0 at the shape's top, 1 at its bottom."""
        _, top, _, bottom = self.bounds
        rows = np.arange(self.size[0], dtype=np.float32)
        return np.clip((rows - top) / max(bottom - top - 1, 1), 0, 1)[:, None]

    def grown(self, radius: float, softness: float = 1.0) -> Plane:
        """The shape and all within `radius` of it, fading over `softness` pixels."""
        ring = np.clip((radius + 0.5 - self.outside) / softness + 0.5, 0, 1)
        return np.maximum(ring, self.cover)

    def edge(self, width: float) -> Plane:
        """1 at the inner edge, falling to 0 about `width` inside."""
        return np.exp(self.inside * (-1 / width)) * self.cover

    def shadow(self, radius: float, right: float, down: float, softness: float) -> Plane:
        """The grown shape, moved and blurred."""
        return moved(blur(self.grown(radius), softness), right, down)

    def stroke(self, share: float, least: float, most: float) -> float:
        """A line's width fitting the strokes: a share of `half`, within limits given in units."""
        return float(np.clip(self.half * share, least * self.unit, most * self.unit))


@dataclass(frozen=True, eq=False)
class Motif:
    """The pictogram in its place. `pixels` (H, W, 3) uint8 runs on in colour outside the shape."""

    shape: Shape
    pixels: Bytes

    @cached_property
    def colours(self) -> Layers:
        """Its own colours as planes."""
        return planes_of(self.pixels)

    @cached_property
    def lab(self) -> Bytes:
        """(H, W, 3) CIE Lab as OpenCV packs it into bytes."""
        return cv2.cvtColor(self.pixels, cv2.COLOR_RGB2LAB)

    @cached_property
    def lightness(self) -> Bytes:
        """(H, W), 255 is white."""
        return cv2.extractChannel(self.lab, 0)

    def flattened(self) -> "Motif":
        """Small detail smoothed away, edges kept."""
        height, width = self.shape.size
        small = cv2.resize(self.pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        small = cv2.medianBlur(small, 5)
        smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        return Motif(self.shape, smooth)

    def stretch(self, pull: float) -> Bytes:
        """A table of 256 that spreads the lightness that occurs over more of the range.

        Art of one flat tone would otherwise fall into a single step of `tones`. `pull` 0 keeps the
        middle tone, 1 moves it to a bright one.
        """
        mask = (self.shape.cover > 0.5).astype(np.uint8)
        counts = cv2.calcHist([self.lightness], [0], mask, [256], [0, 256]).ravel().cumsum()
        low, high = np.searchsorted(counts, counts[-1] * np.array([0.04, 0.96], np.float32))
        middle = (float(low) + float(high)) / 2
        gain = np.clip(150 / max(float(high) - float(low), 1), 1, 1.8)
        spread = middle + (165 - middle) * pull + (np.arange(256) - middle) * gain
        return np.clip(spread, 0, 255).astype(np.uint8)

    def regraded(self, tones: Bytes, chroma: float) -> "Motif":
        """New lightness by a table of 256 `tones`, colourfulness times `chroma`."""
        around = np.clip((np.arange(256) - 128) * chroma + 128, 0, 255).astype(np.uint8)
        table = np.stack([tones, around, around], axis=-1)[None]
        return Motif(self.shape, cv2.cvtColor(cv2.LUT(self.lab, table), cv2.COLOR_LAB2RGB))

    def drawn_lines(self, threshold: float = 0.16) -> Plane:
        """Where the art's own colours change sharply, 0..1, inside the shape only."""
        unit = self.shape.unit
        soft = cv2.GaussianBlur(self.lightness, (0, 0), max(1.2 * unit, 0.5)).astype(np.float32)
        across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=unit / 255)
        down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=unit / 255)
        lines = np.clip((cv2.magnitude(across, down) - threshold) * 6, 0, 1)
        return cv2.GaussianBlur(lines, (0, 0), max(0.7 * unit, 0.4)) * self.shape.cover


def strokes_of(scene: Scene) -> Shape:
    """The word."""
    return Shape(scene.word.mask.astype(np.float32) / np.float32(255))


def motif_of(scene: Scene) -> Motif | None:
    """The pictogram, or None where the scene has none or it is empty."""
    if scene.backdrop is None or not scene.backdrop[..., 3].any():
        return None
    alpha = scene.backdrop[..., 3]
    shape = Shape(alpha.astype(np.float32) / np.float32(255))
    return Motif(shape, _run_out(np.ascontiguousarray(scene.backdrop[..., :3]), alpha))


def tones(levels: int, hardness: float, low: float = 0.0, high: float = 1.0) -> Bytes:
    """A soft staircase of 256 lightness values from `low` to `high`; `hardness` 0 is straight."""
    value = np.linspace(0, 1, 256) * levels
    step = np.clip((value % 1 - 0.5) * 8 + 0.5, 0, 1)
    stairs = np.minimum(np.floor(value) + step, levels) / levels
    mixed = stairs * hardness + value / levels * (1 - hardness)
    return np.clip((low + (high - low) * mixed) * 255, 0, 255).astype(np.uint8)


def _distance(where: NDArray[np.bool_]) -> Plane:
    return cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 5)


def _run_out(pixels: Bytes, alpha: Bytes) -> Bytes:
    """Carry colours on past the edge: what lies under alpha 0 is arbitrary and would bleed in."""
    height, width = alpha.shape
    solid = cv2.threshold(alpha, 128, 255, cv2.THRESH_BINARY)[1]
    small = (max(width // 8, 1), max(height // 8, 1))
    weight = cv2.resize(alpha, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    masked = cv2.bitwise_and(pixels, pixels, mask=solid)
    colour = cv2.resize(masked, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    weight = cv2.GaussianBlur(weight, (0, 0), 3) / 255
    colour = cv2.GaussianBlur(colour, (0, 0), 3) / np.maximum(weight, 0.02)[..., None]
    around = cv2.convertScaleAbs(cv2.resize(colour, (width, height)))
    cv2.copyTo(pixels, solid, around)
    return around
