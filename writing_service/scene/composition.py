"""Where the word stands and where its pictogram: several layouts, chosen by the seed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.strokes import StrokeLibrary, with_strokes
from writing_service.types import (
    Box,
    FaceKind,
    Pictogram,
    Pixels,
    RenderedWord,
    Scene,
    Size,
    TextDirection,
)


@dataclass(frozen=True)
class Place:
    """A rectangle in shares of the canvas: its centre, width and height."""

    x: float
    y: float
    width: float
    height: float

    def on(self, canvas: Size) -> Box:
        """In pixels, inside the canvas, at least one pixel."""
        width = max(1, min(canvas.width, round(self.width * canvas.width)))
        height = max(1, min(canvas.height, round(self.height * canvas.height)))
        left = round(self.x * canvas.width - width / 2)
        top = round(self.y * canvas.height - height / 2)
        return Box(
            min(max(0, left), canvas.width - width),
            min(max(0, top), canvas.height - height),
            width,
            height,
        )


@dataclass(frozen=True)
class Layout:
    """Places of the word and of its pictogram."""

    word: Place
    pictogram: Place


ALONE = Layout(Place(0.5, 0.5, 0.80, 0.72), Place(0.5, 0.5, 0.0, 0.0))

_SQUARE: Mapping[str, Layout] = {
    "below": Layout(Place(0.5, 0.755, 0.86, 0.37), Place(0.5, 0.40, 0.70, 0.70)),
    "above": Layout(Place(0.5, 0.245, 0.86, 0.37), Place(0.5, 0.60, 0.70, 0.70)),
    "centre": Layout(Place(0.5, 0.52, 0.86, 0.52), Place(0.5, 0.48, 0.84, 0.84)),
}
_WIDE: Mapping[str, Layout] = {
    "right": Layout(Place(0.66, 0.5, 0.58, 0.74), Place(0.24, 0.5, 0.46, 0.84)),
    "left": Layout(Place(0.34, 0.5, 0.58, 0.74), Place(0.76, 0.5, 0.46, 0.84)),
    "centre": Layout(Place(0.5, 0.52, 0.80, 0.62), Place(0.5, 0.48, 0.80, 0.90)),
}
_TALL: Mapping[str, Layout] = {
    "below": Layout(Place(0.5, 0.74, 0.84, 0.38), Place(0.5, 0.34, 0.86, 0.56)),
    "above": Layout(Place(0.5, 0.26, 0.84, 0.38), Place(0.5, 0.66, 0.86, 0.56)),
    "centre": Layout(Place(0.5, 0.52, 0.82, 0.56), Place(0.5, 0.48, 0.90, 0.76)),
}
_JITTER = 0.02


class SceneComposer:
    """Composes a word and its pictogram on a canvas."""

    def __init__(self, renderer: WordRenderer, strokes: StrokeLibrary | None = None) -> None:
        """`strokes` None is the shipped library."""
        self._renderer = renderer
        self._strokes = strokes or StrokeLibrary()

    def compose(
        self,
        word: str,
        language: str,
        canvas: Size,
        pictogram: Pictogram | None,
        seed: int,
        *,
        face: FaceKind = FaceKind.SANS,
        direction: TextDirection = TextDirection.AUTO,
    ) -> Scene:
        """The same arguments give the same scene. Raises UndrawableText."""
        rng = random.Random(seed)

        def draw(box: Box) -> RenderedWord:
            rendered = self._renderer.render(
                word, language, canvas, box, face=face, direction=direction
            )
            return with_strokes(rendered, self._strokes)

        if pictogram is None:
            return Scene(draw(ALONE.word.on(canvas)), "alone")
        name, layout = _choose(layouts_for(canvas), rng)
        rendered = draw(_moved(layout.word, rng).on(canvas))
        box = _largest_square(_moved(layout.pictogram, rng).on(canvas))
        return Scene(rendered, name, pictogram, place_art(pictogram.pixels, box, canvas))


def layouts_for(canvas: Size) -> Mapping[str, Layout]:
    """By the canvas's shape."""
    if canvas.width >= 1.3 * canvas.height:
        return _WIDE
    return _TALL if canvas.height >= 1.3 * canvas.width else _SQUARE


def place_art(art: Pixels, box: Box, canvas: Size) -> Pixels:
    """Resize straight-alpha RGBA into `box` of an empty (height, width, 4) canvas.

    Colours are weighted by alpha while resizing: else the invisible pixels' colours would fringe the edges.
    """
    alpha = art[..., 3:].astype(np.float32) / 255
    weighted = np.concatenate([art[..., :3] * alpha, alpha * 255], axis=-1)
    shrinking = box.width < art.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    resized = cv2.resize(weighted, (box.width, box.height), interpolation=method)
    resized = resized.reshape(box.height, box.width, 4)
    opacity = np.clip(resized[..., 3:], 0, 255)
    colours = resized[..., :3] * (255 / np.maximum(opacity, 1))
    placed = np.zeros((canvas.height, canvas.width, 4), np.uint8)
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    placed[rows, columns] = np.clip(np.concatenate([colours, opacity], axis=-1) + 0.5, 0, 255)
    return placed


def _choose(layouts: Mapping[str, Layout], rng: random.Random) -> tuple[str, Layout]:
    names: Sequence[str] = tuple(layouts)
    name = rng.choice(names)
    return name, layouts[name]


def _moved(place: Place, rng: random.Random) -> Place:
    size = rng.uniform(0.93, 1.0)
    shift_x, shift_y = rng.uniform(-_JITTER, _JITTER), rng.uniform(-_JITTER, _JITTER)
    return Place(place.x + shift_x, place.y + shift_y, place.width * size, place.height * size)


def _largest_square(box: Box) -> Box:
    """Centred in the box: pictograms are square."""
    side = min(box.width, box.height)
    return Box(box.left + (box.width - side) // 2, box.top + (box.height - side) // 2, side, side)
