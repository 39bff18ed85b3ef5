"""Noise, paper, brushes and patterns: smooth fields that all styles share.

Noise comes as a handful of cached tiles, stretched to the canvas: a fresh field for each picture
would take longer than the rest of the painting. Nothing here is finer than the small model can see.
"""

from functools import lru_cache

import cv2
import numpy as np

from training.art.layers import Plane

VARIANTS = 8
"""How many tiles of each kind there are."""

_TILE = 256


@lru_cache(maxsize=64)
def _tile(cells: int, octaves: int, variant: int) -> Plane:
    """A square of fractal noise in 0..1, each octave twice as fine and half as strong."""
    rng = np.random.default_rng([cells, octaves, variant])
    total = np.zeros((_TILE, _TILE), np.float32)
    for octave in range(octaves):
        count = cells * 2**octave + 2
        layer = rng.random((count, count), np.float32)
        total += cv2.resize(layer, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC) / 2**octave
    return _over_whole_range(total)


def noise(shape: tuple[int, int], cells: int, variant: int, octaves: int = 3) -> Plane:
    """Fractal noise in 0..1, about `cells` lumps along the long side of `shape` (height, width)."""
    height, width = shape
    scale = _TILE / max(shape)
    rows, columns = max(round(height * scale), 2), max(round(width * scale), 2)
    part = _tile(cells, octaves, variant % VARIANTS)[:rows, :columns]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)


def ripples(shape: tuple[int, int], variant: int) -> Plane:
    """Noise drawn out level, as on water, in 0..1."""
    height, width = shape
    part = _tile(20, 2, variant % VARIANTS)[:, : _TILE // 7]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)


def streaks(shape: tuple[int, int], variant: int) -> Plane:
    """Noise drawn out along the diagonal of a brush stroke, in 0..1."""
    height, width = shape
    return cv2.resize(_streaks(variant % VARIANTS), (width, height), interpolation=cv2.INTER_LINEAR)


@lru_cache(maxsize=VARIANTS)
def _streaks(variant: int) -> Plane:
    fine = _tile(60, 1, variant)
    kernel = np.zeros((33, 33), np.float32)
    cv2.line(kernel, (1, 22), (31, 10), (1.0,), 1, cv2.LINE_AA)
    drawn = cv2.filter2D(fine, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
    return _over_whole_range(drawn)


def _over_whole_range(field: Plane) -> Plane:
    return (field - field.min()) / (field.max() - field.min())


def grain(shape: tuple[int, int], variant: int, strength: float = 0.015) -> Plane:
    """Paper's tooth as a factor around 1."""
    return 1 + (noise(shape, 90, variant, 1) - 0.5) * (2 * strength)


@lru_cache(maxsize=8)
def places(shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """x and y of each pixel from the canvas's middle, in short sides; read only."""
    height, width = shape
    short = min(shape)
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / short
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / short
    across, down = (np.ascontiguousarray(plane) for plane in np.meshgrid(x, y))
    across.flags.writeable = down.flags.writeable = False
    return across, down


def polar(shape: tuple[int, int], x: float, y: float) -> tuple[Plane, Plane]:
    """Distance (short sides) and angle (radians) of each pixel from a place as in `places`."""
    across, down = places(shape)
    return cv2.cartToPolar(across - x, down - y)


def smooth(field: Plane, low: Plane | float, high: Plane | float) -> Plane:
    """0 below `low`, 1 above `high`, a soft S between; `low` > `high` turns it round."""
    part = np.clip((field - low) * (1 / (high - low)), 0, 1)
    return part * part * (3 - 2 * part)


def blur(plane: Plane, sigma: float) -> Plane:
    """A Gaussian; wide ones are made on a smaller plane, which looks the same."""
    if sigma <= 0.3:
        return plane
    shrink = 1 << max(int(np.log2(max(sigma / 2.5, 1))), 0)
    if shrink == 1:
        return cv2.GaussianBlur(plane, (0, 0), sigma)
    height, width = plane.shape
    small = (max(width // shrink, 1), max(height // shrink, 1))
    soft = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(soft, (0, 0), sigma / shrink)
    return cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)


def moved(plane: Plane, right: float, down: float) -> Plane:
    """Shifted by pixels; what comes in from outside is 0."""
    height, width = plane.shape
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return cv2.warpAffine(plane, matrix, (width, height), flags=cv2.INTER_LINEAR)


def wavered(plane: Plane, reach: float, variant: int) -> Plane:
    """Moved about by up to `reach` pixels, as a wet edge or an unsteady hand would."""
    height, width = plane.shape
    across, down = places((height, width))
    short = min(height, width)
    base = noise((height, width), 14, variant, 2) - 0.5
    other = noise((height, width), 14, variant + 1, 2) - 0.5
    x = across * short + (width / 2 - 0.5) + base * (2 * reach)
    y = down * short + (height / 2 - 0.5) + other * (2 * reach)
    return cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def disc(shape: tuple[int, int], x: float, y: float, radius: float, softness: float) -> Plane:
    """A round spot; lengths in short sides, `softness` the width of its rim."""
    across, down = places(shape)
    reach = cv2.magnitude(across - x, down - y)
    return np.clip((radius - reach) / softness + 0.5, 0, 1)
