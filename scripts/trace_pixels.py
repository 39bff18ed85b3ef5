"""Turn a pixel font into handsome type: join the pixels into strokes, smooth them, trace their edges.

The pixels of GNU Unifont are the middle of strokes about one pixel wide. Neighbours are joined by lines, so that
staircases become slopes; a blur rounds the corners; a broad nib gives the lines weight; and the
outline is a closed quadratic B-spline, which is what a TrueType contour of control points alone means.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables._g_l_y_f import Glyph
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from skimage.measure import find_contours

FINE = 24
"""Fine pixels to one of the font's, while tracing."""

MARGIN = 3
"""Empty pixels around the grid, for what the nib adds."""

PITCH = 0.45
"""Distance of control points, in the font's pixels."""

Pixels = NDArray[np.bool_]


@dataclass(frozen=True)
class Nib:
    """A pen held at forty degrees: its length and breadth, and how far it rounds corners, in pixels."""

    length: float
    breadth: float
    softness: float = 0.4


def trace(pixels: Pixels, left: int, bottom: int, unit: int, nib: Nib) -> Glyph:
    """A glyph whose pixel (row from above, column) becomes `unit` font units wide.

    `left` and `bottom` say where the grid's corner stands, in pixels.
    """
    pen = TTGlyphPen(None)
    rows = len(pixels)
    for ring in _rings(_inked(pixels, nib)):
        x = ring[:, 1] / FINE - MARGIN + left
        y = rows + MARGIN - ring[:, 0] / FINE + bottom
        points = np.rint(np.stack([x, y], axis=1) * unit).astype(int)
        pen.qCurveTo(*[(int(x), int(y)) for x, y in points], None)
        pen.closePath()
    return pen.glyph()


def _inked(pixels: Pixels, nib: Nib) -> NDArray[np.float32]:
    """Coverage 0 to 1 on the fine grid."""
    lines = cv2.GaussianBlur(_joined(pixels), (0, 0), nib.softness * FINE)
    lines = (lines > 0.36 * 255).astype(np.uint8) * 255
    inked = cv2.dilate(lines, _tip(nib))
    return cv2.GaussianBlur(inked, (0, 0), 0.12 * FINE).astype(np.float32) / 255


def _joined(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels as a net of lines through their middles; corners join only where no side does."""
    grid = np.pad(pixels, MARGIN)
    canvas = np.zeros([side * FINE for side in grid.shape], np.uint8)
    for row, column in np.argwhere(grid):
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1)):
            bridged = down and right and (grid[row + down, column] or grid[row, column + right])
            if grid[row + down, column + right] and not bridged:
                start, end = _middle(row, column), _middle(row + down, column + right)
                cv2.line(canvas, start, end, 255, round(0.5 * FINE), cv2.LINE_AA)
    solid = grid[:-1, :-1] & grid[1:, :-1] & grid[:-1, 1:] & grid[1:, 1:]
    for row, column in np.argwhere(solid):
        cv2.rectangle(canvas, _middle(row, column), _middle(row + 1, column + 1), 255, -1)
    return canvas


def _middle(row: int, column: int) -> tuple[int, int]:
    return int((column + 0.5) * FINE), int((row + 0.5) * FINE)


def _tip(nib: Nib) -> NDArray[np.uint8]:
    axes = (round(nib.length * FINE / 2), round(nib.breadth * FINE / 2))
    tip = np.zeros((2 * axes[0] + 1, 2 * axes[0] + 1), np.uint8)
    return cv2.ellipse(tip, (axes[0], axes[0]), axes, -40, 0, 360, 1, -1)


def _rings(inked: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Closed edges, smoothed along their way and thinned to control points; ink lies on their right."""
    rings = []
    for edge in find_contours(inked, 0.5, positive_orientation="high"):
        smooth = gaussian_filter1d(edge[:-1], 0.22 * FINE, axis=0, mode="wrap")
        count = max(8, round(_length(smooth) / (PITCH * FINE)))
        rings.append(smooth[np.linspace(0, len(smooth), count, endpoint=False).astype(int)])
    return rings


def _length(ring: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.diff(ring, axis=0), axis=1).sum())
