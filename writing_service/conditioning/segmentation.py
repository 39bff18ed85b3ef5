"""Colour classes: background, the quiet ring, the word's parts, the subject's own colours.

The palette is documented here and nowhere else. Background, ring and word have colours of ADE20K, the
ones that public segmentation ControlNets learned, and as far as possible their meaning: a word is a
signboard in front of a wall, with open sky around its strokes. The subject's classes stand for its
real colours, so that a network can be taught to paint them. Any two colours of the palette are
at least 55 apart in RGB; word and ring keep 70 from everything else.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from writing_service.conditioning.base import (
    ConditioningGenerator,
    as_mask,
    enlarged,
    ink,
    nearest,
    on_grid,
    opaque,
    pixels,
    ring,
)
from writing_service.conditioning.directions import pixel_types
from writing_service.conditioning.parts import Part, Parts, parts_of
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Mask, Pixels, RenderedWord, StrokeType

METHODS = MethodRegistry(ConditioningKind.SEGMENTATION)

BACKGROUND = (120, 120, 120)
"""ADE20K "wall"."""

QUIET_RING = (6, 230, 230)
"""ADE20K "sky"."""

WORD_COLOURS = (
    (255, 5, 153),  # the word, or its first part: ADE20K "signboard"
    (0, 255, 20),  # further parts: "box"
    (204, 5, 255),  # "bed"
    (9, 7, 230),  # "sea"
    (143, 255, 140),  # "mountain"
    (150, 5, 61),  # "person"
)

SUBJECT_COLOURS = (
    (25, 25, 25),  # black
    (242, 242, 242),  # white
    (165, 165, 172),  # grey
    (205, 45, 45),  # red
    (242, 140, 38),  # orange
    (242, 217, 51),  # yellow
    (115, 191, 64),  # lime
    (15, 95, 60),  # deep green
    (51, 153, 140),  # teal
    (64, 140, 242),  # blue
    (77, 64, 179),  # indigo
    (191, 89, 204),  # violet
    (242, 153, 191),  # pink
    (140, 84, 46),  # brown
    (242, 204, 166),  # skin
)

PALETTE = (BACKGROUND, QUIET_RING, *WORD_COLOURS, *SUBJECT_COLOURS)
"""The colour of each class; a class is an index into this."""

_BACKGROUND, _RING, _WORD = 0, 1, 2
_SUBJECT = _WORD + len(WORD_COLOURS)
_TYPE_CLASSES = {one: _WORD + number for number, one in enumerate(StrokeType)}

_LEVELS = 32
_SAMPLES = 1500


@METHODS.register
def black_and_white_segmentation(glyph: RenderedWord) -> Image.Image:
    """The whole word as one class, everything else background."""
    return Image.fromarray(painted(ink(glyph.mask) * np.uint8(_WORD)))


@METHODS.register
def color_based_segmentation(glyph: RenderedWord, *, parts: int = 3) -> Image.Image:
    """Up to `parts` classes, by k-means on where the ink stands, in reading order from the left.

    Letters stay whole; only a word of fewer pieces than parts is cut across.
    """
    solid = ink(glyph.mask)
    number, labels, _, centres = cv2.connectedComponentsWithStats(solid, connectivity=8)
    parts = max(1, min(parts, len(WORD_COLOURS)))
    if number - 1 >= parts:
        groups = _grouped(centres[1:].astype(np.float32), parts)
        classes = np.concatenate([[_BACKGROUND], groups + _WORD]).astype(np.uint8)
        return Image.fromarray(painted(classes[np.asarray(labels, np.int32)]))
    return Image.fromarray(painted(_cut(solid, parts)))


@METHODS.register_for(scripts=("Han",))
def radical_segmentation(glyph: RenderedWord) -> Image.Image:
    """The radicals as the first class, every other component of a character as one of its own.

    Where no stroke data is known, every character is a component.
    """
    word = parts_of(glyph)
    return _by_part(glyph, word, [_component_class(part) for part in word.parts])


@METHODS.register_for(scripts=("Han", "Hiragana", "Katakana", "Hangul"))
def stroke_type_segmentation(glyph: RenderedWord) -> Image.Image:
    """A class for each `StrokeType`, in the order of their definition.

    Where no stroke data is known, the ink's local direction decides, and small pieces are dots.
    """
    word = parts_of(glyph)
    classes = [_TYPE_CLASSES[part.type] if part.type else _BACKGROUND for part in word.parts]
    if None not in {part.type for part in word.parts}:
        return _by_part(glyph, word, classes)
    told = np.array([_BACKGROUND, *classes], np.uint8)[word.labels]
    by_direction = as_mask(_WORD + pixel_types(word.solid))
    return _enlarged_classes(glyph, np.where(told > 0, told, by_direction), word.solid)


class SegmentationConditioning(ConditioningGenerator):
    """Colour classes."""

    registry = METHODS
    mode = "RGB"

    def with_background(self, word: Pixels, glyph: RenderedWord, backdrop: Pixels) -> Pixels:
        """Put the subject's colour classes behind, the ring's class around the strokes."""
        ground = subject_classes(backdrop) * opaque(backdrop)
        cv2.copyTo(np.full_like(ground, _RING), ring(glyph.mask), ground)
        picture = painted(ground)
        cv2.copyTo(word, ink(glyph.mask), picture)
        return picture


def painted(classes: Mask) -> Pixels:
    """(height, width) classes → (height, width, 3) colours."""
    table = np.zeros((1, 256, 3), np.uint8)
    table[0, : len(PALETTE)] = PALETTE
    return as_mask(cv2.LUT(cv2.merge([classes, classes, classes]), table))


def subject_classes(backdrop: Pixels) -> Mask:
    """The subject's class nearest to each pixel's colour, by majority of the neighbourhood.

    Only meaningful where the subject is; elsewhere some class.
    """
    coarse = on_grid(backdrop)
    own = _nearest_classes(coarse)
    voters = cv2.threshold(coarse[..., 3], 127, 255, cv2.THRESH_BINARY)[1]
    reach = 2 * pixels(3, coarse) + 1
    winners, most = own.copy(), np.zeros(own.shape, np.int16)
    for number in np.flatnonzero(np.bincount(own[np.asarray(voters) > 0])):
        votes = as_mask((own == number) & (np.asarray(voters) > 0))
        count = np.asarray(cv2.boxFilter(votes, cv2.CV_16S, (reach, reach), normalize=False))
        winners[count > most] = number
        np.maximum(most, count, out=most)
    height, width = backdrop.shape[:2]
    return as_mask(cv2.resize(winners, (width, height), interpolation=cv2.INTER_NEAREST))


def _nearest_classes(backdrop: Pixels) -> Mask:
    red, green, blue = (backdrop[..., channel] >> 3 for channel in range(3))
    cell = (red.astype(np.uint16) << 10) | (green.astype(np.uint16) << 5) | blue
    return _class_table()[cell]


@cache
def _class_table() -> NDArray[np.uint8]:
    """(32768,) table: the class of each coarse RGB cell, red the slowest, by distance in CIE Lab."""
    steps = (np.arange(_LEVELS, dtype=np.float32) * 8 + 4) / 255
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    wanted = np.array(SUBJECT_COLOURS, np.float32)[None] / 255
    differences = _lab(cells) - _lab(wanted)
    return ((differences**2).sum(-1).argmin(-1) + _SUBJECT).astype(np.uint8)


def _lab(colours: NDArray[Any]) -> NDArray[np.float32]:
    single = colours.astype(np.float32)
    return np.asarray(cv2.cvtColor(single, cv2.COLOR_RGB2LAB), np.float32)


def _component_class(part: Part) -> int:
    if part.radical:
        return _WORD
    # Where nothing is known of radicals, the first class is as good as any other.
    others = len(WORD_COLOURS) - 1
    return _WORD + (
        part.component % len(WORD_COLOURS) if part.type is None else 1 + part.component % others
    )


def _by_part(glyph: RenderedWord, word: Parts, classes: Sequence[int]) -> Image.Image:
    table = np.array([_BACKGROUND, *classes], np.uint8)
    return _enlarged_classes(glyph, table[word.labels], word.solid)


def _enlarged_classes(glyph: RenderedWord, classes: Mask, solid: Mask) -> Image.Image:
    """Classes of the grid's ink on all ink of the canvas, each boundary smooth.

    Ink that the grid does not have takes the class of the nearest that it has.
    """
    wide = nearest(classes, solid)
    best = np.zeros_like(glyph.mask)
    winners = np.full_like(glyph.mask, _WORD)
    for number in np.unique(classes[solid > 0]):
        share = enlarged(as_mask(wide == number) * np.uint8(255), glyph.mask)
        cv2.copyTo(np.full_like(winners, number), as_mask(share > best), winners)
        np.maximum(best, share, out=best)
    return Image.fromarray(painted(winners * ink(glyph.mask)))


def _cut(solid: Mask, parts: int) -> Mask:
    """Classes of the ink, cut into compact regions; the grouping is learned from a sample of it."""
    rows, columns = np.nonzero(solid)
    classes = np.zeros_like(solid)
    points = np.stack([columns, rows], axis=1).astype(np.float32)
    sample = points[:: max(1, len(points) // _SAMPLES)]
    if len(sample) == 0:
        return classes
    groups = _grouped(sample, min(parts, len(sample)))
    centres = np.stack([sample[groups == group].mean(0) for group in np.unique(groups)])
    distances = ((points[:, None] - centres[None]) ** 2).sum(-1)
    classes[rows, columns] = distances.argmin(1) + _WORD
    return classes


def _grouped(points: NDArray[np.float32], parts: int) -> NDArray[np.int32]:
    """k-means of (n, 2) points, x first: groups 0.. from left to right.

    It starts from equal shares in reading order, so that no random number decides.
    """
    order = np.lexsort((points[:, 1], points[:, 0]))
    first = np.empty((len(points), 1), np.int32)
    first[order, 0] = np.arange(len(points)) * parts // len(points)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, labels, centres = cv2.kmeans(points, parts, first, stop, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    rank = np.argsort(np.argsort(np.asarray(centres)[:, 0], kind="stable"))
    return rank[np.asarray(labels, np.int32).ravel()].astype(np.int32)
