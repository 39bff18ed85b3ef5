"""A picture in work: three float planes, and the few ways in which paint goes onto them.

Planes lie one after the other, (3, H, W), because arithmetic on whole planes is several times
faster than on interleaved pixels.
"""

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[Any]
"""(H, W) float32, mostly a coverage in 0..1. (H, 1) and (1, W) are welcome wherever one is laid."""

Bytes: TypeAlias = NDArray[Any]
"""(H, W), (H, W, 3) or a table of 256: uint8, as OpenCV likes them."""

Layers: TypeAlias = NDArray[Any]
"""(3, H, W) float32 sRGB in 0..1."""

Colour: TypeAlias = NDArray[Any]
"""(3,) float32 sRGB in 0..1."""


def sheet(shape: tuple[int, int], colour: Colour) -> Layers:
    """A canvas of one colour; `shape` is (height, width)."""
    picture = np.empty((3, *shape), np.float32)
    picture[:] = colour[:, None, None]
    return picture


def lay(picture: Layers, colour: Colour | Layers, cover: Plane | float) -> None:
    """Opaque paint, in place: `colour` where `cover` is 1, the old picture where it is 0."""
    for plane, paint in zip(picture, colour, strict=True):
        plane += (paint - plane) * cover


def glaze(picture: Layers, pigment: Colour | Layers, density: Plane | float) -> None:
    """Transparent paint, in place: light passes the pigment, so layers darken one another.

    `density` 1 filters as `pigment` says; more filters deeper.
    """
    for plane, paint in zip(picture, pigment, strict=True):
        plane *= np.maximum(1 - density * (1 - paint), 0)


def shade(picture: Layers, light: Plane | float) -> None:
    """Multiply all three planes by `light`, in place."""
    for plane in picture:
        plane *= light


def ramp(field: Plane, *stops: Colour) -> Layers:
    """Colours along evenly spaced `stops` for a field in 0..1, in 256 steps."""
    places = np.linspace(0, 1, len(stops))
    steps = np.linspace(0, 1, 256)
    index = cv2.convertScaleAbs(np.maximum(field, 0), alpha=255)
    tables = [np.interp(steps, places, channel).astype(np.float32) for channel in np.stack(stops).T]
    return np.stack([cv2.LUT(index, table) for table in tables])


def rising(height: int, top: float, bottom: float) -> Plane:
    """(height, 1): 0 down to the share `top` of the height, then straight to 1 at `bottom`."""
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    return np.clip((rows - top) / max(bottom - top, 1e-6), 0, 1)[:, None]


def blended(first: Colour, second: Colour, share: Plane) -> Layers:
    """A mix of two colours by a plane."""
    return first[:, None, None] + (second - first)[:, None, None] * share


def planes_of(pixels: Bytes) -> Layers:
    """(H, W, 3) uint8 → planes."""
    return np.stack([plane.astype(np.float32) for plane in cv2.split(pixels)]) / np.float32(255)


def finished(picture: Layers) -> Bytes:
    """Planes → (H, W, 3) uint8 RGB."""
    planes = [cv2.convertScaleAbs(np.maximum(plane, 0), alpha=255) for plane in picture]
    return np.ascontiguousarray(cv2.merge(planes))
