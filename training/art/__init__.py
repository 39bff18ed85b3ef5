"""The training pictures: a scene painted in one of five styles."""

import random
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from training.art.comic import paint_comic
from training.art.ink import paint_ink
from training.art.layers import Layers, finished
from training.art.realistic import paint_realistic
from training.art.shapes import Motif, Shape, motif_of, strokes_of
from training.art.traditional import paint_traditional
from training.art.watercolor import paint_watercolor
from writing_service.types import Scene

Painter = Callable[[Shape, Motif | None, random.Random], Layers]

_PAINTERS: Mapping[str, Painter] = {
    "comic": paint_comic,
    "watercolor": paint_watercolor,
    "realistic": paint_realistic,
    "ink": paint_ink,
    "traditional": paint_traditional,
}

STYLES: tuple[str, ...] = tuple(_PAINTERS)


def paint(scene: Scene, style: str, seed: int) -> NDArray[np.uint8]:
    """The picture that a scene should become: (H, W, 3) uint8 RGB of the scene's own canvas.

    Equal scene, style and seed give equal pixels. The seed picks palette, background and the word's
    colour. Raises KeyError for a style that is not in `STYLES`.
    """
    painter = _PAINTERS[style]
    return finished(painter(strokes_of(scene), motif_of(scene), random.Random(seed)))


__all__ = ["STYLES", "paint"]
