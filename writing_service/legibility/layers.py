"""A word's place in a picture, cut out and taken apart by colour, so that a machine can read it.

A grey crop hides words that any person reads at once (gold on blue of the same luminance); some layer of
colour shows them alone.
"""

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from writing_service.conditioning.base import as_mask, ink
from writing_service.types import Box, Mask, Pixels, RenderedWord

HEIGHT = 96
"""Pixels of a line that is read."""

_MARGIN = 0.12

OUTLINES = (60, 90, 120)
"""Lightness, of 255, below which pixels may be an outline."""

GAPS = (3, 5)
"""Pixels of an outline's gaps that are closed."""


def crop_of(picture: Pixels, word: RenderedWord) -> Pixels:
    """The word's place in the picture, a line 96 pixels high; columns of characters are laid across.

    For tesseract has no good models of columns.
    """
    if not _runs_down(word):
        return crop_to_ink(picture, word.mask)
    boxes = [character.box for character in word.characters]
    side = round((1 + _MARGIN) * max(max(box.width, box.height) for box in boxes))
    return np.hstack([_cell(picture, box, side) for box in boxes])


def crop_to_ink(picture: Pixels, mask: Mask) -> Pixels:
    """The picture around the mask's ink box; 96 pixels high, more when it is far from being a line."""
    solid = ink(mask)
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    margin = int(_MARGIN * (rows[-1] - rows[0] + 1)) + 2
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    crop = picture[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1]
    height = HEIGHT * _lines(solid)
    width = max(HEIGHT // 2, round(crop.shape[1] * height / crop.shape[0]))
    return as_mask(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA))


def layers(crop: Pixels) -> Iterator[Mask]:
    """Black-on-white candidates: the grey crop, Otsu on each Lab channel, what dark outlines enclose, k-means
    clusters alone and by darkness, what outlines with gaps enclose."""
    yield as_mask(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY))
    lab = as_mask(cv2.cvtColor(crop, cv2.COLOR_RGB2LAB))
    for channel in cv2.split(lab):
        binary = as_mask(cv2.threshold(channel, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1])
        yield from (binary, 255 - binary)
    for darkest in OUTLINES:
        yield _enclosed(lab[..., 0] >= darkest)
    for clusters in (3, 4, 5, 6):
        yield from _cluster_layers(lab, clusters)
    for darkest, gap in itertools.product(OUTLINES, GAPS):
        yield _enclosed(lab[..., 0] >= darkest, gap)


def _enclosed(light: NDArray[np.bool_], gap: int = 1) -> Pixels:
    """Light areas that do not reach the crop's edge: outlined letters, whatever the run of colours inside them.

    Outlines are thickened to close gaps, and what they enclose gets its size back.
    """
    square = np.ones((gap, gap), np.uint8)
    count, areas = cv2.connectedComponents(
        cv2.erode(light.astype(np.uint8), square), connectivity=4
    )
    edge = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    inside = np.isin(areas, np.setdiff1d(np.arange(1, count), edge))
    return np.where(cv2.dilate(inside.astype(np.uint8), square) > 0, 0, 255).astype(np.uint8)


def _cluster_layers(lab: Pixels, clusters: int) -> Iterator[Mask]:
    cv2.setRNGSeed(0)
    points = lab.reshape(-1, 3).astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1.0)
    empty = np.zeros((len(points), 1), np.int32)
    _, found, centres = cv2.kmeans(points, clusters, empty, criteria, 2, cv2.KMEANS_PP_CENTERS)
    labels = found.reshape(lab.shape[:2])
    darker = np.zeros(lab.shape[:2], bool)
    for cluster in np.argsort(centres[:, 0]):
        alone = labels == cluster
        darker = darker | alone
        for chosen in (alone, darker):
            yield np.where(chosen, 0, 255).astype(np.uint8)


def _lines(solid: Mask) -> int:
    """How many lines of ink lie below each other, at most three; dots and marks are no lines."""
    inked = np.flatnonzero(solid.any(1))
    runs = np.split(inked, np.flatnonzero(np.diff(inked) > 1) + 1)
    tallest = max(len(run) for run in runs)
    return min(3, sum(len(run) > 0.5 * tallest for run in runs))


def _runs_down(word: RenderedWord) -> bool:
    """Whether some character stands right below the one before it, as nothing does in lines."""
    boxes = [character.box for character in word.characters]
    return any(
        after.top >= before.top + before.height // 2
        and abs(2 * (after.left - before.left) + after.width - before.width) < before.width
        for before, after in itertools.pairwise(boxes)
    )


def _cell(picture: Pixels, box: Box, side: int) -> Pixels:
    """A square of `side` pixels around the middle of `box`, made 96 pixels high and wide."""
    top = box.top + (box.height - side) // 2
    left = box.left + (box.width - side) // 2
    rows = slice(max(0, top), min(picture.shape[0], top + side))
    columns = slice(max(0, left), min(picture.shape[1], left + side))
    cell = cv2.resize(picture[rows, columns], (HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
    return as_mask(cell)
