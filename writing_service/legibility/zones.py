"""Where to look in a picture of a word: at each piece of its ink, and at what that must stand out from.

A piece is a connected part of a stroke, or of a character whose strokes nobody knows. All lies on a grid on
which a stroke is as wide as `STROKE` pixels, if the picture has as many: so finer textures than strokes count
as the tone that they have from a distance, and large words cost no more than small ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from writing_service.conditioning.base import as_mask, edge_distance, ink, nearest
from writing_service.conditioning.parts import Labels, parts_of
from writing_service.types import Mask, Pixels, RenderedWord, Size

STROKE = 8.0
"""Pixels of the grid that a stroke is wide, at most."""

LONGEST = 1024
"""Pixels of the grid's shorter side, at most."""

EDGE = 0.15
"""Stroke widths on either side of an outline that belong to neither side: paint is soft there."""

REACH = 1.0
"""Stroke widths around the ink that count as its ground."""

CONTOUR = 0.25
"""Stroke widths on either side of an outline in which a contour may be drawn."""

SHIFT = 0.2
"""Stroke widths by which a piece may have moved."""

FEWEST = 8
"""Pixels that a piece and its ground must have to be compared."""

_BUDGET = 10_000
"""Pixels of a comparison, all pieces together; of more, evenly spread ones are taken."""

_FEWEST_TAKEN = 32


@dataclass(frozen=True, eq=False)
class Comparison:
    """Pixels in groups: those of the first piece, those that it must stand out from, those of the second, ...

    `rows` and `columns` are (n,), sorted by group; `groups` (n,) numbers the groups without gaps, `starts` is where
    each begins. `pieces` are the numbers of the pieces that are large enough, in the groups' order.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    groups: NDArray[np.int64]
    starts: NDArray[np.int64]
    pieces: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Pixels of each group."""
        return np.diff(self.starts, append=len(self.groups))


@dataclass(frozen=True, eq=False)
class Zones:
    """A word's pieces on the grid.

    `areas` are the pieces' inks in pixels; `weighty` are those that are no mere crumbs, at least half a stroke's
    width squared. `filled` compares ink with ground, `outlined` the strip along the ink's outline with the
    ground outside of it. `shift` is in pixels.
    """

    size: Size
    labels: Labels
    areas: NDArray[np.int64]
    weighty: NDArray[np.bool_]
    filled: Comparison
    outlined: Comparison
    shift: int

    def seen(self, picture: Pixels) -> NDArray[np.float32]:
        """The picture, (height, width, 3) sRGB, on the grid in CIE Lab, with `shift` more pixels on all sides."""
        grid = cv2.resize(
            picture, (self.size.width, self.size.height), interpolation=cv2.INTER_AREA
        )
        lab = cv2.cvtColor(grid.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        return np.pad(lab, ((self.shift,) * 2, (self.shift,) * 2, (0, 0)), "edge").astype(
            np.float32
        )


def zones_of(word: RenderedWord) -> Zones:
    """For all pictures of the word; its mask has some ink."""
    scale, width = _scale(word.mask)
    size = Size(*(max(1, round(side * scale)) for side in word.mask.shape[::-1]))
    solid = ink(
        as_mask(cv2.resize(word.mask, (size.width, size.height), interpolation=cv2.INTER_AREA))
    )
    labels = _pieces(word, solid)
    areas = np.bincount(labels[labels > 0] - 1)
    weighty = areas >= min(0.5 * width**2, areas.max())
    around = nearest(labels, solid)
    return Zones(
        size,
        labels,
        areas,
        weighty,
        _comparison(around, *_ink_and_ground(solid, width)),
        _comparison(around, *_contour_and_ground(solid, width)),
        max(1, round(SHIFT * width)),
    )


def _scale(mask: Mask) -> tuple[float, float]:
    """Of the grid, and how wide strokes are on it: a long stroke is four times as wide as its ink is deep."""
    solid = ink(mask)
    width = max(1.0, 4 * float(edge_distance(solid)[solid > 0].mean()))
    scale = min(1.0, STROKE / width, LONGEST / min(mask.shape))
    return scale, width * scale


def _pieces(word: RenderedWord, solid: Mask) -> Labels:
    """Connected pieces of the word's parts on the grid: 0 where there is no ink, else 1 + the piece's number."""
    size = solid.shape[::-1]
    coarse = parts_of(word).labels.astype(np.float32)
    parts = cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
    parts = nearest(parts, as_mask(parts > 0)) * solid
    labels, count = np.zeros(solid.shape, np.int32), 0
    for part, place in enumerate(ndimage.find_objects(parts), 1):
        if place is not None:
            number, pieces = cv2.connectedComponents(as_mask(parts[place] == part), connectivity=8)
            labels[place] += np.where(pieces > 0, np.asarray(pieces, np.int32) + count, 0)
            count += number - 1
    return labels


def _ink_and_ground(solid: Mask, width: float) -> Iterator[NDArray[np.bool_]]:
    inside, outside = _depths(solid)
    edge = max(1.0, EDGE * width)
    yield inside > edge if inside.max() > 2 * edge else inside > 0
    yield (outside > edge) & (outside <= edge + REACH * width)


def _contour_and_ground(solid: Mask, width: float) -> Iterator[NDArray[np.bool_]]:
    inside, outside = _depths(solid)
    strip = max(1.0, CONTOUR * width)
    yield np.maximum(inside, outside) <= strip
    yield (outside > strip) & (outside <= strip + REACH * width)


def _depths(solid: Mask) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far from the outline each pixel of the ink, and each pixel of the ground, lies."""
    return edge_distance(solid), edge_distance(as_mask(1 - solid))


def _comparison(
    labels: Labels, inside: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> Comparison:
    """`labels` says to which piece a pixel is nearest."""
    positions = np.flatnonzero(inside | outside)
    groups = 2 * (labels.ravel()[positions] - 1) + outside.ravel()[positions]
    order = np.argsort(groups, kind="stable")
    positions, groups = positions[order], groups[order].astype(np.int64)
    counts = np.bincount(groups, minlength=2 * int(labels.max()))
    enough = counts.reshape(-1, 2).min(1) >= FEWEST
    kept = enough[groups // 2] & _spread(counts, groups)
    rows, columns = np.divmod(positions[kept], labels.shape[1])
    _, starts, numbers = np.unique(groups[kept], return_index=True, return_inverse=True)
    return Comparison(rows, columns, numbers, starts, np.flatnonzero(enough))


def _spread(counts: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pixels, sorted by group, to take: evenly spread ones of each group, the budget's share of it at most."""
    most = max(_FEWEST_TAKEN, _BUDGET // max(1, np.count_nonzero(counts)))
    ends = np.cumsum(counts)
    rank = np.arange(len(groups)) - (ends - counts)[groups]
    count = counts[groups]
    return (count <= most) | (rank * most % count < most)
