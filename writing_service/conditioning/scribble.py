"""A few lines that suggest the word, white on black; the subject's outlines fainter."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.morphology import skeletonize

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
from writing_service.conditioning.parts import middle_lines, without_strokes
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Line, Mask, Pixels, RenderedWord

METHODS = MethodRegistry(ConditioningKind.SCRIBBLE)

SUBJECT = 150
"""Grey of the subject's lines; the word's are 255."""


@dataclass(frozen=True)
class Hand:
    """How lines are drawn: `width` and `wobble` in pixels of a 512 canvas, `pressure` as a share of the
    width; `outline` draws around the strokes in place of along them."""

    width: float
    wobble: float = 0.0
    pressure: float = 0.0
    outline: bool = False


PLAIN_HAND = Hand(7.0, wobble=2.5, pressure=0.5)
HANDS = {
    "comic": Hand(5.0, outline=True),
    "watercolor": Hand(5.0, wobble=4.0, pressure=0.5),
    "realistic": Hand(2.5),
    "ink": Hand(14.0, wobble=2.0, pressure=0.8),
    "traditional": Hand(10.0, pressure=0.5),
}
"""Styles and the hands of their artists."""

_GRID = 384
"""Thinning costs by the pixel, and its lines are redrawn anyway: it is done on a smaller canvas."""

_SWERVES, _SWELLS = 12, 9
"""How often a hand changes its way and its pressure across the canvas."""


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


@METHODS.register
def vectorization_simplification(
    glyph: RenderedWord, *, tolerance: float = 4.0, width: float = 3.0
) -> Image.Image:
    """The ink's outlines as polygons of few corners, by Douglas and Peucker (1973).

    `tolerance` is how far a polygon may stray, in pixels of a 512 canvas, as `width` is.
    """
    solid = ink(on_grid(glyph.mask))
    found, _ = cv2.findContours(solid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    polygons = [cv2.approxPolyDP(outline, tolerance * unit(solid), True) for outline in found]
    drawn = np.zeros_like(solid)
    cv2.polylines(drawn, polygons, True, 1, pixels(width, solid), cv2.LINE_8)
    return _drawn(drawn, glyph.mask)


@METHODS.register_for(styles=("comic", "watercolor", "ink", "traditional"))
def hand_drawn_simulation(
    glyph: RenderedWord,
    *,
    seed: int,
    width: float = 6.0,
    wobble: float = 5.0,
    pressure: float = 0.6,
) -> Image.Image:
    """The middle lines as by an unsure hand: they waver, and swell and thin with the pressure.

    Known strokes start heavy and end light. `width` and `wobble` (the largest swerve) are in pixels of a
    512 canvas, `pressure` is the share of the width that varies.
    """
    return _drawn(_by_hand(glyph, Hand(width, wobble, min(1.0, pressure)), seed), glyph.mask)


@METHODS.register
def multi_level_abstraction(
    glyph: RenderedWord, *, closing: float = 7.0, width: float = 4.0
) -> Image.Image:
    """From coarse to fine: the thin outline of the word as one mass, and its middle lines within.

    Gaps up to twice `closing` are bridged for the mass; `width` is the middle lines'; both in
    pixels of a 512 canvas.
    """
    solid = ink(on_grid(glyph.mask, _GRID))
    element = disc(pixels(closing, solid))
    mass = as_mask(cv2.morphologyEx(solid, cv2.MORPH_CLOSE, element))
    outline = cv2.morphologyEx(mass, cv2.MORPH_GRADIENT, disc(1))
    return _drawn((outline > 0) | (_from_middle(solid) <= _half(width, solid)), glyph.mask)


@METHODS.register
def style_aware_scribble(glyph: RenderedWord, *, seed: int, style: str) -> Image.Image:
    """Drawn as the style's artist would sketch: `HANDS`, and a plain hand for any other style."""
    return _drawn(_by_hand(glyph, HANDS.get(style, PLAIN_HAND), seed), glyph.mask)


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
    return np.minimum(binary(enlarged(thin, backdrop)), SUBJECT)


def _from_middle(solid: Mask) -> Field:
    """Distance from the strokes' middle lines, in pixels."""
    middle = as_mask(skeletonize(solid > 0))
    distance = np.asarray(cv2.distanceTransform(1 - middle, cv2.DIST_L2, 5), np.float32)
    # Without any zero pixel the transform measures from nowhere.
    return distance if middle.any() else np.full(solid.shape, np.inf, np.float32)


def _half(width: float, solid: Mask) -> float:
    return max(0.5, width * unit(solid) / 2)


def _by_hand(glyph: RenderedWord, hand: Hand, seed: int) -> Mask:
    """The word's lines on the grid, 0 or 1."""
    rng = np.random.default_rng(seed)
    solid = ink(on_grid(glyph.mask, _GRID))
    if hand.outline:
        return _wavering(_outline(solid, hand.width), hand.wobble, rng)
    lines = _tapered(middle_lines(glyph), glyph.mask, solid, hand)
    rest = without_strokes(glyph, solid)
    weight = 1 + hand.pressure * _noise(rng, solid.shape, _SWELLS)
    along = _from_middle(rest) <= _half(hand.width, solid) * weight
    return _wavering(np.maximum(lines, as_mask(along)), hand.wobble, rng)


def _outline(solid: Mask, width: float) -> Mask:
    """Around the ink, half of the width inside."""
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5)
    return as_mask(np.maximum(inside, outside) <= max(1.0, _half(width, solid)))


def _tapered(lines: Sequence[Line], canvas: Mask, solid: Mask, hand: Hand) -> Mask:
    """Strokes on the grid, each set down heavily and lifted lightly."""
    drawn = np.zeros_like(solid)
    scale = solid.shape[0] / canvas.shape[0]
    for line in lines:
        points = _evenly(line * scale)
        for number, (start, end) in enumerate(pairwise(points)):
            lightness = number / max(1, len(points) - 2)
            width = hand.width * (1 + hand.pressure * (0.5 - lightness))
            cv2.line(drawn, _pixel(start), _pixel(end), 1, pixels(width, solid), cv2.LINE_8)
    return drawn


def _evenly(line: Line) -> Line:
    """The same way in steps of about three pixels, at least two."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, lengths[-1], max(3, int(lengths[-1] / 3) + 1))
    columns = [np.interp(at, lengths, line[:, axis]) for axis in (0, 1)]
    return np.stack(columns, axis=1).astype(np.float32)


def _pixel(point: NDArray[np.float32]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _wavering(lines: Mask, wobble: float, rng: np.random.Generator) -> Mask:
    """Moved by up to about `wobble`, in pixels of a 512 canvas, here one way and there another."""
    if not wobble:
        return lines
    rows, columns = np.indices(lines.shape, np.float32)
    across, down = (wobble * unit(lines) / 2 * _noise(rng, lines.shape, _SWERVES) for _ in range(2))
    moved = cv2.remap(lines, columns + across, rows + down, cv2.INTER_LINEAR)
    return as_mask(moved)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> Field:
    """Smooth noise of mean 0 and about -1..1, with `cells` swings across the canvas."""
    coarse = np.clip(rng.standard_normal((cells, cells)), -2, 2).astype(np.float32) / 2
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _drawn(lines: NDArray[Any], canvas: Mask) -> Image.Image:
    return Image.fromarray(binary(enlarged(as_mask(lines) * np.uint8(255), canvas)))
