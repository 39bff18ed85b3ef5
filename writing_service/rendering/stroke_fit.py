"""Lay centre lines of one type face onto a glyph drawn in another.

First the lines' box goes onto the glyph's. Then they are pulled towards the middle of the drawn strokes by
coherent point drift (Myronenko & Song, "Point Set Registration", IEEE TPAMI 32, 2010): every ridge point of the
ink is shared out among the points of the lines by distance and direction, the lines move towards their shares,
ever more closely, and neighbours move alike. As all points compete for the ridge, two strokes do not settle on the
same part of it.

Everything happens on a small crop of the glyph, in its pixels; x to the right, y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from writing_service.types import Box, Line, Mask

SIDE = 112
"""Longer side of the crop's ink, pixels. The lengths below are shares of it."""

_MARGIN = 4
_SPACING, _DISC_SPACING = 0.04, 0.025
"""Between the points of a line that are pulled, and between the discs by which the overlap is measured."""

_TOLERANCE, _LONGEST_LEG = 0.015, 0.3
"""A line bends at its own corners (Douglas-Peucker), and between them where these are farther apart."""

_LEAST_DEPTH = 1.5
"""Pixels from the edge at which a ridge can be told from it."""

_RIDGE_POINTS = 350
"""About as many are looked at."""

_WIDTHS: list[float] = (np.geomspace(0.1, 0.012, 12) * SIDE).tolist()
"""How far the pull reaches (the deviation of a Gaussian), step by step. Fewer steps fit worse, more hardly better."""

_STIFFNESS, _STRAIGHTNESS = 4.0, 30.0
"""How strongly neighbours move alike, and legs keep their direction, in the first step; both fall with the square
of the pull's width."""

_REACH = 0.1 * SIDE
"""How far apart neighbours are (the deviation of a Gaussian)."""

_ANCHOR = 0.02
"""How strongly every point is held where it is, besides: else those without any pull would have no place."""

_DIRECTION = 1.5
"""A point counts exp(-2 · this) for ridges that run across it."""

_STRAY = 0.01
"""Ridge points whose pull is weaker than this belong to no line."""

Points = NDArray[np.float32]
"""(n, 2): x, y."""

Matrix = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Glyph:
    """A drawn character: canvas = crop / scale + origin.

    `ink` is 0 or 1, `depth` the distance of each ink pixel to the edge. `ridge` are points in the middle of the
    drawn strokes, `along` their directions with the angle doubled, shorter where strokes meet. `half_width` is the
    strokes'.
    """

    origin: Points
    scale: Points
    ink: Mask
    depth: Matrix
    ridge: Points
    along: Points
    half_width: float


@dataclass(frozen=True, eq=False)
class Bundle:
    """Lines behind one another: `points` (n, 2), and the number of the line of each."""

    points: Points
    owner: Numbers

    @property
    def lines(self) -> list[Line]:
        """Apart again."""
        return np.split(self.points, np.flatnonzero(np.diff(self.owner)) + 1)

    @property
    def legs(self) -> Points:
        """From each point to the next, and 0 from one line to another, (n - 1, 2)."""
        return np.diff(self.points, axis=0) * (np.diff(self.owner) == 0)[:, None]


def read_glyph(box: Box, mask: Mask) -> Glyph | None:
    """Measure the ink inside the box; None where there is next to none."""
    top, left = max(0, box.top), max(0, box.left)
    crop = mask[top : max(0, box.top + box.height), left : max(0, box.left + box.width)]
    if crop.size == 0:
        return None
    ink = _small(crop)
    depth = _single(cv2.distanceTransform(ink, cv2.DIST_L2, 5))
    steep_x, steep_y = (
        _single(cv2.Sobel(depth, cv2.CV_32F, x, 1 - x, scale=1 / 8)) for x in (1, 0)
    )
    rows, columns = _ridge(depth, np.hypot(steep_x, steep_y))
    if len(rows) < 4:
        return None
    half_width = float(np.median(depth[rows, columns]))
    along = _directions(steep_x, steep_y, half_width)[rows, columns]
    inside = np.array([ink.shape[1], ink.shape[0]], np.float32) - 2 * _MARGIN
    scale = _single(inside / (crop.shape[1], crop.shape[0]))
    origin = _single(np.array([left, top]) - _MARGIN / scale)
    ridge = _single(np.stack([columns, rows], axis=1) + 0.5)
    return Glyph(origin, scale, ink, depth, ridge, along, half_width)


def _small(crop: Mask) -> Mask:
    """The ink, 0 or 1, with its longer side SIDE long and a margin around."""
    # Whole pixels first: averaging over every one of a large crop would take longer than all the rest.
    every = max(1, max(crop.shape) // (3 * SIDE))
    crop = crop[::every, ::every]
    height, width = crop.shape
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = (cv2.resize(crop, size, interpolation=method) > 127).astype(np.uint8)
    return np.pad(small, _MARGIN)


def _ridge(depth: Matrix, steep: Matrix) -> tuple[Numbers, Numbers]:
    """Rows and columns of points in the middle of the ink."""
    # Away from the ridge the depth rises by 1 a pixel, on the diagonals into square corners by 0.7.
    level = (steep < 0.6) & (depth > _LEAST_DEPTH)
    usual = np.median(depth[level]) if level.any() else 0.0
    rows, columns = np.nonzero(level & (depth > 0.4 * usual))
    chosen = slice(None, None, max(1, len(rows) // _RIDGE_POINTS))
    return rows[chosen], columns[chosen]


def _directions(steep_x: Matrix, steep_y: Matrix, reach: float) -> Matrix:
    """Along the strokes, from the structure tensor of the depth: (height, width, 2)."""
    x, y = steep_x**2, steep_y**2
    tensor = cv2.GaussianBlur(np.dstack([y - x, -2 * steep_x * steep_y, x + y]), (0, 0), reach)
    return _single(tensor[..., :2] / (tensor[..., 2:] + 1e-6))


def _single(values: Any) -> Matrix:
    """In single precision, which is exact enough here and twice as fast."""
    return np.asarray(values, np.float32)


def box_fit(lines: Sequence[Line], glyph: Glyph) -> Bundle:
    """Stretch the lines so that strokes of the glyph's width around them fill its box; keep what bends them."""
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    points = np.concatenate(lines)
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.array([glyph.ink.shape[1], glyph.ink.shape[0]], np.float32)
    room = np.maximum(size - 2 * (_MARGIN + glyph.half_width), 0)
    points = (points - (low + high) / 2) * (room / np.maximum(high - low, 1e-3)) + size / 2
    return _bends(Bundle(_single(points), owner))


def _bends(bundle: Bundle) -> Bundle:
    """Corners (Douglas-Peucker), and points between them on long legs."""
    lines = [_corners(line) for line in bundle.lines]
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    corners = Bundle(_single(np.concatenate(lines)), owner)
    pieces = 1 + (_lengths(corners.legs) / (_LONGEST_LEG * SIDE)).astype(np.int64)
    # One more, so that the last corner stays.
    leg, at = _divide(np.append(pieces, 1))
    legs = np.append(corners.legs, np.zeros((1, 2), np.float32), axis=0)
    return Bundle(_single(corners.points[leg] + at[:, None] * legs[leg]), owner[leg])


def _corners(line: Line) -> Line:
    found = _single(cv2.approxPolyDP(line[:, None], _TOLERANCE * SIDE, False)[:, 0])
    # A line that is nearly a point keeps both its ends.
    return found if len(found) > 1 else line[[0, -1]]


def drift(bundle: Bundle, glyph: Glyph) -> Bundle:
    """Pull the lines onto the ridge; the same points, moved."""
    start, weights, along = _sampled(bundle, _SPACING)
    alike = np.exp(_DIRECTION * (along @ glyph.along.T - 1))
    ties = _STIFFNESS * _neighbours(bundle) + _STRAIGHTNESS * _legs_turn(bundle)
    moves = _single(np.zeros_like(bundle.points))
    for width in _WIDTHS:
        away = _squared_distances(_single(start + weights @ moves), glyph.ridge)
        shares = alike * np.exp(away * (-0.5 / width**2))
        shares /= shares.sum(axis=0) + _STRAY
        pull = shares.sum(axis=1)
        # Least squares: each point goes where the middle of its share is, unless its neighbours hold it.
        wanted = weights.T @ (shares @ glyph.ridge - pull[:, None] * start)
        held = (weights.T * pull) @ weights + (width / _WIDTHS[0]) ** 2 * ties
        moves = _single(np.linalg.solve(held, wanted.T[..., None])[..., 0].T)
    return Bundle(bundle.points + moves, bundle.owner)


def _sampled(bundle: Bundle, spacing: float) -> tuple[Points, Matrix, Points]:
    """Points in even distances = weights @ the bundle's, and their directions with the angle doubled."""
    legs = bundle.legs
    counts = np.ceil(_lengths(legs) / (spacing * SIDE)).astype(np.int64)
    leg, at = _divide(counts)
    at += 0.5 / counts[leg].astype(np.float32)
    weights = np.zeros((len(leg), len(bundle.points)), np.float32)
    weights[np.arange(len(leg)), leg] = 1 - at
    weights[np.arange(len(leg)), leg + 1] = at
    angle = 2 * np.arctan2(legs[leg, 1], legs[leg, 0])
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _single(weights @ bundle.points), weights, along


def _divide(pieces: Numbers) -> tuple[Numbers, Matrix]:
    """For each piece of each leg: the leg's number, and where on it the piece begins, from 0 to 1."""
    leg = np.repeat(np.arange(len(pieces)), pieces)
    number = np.arange(len(leg)) - (np.cumsum(pieces) - pieces)[leg]
    return leg, (number / pieces[leg]).astype(np.float32)


def _neighbours(bundle: Bundle) -> Matrix:
    """How strongly points move alike, by nearness and along their line: the graph's Laplacian, (n, n)."""
    near = np.exp(_squared_distances(bundle.points, bundle.points) * (-0.5 / _REACH**2))
    own = (np.diff(bundle.owner) == 0).astype(np.float32)
    near += np.diag(own, 1) + np.diag(own, -1)
    return np.diag(near.sum(axis=1) + np.float32(_ANCHOR)) - near


def _legs_turn(bundle: Bundle) -> Matrix:
    """What keeps legs from turning: along x for vertical ones, along y for horizontal ones, (2, n, n)."""
    legs = bundle.legs
    firm = (legs[:, ::-1] / np.maximum(_lengths(legs), 1e-6)[:, None]).T ** 2
    number = len(bundle.points)
    ends = np.eye(number - 1, number, 1) - np.eye(number - 1, number)
    return _single((ends.T * firm[:, None]) @ ends)


def _squared_distances(one: Points, other: Points) -> Matrix:
    """(n, m)."""
    return (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T


def _lengths(legs: Points) -> Matrix:
    return np.hypot(legs[:, 0], legs[:, 1])


def overlap(bundle: Bundle, glyph: Glyph) -> float:
    """Intersection over union, 0 to 1, of the ink and of discs along the lines.

    A disc is as wide as the ink is there, but between a half and one and a half of the glyph's usual width: lines
    beside the ink count against it.
    """
    points, _, _ = _sampled(bundle, _DISC_SPACING)
    columns, rows = np.clip(points.T.astype(np.int64), 0, np.array(glyph.ink.T.shape)[:, None] - 1)
    radii = np.clip(glyph.depth[rows, columns] / glyph.half_width, 0.5, 1.5) * glyph.half_width
    drawn = np.zeros_like(glyph.ink)
    centres = np.round(points * 16 - 8).astype(int).tolist()
    for centre, radius in zip(centres, np.round(radii * 16).astype(int).tolist(), strict=True):
        cv2.circle(drawn, centre, radius, 1, -1, cv2.LINE_8, 4)
    return float((glyph.ink & drawn).sum() / (glyph.ink | drawn).sum())


def steadiness(before: Bundle, after: Bundle) -> float:
    """How little the lines turned, 0 to 1: the mean cosine, by length; 0 if two strokes changed sides."""
    if _swapped(before, after):
        return 0.0
    old, new = before.legs, after.legs
    lengths = _lengths(old)
    cosines = (old * new).sum(axis=1) / np.maximum(lengths * _lengths(new), 1e-6)
    return max(0.0, float((cosines * lengths).sum() / max(1e-6, float(lengths.sum()))))


def _swapped(before: Bundle, after: Bundle) -> bool:
    """Whether the way from one stroke's middle to another's turned around; the middles of crossing ones lie too close
    together to tell."""
    old, new = (np.array([line.mean(axis=0) for line in one.lines]) for one in (before, after))
    old, new = (middles[:, None] - middles[None] for middles in (old, new))
    apart = np.minimum(np.linalg.norm(old, axis=-1), np.linalg.norm(new, axis=-1)) > 0.12 * SIDE
    return bool((apart & ((old * new).sum(axis=-1) < 0)).any())
