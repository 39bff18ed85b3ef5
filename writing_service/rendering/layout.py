"""Glyphs in their places: lines and columns, measured by their ink. Lengths are thousandths of the em, y up."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from writing_service.rendering.typefaces import Face
from writing_service.types import Box, Size, TextDirection

EM = 1000
LEADING = 1.1
"""Distance of lines, as a share of the em; more where their ink would meet."""

_GAP = 0.1
"""Between the ink of two lines, as a share of the em."""

_WRITTEN_DOWNWARDS = frozenset({"Mongolian", "Phags_Pa"})
"""Scripts whose columns follow one another from left to right."""


class Ink(NamedTuple):
    """The box around what is drawn."""

    left: float
    bottom: float
    right: float
    top: float

    def at(self, x: float, y: float) -> "Ink":
        """Moved."""
        return Ink(self.left + x, self.bottom + y, self.right + x, self.top + y)

    def turned(self) -> "Ink":
        """Clockwise by a quarter, about the origin."""
        return Ink(self.bottom, -self.right, self.top, -self.left)


NO_INK = Ink(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Glyph:
    """A glyph in its place; `turned` clockwise by a quarter when it lies on its side.

    `at` is the character of the text that it belongs to, `advance` what it takes of its line.
    """

    face: Face
    number: int
    x: float
    y: float
    at: int
    advance: float
    turned: bool = False


@dataclass(frozen=True)
class Flow:
    """How lines run and follow one another: `step` is -1 for columns from right to left, 1 from left to right."""

    vertical: bool = False
    step: int = -1


@dataclass(frozen=True)
class Outline:
    """Glyphs and the box around their ink; `None` where nothing has ink."""

    glyphs: tuple[Glyph, ...]
    ink: Ink | None

    def scale_into(self, box: Box) -> float:
        """Pixels a unit when the ink just fits."""
        ink = self.ink or NO_INK
        width, height = max(1.0, ink.right - ink.left), max(1.0, ink.top - ink.bottom)
        return min(box.width / width, box.height / height)


@dataclass(frozen=True)
class Placement:
    """From the outline's units to the canvas: y up as rasterising has it, or down as pixels are counted."""

    scale: float
    x: float
    y: float
    canvas: Size

    def transform(self, glyph: Glyph) -> tuple[float, float, float, float, float, float]:
        """As HarfBuzz takes it: xx, yx, xy, yy, dx, dy."""
        x, y = self.x + self.scale * glyph.x, self.y + self.scale * glyph.y
        if glyph.turned:
            return 0.0, -self.scale, self.scale, 0.0, x, y
        return self.scale, 0.0, 0.0, self.scale, x, y

    def box(self, ink: Ink) -> Box:
        """The pixels that the ink touches, inside the canvas."""
        left, right = self.x + self.scale * ink.left, self.x + self.scale * ink.right
        top = self.canvas.height - self.y - self.scale * ink.top
        bottom = self.canvas.height - self.y - self.scale * ink.bottom
        columns = max(0, math.floor(left)), min(self.canvas.width, math.ceil(right))
        rows = max(0, math.floor(top)), min(self.canvas.height, math.ceil(bottom))
        return Box(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])


def flow_of(script: str, direction: TextDirection) -> Flow:
    """By what is asked, else as the script is written."""
    downwards = script in _WRITTEN_DOWNWARDS
    vertical = direction == TextDirection.VERTICAL or (
        direction == TextDirection.AUTO and downwards
    )
    return Flow(vertical, 1 if downwards else -1)


def measure(glyphs: Iterable[Glyph], embolden: float) -> Ink | None:
    """The ink box over all glyphs; glyphs without ink (spaces) do not count."""
    boxes = [box for glyph in glyphs if (box := ink_of(glyph, embolden))]
    if not boxes:
        return None
    left, bottom, right, top = zip(*boxes, strict=True)
    return Ink(min(left), min(bottom), max(right), max(top))


def ink_of(glyph: Glyph, embolden: float) -> Ink | None:
    """In the glyph's place."""
    ink = glyph_ink(glyph.face, glyph.number, embolden)
    if ink is None:
        return None
    return (ink.turned() if glyph.turned else ink).at(glyph.x, glyph.y)


@lru_cache(maxsize=8192)
def glyph_ink(face: Face, number: int, embolden: float) -> Ink | None:
    """A glyph's own, or None; kept, for thickened outlines are slow to measure."""
    if not face.has_ink(number):
        return None
    extents = face.open(embolden).get_glyph_extents(number)
    left, top = float(extents.x_bearing), float(extents.y_bearing)
    return Ink(left, top + extents.height, left + extents.width, top)


def stack(lines: Sequence[Sequence[Glyph]], flow: Flow, embolden: float) -> list[Glyph]:
    """Lines below one another, each centred; or columns beside one another, all from the same height."""
    placed: list[Glyph] = []
    before, offset = NO_INK, 0.0
    for number, line in enumerate(lines):
        ink = measure(line, embolden) or NO_INK
        offset += _distance(before, ink, flow) if number else 0.0
        if flow.vertical:
            x, y = flow.step * offset, 0.0
        else:
            x, y = (-(ink.left + ink.right) / 2 if len(lines) > 1 else 0.0), -offset
        placed += [replace(glyph, x=glyph.x + x, y=glyph.y + y) for glyph in line]
        before = ink
    return placed


def place(outline: Outline, canvas: Size, box: Box) -> Placement:
    """As large as fits into the box, the ink in its middle."""
    ink, scale = outline.ink or NO_INK, outline.scale_into(box)
    x = box.left + box.width / 2 - scale * (ink.left + ink.right) / 2
    y = canvas.height - (box.top + box.height / 2) - scale * (ink.bottom + ink.top) / 2
    return Placement(scale, x, y, canvas)


def _distance(before: Ink, ink: Ink, flow: Flow) -> float:
    """Of two lines: the usual one, or what keeps their ink apart."""
    if not flow.vertical:
        needed = ink.top - before.bottom
    elif flow.step > 0:
        needed = before.right - ink.left
    else:
        needed = ink.right - before.left
    return max(LEADING * EM, needed + _GAP * EM)
