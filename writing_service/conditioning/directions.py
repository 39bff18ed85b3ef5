"""Which way ink runs, where only pixels tell."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from writing_service.conditioning.base import as_mask, nearest, pixels, unit
from writing_service.types import Mask, StrokeType

_TYPES = tuple(StrokeType)
_BY_SECTOR = tuple(
    _TYPES.index(one)
    for one in (
        StrokeType.HORIZONTAL,
        StrokeType.FALLING_RIGHT,
        StrokeType.VERTICAL,
        StrokeType.FALLING_LEFT,
    )
)
"""Clockwise from the horizontal, in steps of 45 degrees (y points down)."""

_VOTES = 14
"""How far around, in pixels of a 512 canvas, a middle line's direction is put to the vote."""

_DOT = 14
"""Radius of the disc, in pixels of a 512 canvas, that has the area of the largest dot."""


def pixel_types(solid: Mask) -> Mask:
    """(height, width) uint8: at every pixel the index into `StrokeType` of the ink there.

    `solid` is 1 on ink, else 0. Small pieces are dots; elsewhere the direction of the nearest middle
    line decides. Only meaningful where there is ink.
    """
    middle = as_mask(skeletonize(solid > 0))
    sectors = _sectors(middle)
    votes = np.stack([_votes(as_mask(sectors == one) & middle) for one in range(4)])
    types = nearest(np.array(_BY_SECTOR, np.uint8)[votes.argmax(0)], middle)
    types[_is_dot(solid)] = _TYPES.index(StrokeType.DOT)
    return types


def _votes(lines: Mask) -> NDArray[np.int16]:
    window = 2 * pixels(_VOTES, lines) + 1
    count = cv2.boxFilter(lines, cv2.CV_16S, (window, window), normalize=False)
    return np.asarray(count, np.int16)


def _sectors(middle: Mask) -> NDArray[np.int32]:
    """Directions of thin lines, 0..3 as `_BY_SECTOR` has them.

    From the structure tensor (Bigün and Granlund, 1987): half the angle of the averaged, squared
    gradient is the gradient's own, and a line runs at a right angle to it.
    """
    ridge = cv2.GaussianBlur(middle.astype(np.float32), (0, 0), max(1.0, 2 * unit(middle)))
    across, down = (np.asarray(cv2.Sobel(ridge, cv2.CV_32F, *axis)) for axis in ((1, 0), (0, 1)))
    sigma = max(1.0, 6 * unit(middle))
    along, crossing = (
        np.asarray(cv2.GaussianBlur(product, (0, 0), sigma))
        for product in (across * across - down * down, 2 * across * down)
    )
    angle = np.degrees(np.arctan2(crossing, along)) / 2 + 90
    return np.floor((angle + 22.5) / 45).astype(np.int32) % 4


def _is_dot(solid: Mask) -> NDArray[np.bool_]:
    """Connected pieces that are small: beside a disc and beside the word's largest, or compact and
    smaller than the largest."""
    _, labels, found, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    stats = np.asarray(found, np.int32)
    areas, widths, heights = (
        stats[:, column] for column in (cv2.CC_STAT_AREA, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)
    )
    largest = areas[1:].max(initial=0)
    small = areas <= min(np.pi * (_DOT * unit(solid)) ** 2, 0.2 * largest)
    slender = np.maximum(widths, heights) > 1.8 * np.minimum(widths, heights)
    compact = ~slender & (areas > 0.6 * widths * heights) & (areas < 0.35 * largest)
    dots = small | compact
    dots[0] = False
    return dots[np.asarray(labels, np.int32)]
