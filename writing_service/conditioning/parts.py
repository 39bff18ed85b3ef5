"""What a word's ink consists of: strokes from the data sets, else what the pixels give.

A label image says which part each ink pixel belongs to. Where a character has strokes, a pixel belongs
to the stroke whose middle line is nearest. Characters without strokes are a part each; one that stands
alone has its connected pieces of ink for parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from writing_service.conditioning.base import as_mask, ink, nearest, on_grid
from writing_service.types import Box, DrawnCharacter, Line, Mask, RenderedWord, StrokeType

GRID = 384
"""Parts are told apart with the canvas's shorter side at most this long."""

Labels = NDArray[np.int32]
"""(height, width) int32: 0 where there is no ink, else 1 + the part's index."""

_SHIFT = 4
"""Fractional bits of the coordinates with which OpenCV draws lines."""


@dataclass(frozen=True)
class Part:
    """A stroke, a character or a piece of ink. Where only pixels tell, `type` is None and `radical` False.

    `order` is its place among the parts of its character, from above 0 to 1 for the last;
    `component` counts through the whole word.
    """

    order: float
    component: int
    radical: bool = False
    type: StrokeType | None = None


@dataclass(frozen=True, eq=False)
class Parts:
    """All parts of a word and, on a grid, where each is."""

    labels: Labels
    parts: tuple[Part, ...]

    @property
    def solid(self) -> Mask:
        """Where there is ink: 0 or 1."""
        return as_mask(self.labels > 0)


def parts_of(glyph: RenderedWord) -> Parts:
    """The word's parts, in writing order, strokes of the data sets first."""
    solid = ink(on_grid(glyph.mask, GRID))
    scale = solid.shape[0] / glyph.mask.shape[0]
    stroked = [one for one in glyph.characters if one.strokes]
    strokes, lines = _strokes(stroked)
    known = _inside(stroked, solid, scale)
    seeds = _drawn(lines, scale, solid.shape)
    labels = nearest(seeds, as_mask(seeds > 0)) * (solid * known).astype(np.int32)
    pieces, number = _pieces(
        as_mask(solid * (1 - known)),
        [one.box for one in glyph.characters if not one.strokes],
        scale,
    )
    labels[pieces > 0] = pieces[pieces > 0] + len(strokes)
    first = 1 + max((part.component for part in strokes), default=-1)
    others = tuple(Part((n + 1) / number, first + n) for n in range(number))
    return Parts(labels, (*strokes, *others))


def middle_lines(glyph: RenderedWord) -> list[Line]:
    """The strokes that the data sets know, in pixels of the canvas and in writing order."""
    return _strokes([one for one in glyph.characters if one.strokes])[1]


def without_strokes(glyph: RenderedWord, solid: Mask) -> Mask:
    """The ink, 0 or 1 on a grid, of characters whose strokes are in no data set."""
    stroked = [one for one in glyph.characters if one.strokes]
    return as_mask(solid * (1 - _inside(stroked, solid, solid.shape[0] / glyph.mask.shape[0])))


def _strokes(characters: list[DrawnCharacter]) -> tuple[tuple[Part, ...], list[Line]]:
    """Parts and middle lines of all characters; components are counted on from one to the next."""
    parts: list[Part] = []
    lines: list[Line] = []
    first = 0
    for character in characters:
        total = len(character.strokes)
        for number, stroke in enumerate(character.strokes, 1):
            component = first + stroke.component
            parts.append(Part(number / total, component, stroke.radical, stroke.type))
            lines.append(stroke.line)
        first = 1 + max(part.component for part in parts)
    return tuple(parts), lines


def _inside(characters: list[DrawnCharacter], grid: Mask, scale: float) -> Mask:
    """1 inside the characters' boxes."""
    inside = np.zeros_like(grid)
    for character in characters:
        rows, columns = _slices(character.box, scale)
        inside[rows, columns] = 1
    return inside


def _slices(box: Box, scale: float) -> tuple[slice, slice]:
    top, left = int(box.top * scale), int(box.left * scale)
    bottom = int(np.ceil((box.top + box.height) * scale)) + 1
    right = int(np.ceil((box.left + box.width) * scale)) + 1
    return slice(max(0, top), bottom), slice(max(0, left), right)


def _drawn(lines: list[Line], scale: float, shape: tuple[int, ...]) -> Labels:
    """Each line in its label; where lines cross, the later one lies on top."""
    canvas = np.zeros(shape, np.int32)
    for label, line in enumerate(lines, 1):
        points = np.round((line * scale) * (1 << _SHIFT)).astype(np.int32)
        cv2.polylines(canvas, [points], False, label, 1, cv2.LINE_8, _SHIFT)
    return canvas


def _pieces(solid: Mask, boxes: Sequence[Box], scale: float) -> tuple[Labels, int]:
    """Labels of ink without strokes, in the order of the text, and their number."""
    if len(boxes) > 1:
        return _by_box(solid, boxes, scale)
    number, labels, _, centres = cv2.connectedComponentsWithStats(solid, connectivity=8)
    order = np.argsort(np.asarray(centres)[1:, 0], kind="stable")
    rank = np.zeros(number, np.int32)
    rank[1 + order] = np.arange(1, number)
    return rank[np.asarray(labels, np.int32)], number - 1


def _by_box(solid: Mask, boxes: Sequence[Box], scale: float) -> tuple[Labels, int]:
    """Each ink pixel takes the number of the box in which it lies deepest.

    Depth is measured in shares of the box's sides, so that a small letter over a large one, or a
    joined one beside it, keeps what is its own.
    """
    rows, columns = np.nonzero(solid)
    depths = [
        np.maximum(
            np.abs(columns / scale - box.left - box.width / 2) / max(1, box.width),
            np.abs(rows / scale - box.top - box.height / 2) / max(1, box.height),
        )
        for box in boxes
    ]
    labels = np.zeros(solid.shape, np.int32)
    labels[rows, columns] = np.argmin(depths, axis=0) + 1
    return labels, len(boxes)
