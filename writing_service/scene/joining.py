"""Where a subject touches the word: what stands on its ink, or grows out of it.

A side of the ink is turned up and looked at as ground, so that whatever is joined to it stands on it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from writing_service.types import Box, Mask

_MARGIN = 0.055
"""Kept free around a joined subject, in short sides: some styles frame their pictures."""

_GRID = 96
"""Joined subjects are tried out on a canvas whose short side is this long."""

_SIZES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Steps from a join's largest subject to its smallest."""

_FOOT = 0.12
"""The end of a subject that rests on the ink, in its own height."""

_SINK = 0.04
"""How far that end lies behind the ink, in its own height, so that the two are seen to touch."""

_QUIET = 0.02
"""Around strokes nothing of the subject is seen either, in short sides."""

_HIDDEN = 0.2
"""How much of a joined subject ink and quiet may hide, if it can be helped."""

_SUPPORT = 0.15
"""How much of its foot must find ink; where the canvas's edge pushes a large subject down, less does."""

Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]


class Side(StrEnum):
    """On which side of the ink a subject is joined to it."""

    TOP = "top"
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True)
class Join:
    """How a subject is joined to the ink.

    Its sides are between `least` and `most` of the canvas's short side. `spots` are where its middle
    may be along the ink's box, 0..1 of it.
    """

    sides: tuple[Side, ...]
    least: float
    most: float
    spots: tuple[float, ...]


def joined_box(ink: Mask, alpha: Mask, join: Join, rng: random.Random) -> Box:
    """Where trimmed art of that `alpha` touches the word: as large as leaves most of it to be seen.

    Tried out on a coarse grid, then set to the pixel.
    """
    short = min(ink.shape)
    coarse = cv2.resize(ink, None, fx=_GRID / short, fy=_GRID / short, interpolation=cv2.INTER_AREA)
    inked = ink > ink.max() / 2
    worst: list[_Try] = []
    for step in _SIZES:
        length = join.least + (join.most - join.least) * step
        tries = list(_tries(coarse > 0.4 * coarse.max(), alpha, join, length, rng))
        seen = [tried for tried in tries if tried.hidden <= _HIDDEN and tried.supported]
        if seen:
            return _set_down(inked, alpha, min(seen, key=lambda tried: tried.score))
        worst += tries
    return _set_down(inked, alpha, min(worst, key=lambda tried: tried.hidden))


@dataclass(frozen=True)
class _Try:
    """A side of the ink, a spot along it, the art's longer side in short sides, and how well it does."""

    side: Side
    spot: float
    length: float
    hidden: float
    supported: bool
    score: float


def _tries(
    ink: Flags, alpha: Mask, join: Join, length: float, rng: random.Random
) -> Iterator[_Try]:
    """Little hidden and well supported is best; chance decides between what is about as good."""
    reach = 2 * round(_QUIET * _GRID) + 1
    quiet = cv2.dilate(ink.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    art = _solid(alpha, length * _GRID)
    area = max(np.count_nonzero(art), 1)
    for side in join.sides:
        ground, foot = _ground_of(_turned(ink, side)), _foot_of(_turned(art, side))
        around, body = _turned(quiet, side), _turned(art, side)
        for spot in join.spots:
            left, top, support = _rest(ground, foot, spot)
            covered = around[top : top + foot.height, left : left + foot.width] & body
            hidden = np.count_nonzero(covered) / area
            score = hidden - 0.5 * support + rng.uniform(0, 0.25)
            yield _Try(side, spot, length, hidden, support > _SUPPORT, score)


def _set_down(ink: Flags, alpha: Mask, chosen: _Try) -> Box:
    """A try, to the pixel."""
    rows, columns = ink.shape
    foot = _foot_of(_turned(_solid(alpha, chosen.length * min(rows, columns)), chosen.side))
    left, top, _ = _rest(_ground_of(_turned(ink, chosen.side)), foot, chosen.spot)
    match chosen.side:
        case Side.TOP:
            return Box(left, top, foot.width, foot.height)
        case Side.LEFT:
            return Box(top, rows - left - foot.width, foot.height, foot.width)
        case Side.RIGHT:
            return Box(columns - top - foot.height, left, foot.height, foot.width)


@dataclass(frozen=True, eq=False)
class _Ground:
    """The ink's upper edge: by column its first row, `height` where there is none."""

    edge: Rows
    inked: Rows
    """Columns that have ink, rising."""
    height: int

    @property
    def width(self) -> int:
        return len(self.edge)


@dataclass(frozen=True, eq=False)
class _Foot:
    """What stands: the size of the art, the columns of its foot, and the lowest row in each."""

    width: int
    height: int
    columns: Rows
    bottoms: Rows


def _ground_of(ink: Flags) -> _Ground:
    inked = ink.any(axis=0)
    edge = np.where(inked, ink.argmax(axis=0), len(ink))
    return _Ground(edge, np.flatnonzero(inked), len(ink))


def _foot_of(art: Flags) -> _Foot:
    height, width = art.shape
    columns = np.flatnonzero(art[-max(round(_FOOT * height), 1) :].any(axis=0))
    return _Foot(width, height, columns, height - 1 - art[::-1, columns].argmax(axis=0))


def _rest(ground: _Ground, foot: _Foot, spot: float) -> tuple[int, int, float]:
    """Left and top of what stands at a spot, and how much of its foot finds support.

    It comes down onto the highest quarter of the ink under its foot: on a lone ascender it would
    balance, and in the lowest gap it would drown.
    """
    margin = round(_MARGIN * min(ground.width, ground.height))
    first, last = int(ground.inked[0]), int(ground.inked[-1])
    room = ground.width - foot.width
    left = _within(first + spot * (last - first) - foot.width / 2, margin, room - margin)
    if ground.edge[foot.columns + left].min() == ground.height:
        middle = left + float(foot.columns.mean())
        nearest = ground.inked[np.abs(ground.inked - middle).argmin()]
        left = _within(left + nearest - middle, margin, room - margin)
    edge = ground.edge[foot.columns + left]
    drops = np.sort((edge - foot.bottoms)[edge < ground.height])
    rest = int(drops[len(drops) // 4]) if len(drops) else int(ground.edge.min()) - foot.height
    sink = _SINK * foot.height
    top = _within(rest + sink, margin, ground.height - foot.height - margin)
    support = np.count_nonzero(np.abs(drops + sink - top) <= 0.06 * foot.height) / len(edge)
    return left, top, support


def _within(value: float, least: int, most: int) -> int:
    """Rounded, and kept between two; in the middle of them where they have crossed."""
    return max(least, min(round(value), most)) if least <= most else max((least + most) // 2, 0)


def _turned(flags: Flags, side: Side) -> Flags:
    """Turned so that `side` is up."""
    turns = {Side.TOP: 0, Side.LEFT: -1, Side.RIGHT: 1}
    return np.rot90(flags, turns[side])


def _solid(alpha: Mask, length: float) -> Flags:
    """Where art is opaque when its longer side is `length` pixels."""
    rows, columns = alpha.shape
    scale = length / max(rows, columns)
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    return cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR) > 127
