"""Where the word stands and where its pictogram: several layouts, chosen by the seed.

In some the word is a caption before its subject; in the others it is a thing of the scene: the
ground on which the subject stands, or what the subject grows out of.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.languages import identify
from writing_service.rendering.layout import flow_of
from writing_service.rendering.strokes import StrokeLibrary, with_strokes
from writing_service.scene.joining import Join, Side, joined_box
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
    """The word's place, and its pictogram's: a place of its own, or joined to the word's ink."""

    word: Place
    pictogram: Place | Join

    @property
    def weight(self) -> int:
        """Joined ones are chosen twice as often."""
        return 2 if isinstance(self.pictogram, Join) else 1


ALONE = Place(0.5, 0.5, 0.80, 0.72)

_MIDDLE = (0.3, 0.4, 0.5, 0.6, 0.7)
_ENDS = (0.0, 0.12, 0.25, 0.75, 0.88, 1.0)
_ANYWHERE = (0.1, 0.3, 0.5, 0.7, 0.9)
_ON_TOP = (Side.TOP,)
_BESIDE = (Side.LEFT, Side.RIGHT)

_SQUARE: Mapping[str, Layout] = {
    "below": Layout(Place(0.5, 0.755, 0.86, 0.37), Place(0.5, 0.40, 0.70, 0.70)),
    "above": Layout(Place(0.5, 0.245, 0.86, 0.37), Place(0.5, 0.60, 0.70, 0.70)),
    "across": Layout(Place(0.5, 0.79, 0.86, 0.32), Place(0.5, 0.49, 0.88, 0.88)),
    "ground": Layout(Place(0.5, 0.725, 0.85, 0.42), Join(_ON_TOP, 0.42, 0.68, _MIDDLE)),
    "grown": Layout(Place(0.5, 0.63, 0.85, 0.59), Join(_ON_TOP, 0.38, 0.62, _ENDS)),
}
_WIDE: Mapping[str, Layout] = {
    "right": Layout(Place(0.66, 0.5, 0.58, 0.74), Place(0.24, 0.5, 0.46, 0.84)),
    "left": Layout(Place(0.34, 0.5, 0.58, 0.74), Place(0.76, 0.5, 0.46, 0.84)),
    "ground": Layout(Place(0.5, 0.71, 0.90, 0.48), Join(_ON_TOP, 0.44, 0.70, _ANYWHERE)),
    "grown right": Layout(Place(0.37, 0.5, 0.62, 0.80), Join((Side.RIGHT,), 0.50, 0.86, _MIDDLE)),
    "grown left": Layout(Place(0.63, 0.5, 0.62, 0.80), Join((Side.LEFT,), 0.50, 0.86, _MIDDLE)),
}
_TALL: Mapping[str, Layout] = {
    "below": Layout(Place(0.5, 0.74, 0.84, 0.38), Place(0.5, 0.34, 0.86, 0.56)),
    "above": Layout(Place(0.5, 0.26, 0.84, 0.38), Place(0.5, 0.66, 0.86, 0.56)),
    "across": Layout(Place(0.5, 0.68, 0.86, 0.33), Place(0.5, 0.46, 0.92, 0.70)),
    "ground": Layout(Place(0.5, 0.72, 0.88, 0.46), Join(_ON_TOP, 0.60, 0.90, _MIDDLE)),
    "grown": Layout(Place(0.5, 0.66, 0.88, 0.56), Join(_ON_TOP, 0.50, 0.72, _ENDS)),
}
_COLUMN: Mapping[str, Layout] = {
    "right": Layout(Place(0.76, 0.5, 0.40, 0.88), Place(0.34, 0.5, 0.62, 0.88)),
    "left": Layout(Place(0.24, 0.5, 0.40, 0.88), Place(0.66, 0.5, 0.62, 0.88)),
    "grown right": Layout(Place(0.28, 0.5, 0.44, 0.88), Join((Side.RIGHT,), 0.44, 0.70, _MIDDLE)),
    "grown left": Layout(Place(0.72, 0.5, 0.44, 0.88), Join((Side.LEFT,), 0.44, 0.70, _MIDDLE)),
}
_TALL_COLUMN: Mapping[str, Layout] = {
    "ground": Layout(Place(0.5, 0.665, 0.60, 0.60), Join(_ON_TOP, 0.55, 0.80, _MIDDLE)),
    "grown": Layout(Place(0.5, 0.58, 0.60, 0.74), Join((*_ON_TOP, *_BESIDE), 0.42, 0.60, _ENDS)),
    "across": Layout(Place(0.5, 0.70, 0.60, 0.54), Place(0.5, 0.35, 0.92, 0.64)),
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
        room: bool = False,
    ) -> Scene:
        """The same arguments give the same scene. Raises UndrawableText.

        `room` is for a subject that the text alone is to bring: its place is one of few, and stays free
        where there is no pictogram.
        """
        rng = random.Random(seed)

        def draw(box: Box) -> RenderedWord:
            rendered = self._renderer.render(
                word, language, canvas, box, face=face, direction=direction
            )
            return with_strokes(rendered, self._strokes)

        if pictogram is None and not room:
            return Scene(draw(ALONE.on(canvas)), "alone")
        vertical = flow_of(identify(word, language).script, direction).vertical
        layouts = layouts_for(canvas, vertical)
        name, layout = _choose(_roomy(layouts) if room else layouts, rng)
        rendered = draw(_moved(layout.word, rng).on(canvas))
        if pictogram is None:
            return Scene(rendered, name)
        art = _trimmed(pictogram.pixels)
        if isinstance(layout.pictogram, Join):
            box = joined_box(rendered.mask, art[..., 3], layout.pictogram, rng)
        else:
            place = layout.pictogram if room else _moved(layout.pictogram, rng)
            box = _fitted(place.on(canvas), art)
        return Scene(rendered, name, pictogram, place_art(art, box, canvas))


def layouts_for(canvas: Size, vertical: bool = False) -> Mapping[str, Layout]:
    """By the canvas's shape, and by whether the word runs downwards."""
    tall = canvas.height >= 1.3 * canvas.width
    if vertical:
        return _TALL_COLUMN if tall else _COLUMN
    if canvas.width >= 1.3 * canvas.height:
        return _WIDE
    return _TALL if tall else _SQUARE


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


def _roomy(layouts: Mapping[str, Layout]) -> Mapping[str, Layout]:
    """The first two in which the subject has a place of its own: what is nowhere to be seen must be guessed, and
    the fewer places it may have, the better it can be."""
    own = [one for one in layouts.items() if isinstance(one[1].pictogram, Place)]
    return dict(own[:2])


def _choose(layouts: Mapping[str, Layout], rng: random.Random) -> tuple[str, Layout]:
    weights = [layout.weight for layout in layouts.values()]
    return rng.choices(tuple(layouts.items()), weights)[0]


def _moved(place: Place, rng: random.Random) -> Place:
    size = rng.uniform(0.93, 1.0)
    shift_x, shift_y = rng.uniform(-_JITTER, _JITTER), rng.uniform(-_JITTER, _JITTER)
    return Place(place.x + shift_x, place.y + shift_y, place.width * size, place.height * size)


def _trimmed(art: Pixels) -> Pixels:
    """Without its empty margins, which would leave the subject small and away from what it touches."""
    left, top, width, height = cv2.boundingRect((art[..., 3] > 127).astype(np.uint8))
    return art[top : top + height, left : left + width] if width else art


def _fitted(box: Box, art: Pixels) -> Box:
    """The largest box of the art's proportions, centred in `box`."""
    rows, columns = art.shape[:2]
    scale = min(box.width / columns, box.height / rows)
    width, height = max(round(columns * scale), 1), max(round(rows * scale), 1)
    left, top = box.left + (box.width - width) // 2, box.top + (box.height - height) // 2
    return Box(left, top, width, height)
