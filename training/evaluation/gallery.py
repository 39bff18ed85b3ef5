"""Sheets of pictures, small enough to be kept with the docs."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_BYTES = 300_000

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""


def fitted(picture: Picture, side: int) -> Picture:
    """Shrunk to fit a white square of `side` pixels."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cell = np.full((side, side, 3), 255, np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = small
    return cell


def sheet(rows: Sequence[Sequence[Picture]], side: int) -> Picture:
    """A grid of cells; short rows are filled up with white."""
    columns = max(len(row) for row in rows)
    empty = np.full((side, side, 3), 255, np.uint8)
    padded = [
        [*(fitted(one, side) for one in row), *[empty] * (columns - len(row))] for row in rows
    ]
    return np.vstack([np.hstack(row) for row in padded])


def in_rows(pictures: Sequence[Picture], columns: int) -> list[Sequence[Picture]]:
    """So many in a row."""
    return [pictures[start : start + columns] for start in range(0, len(pictures), columns)]


def save_sheet(file: Path, rows: Sequence[Sequence[Picture]], side: int) -> None:
    """WebP of at most `MOST_BYTES`, as good as that allows, unless even the lowest quality needs more."""
    image = Image.fromarray(sheet(rows, side))
    for quality in (85, 75, 65, 50, 35, 20):
        buffer = BytesIO()
        image.save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= MOST_BYTES:
            break
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(buffer.getvalue())
