"""Draw a word: choose its faces, shape it, lay it out, fill its outlines.

Needs no system library: shaping, bidi and rasterising all come with pip, so that every machine joins
Arabic and reorders Devanagari alike.
"""

import bisect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from writing_service.errors import FieldError, InvalidRequest
from writing_service.rendering.fonts import FontLibrary, Placed
from writing_service.rendering.languages import identify
from writing_service.rendering.layout import (
    Flow,
    Glyph,
    Outline,
    Placement,
    flow_of,
    measure,
    place,
    stack,
)
from writing_service.rendering.lines import Span, break_units, breakings
from writing_service.rendering.scripts import split_graphemes
from writing_service.rendering.shaping import Line, shape_line
from writing_service.rendering.typefaces import hb
from writing_service.types import (
    Box,
    DrawnCharacter,
    FaceKind,
    Mask,
    RenderedWord,
    Size,
    TextDirection,
)

_FEWER_LINES = 1.15
"""Further lines must make the word this much larger."""


@dataclass(frozen=True)
class _Setting:
    """A text with its faces, to be set in lines."""

    text: str
    pieces: Sequence[Placed]
    language: str
    flow: Flow
    embolden: float

    def outline(self, spans: Sequence[Span]) -> Outline:
        """Those parts of the text as lines."""
        lines = [list(shape_line(self._line(span), self.embolden)) for span in spans]
        glyphs = stack(lines, self.flow, self.embolden)
        return Outline(tuple(glyphs), measure(glyphs, self.embolden))

    def _line(self, span: Span) -> Line:
        starts = list(accumulate((len(piece.text) for piece in self.pieces), initial=0))
        first, end = bisect.bisect_left(starts, span[0]), bisect.bisect_left(starts, span[1])
        return Line(self.pieces[first:end], span[0], self.language, self.flow.vertical)


class WordRenderer:
    """Draws words with the fonts it is given. Several threads may share one."""

    def __init__(self, fonts: FontLibrary) -> None:
        self._fonts = fonts

    def render(
        self,
        text: str,
        language: str,
        canvas: Size,
        box: Box,
        *,
        embolden: float = 0.0,
        face: FaceKind = FaceKind.SANS,
        direction: TextDirection = TextDirection.AUTO,
    ) -> RenderedWord:
        """The word as large as fits into `box`, its ink centred there, on a mask of the canvas's size.

        `embolden` thickens the strokes further by that share of the em. Raises UndrawableText, and
        InvalidRequest for a word of which nothing is to be seen.
        """
        report = identify(text, language)
        pieces = self._fonts.assign(split_graphemes(text), report.language, face)
        flow = flow_of(report.script, direction)
        outline = _largest(_Setting(text, pieces, report.language, flow, embolden), box)
        if outline.ink is None:
            raise _without_ink(text)
        placement = place(outline, canvas, box)
        fonts = tuple(dict.fromkeys(glyph.face.name for glyph in outline.glyphs))
        return RenderedWord(
            text,
            report.script,
            report.language,
            rasterize(outline, placement, embolden),
            fonts,
            tuple(_characters(text, outline, placement, embolden)),
        )


def rasterize(outline: Outline, placement: Placement, embolden: float) -> Mask:
    """Fill the outlines, anti-aliased: (canvas height, canvas width) uint8."""
    canvas = placement.canvas
    painter = hb.RasterDraw()
    painter.extents = hb.RasterExtents(0, 0, canvas.width, canvas.height, 0)
    for glyph in outline.glyphs:
        painter.transform = placement.transform(glyph)
        painter.draw_glyph(glyph.face.open(embolden), glyph.number)
    return _as_array(painter.render(), canvas)


def _largest(setting: _Setting, box: Box) -> Outline:
    """In as many lines as make the word largest, but fewer unless more are clearly larger."""
    best = setting.outline([(0, len(setting.text))])
    units = break_units(setting.text)
    for spans in breakings(units, _widths(units, best.glyphs)):
        candidate = setting.outline(spans)
        if candidate.scale_into(box) > _FEWER_LINES * best.scale_into(box):
            best = candidate
    return best


def _widths(units: Sequence[str], glyphs: Sequence[Glyph]) -> list[float]:
    """What each unit takes of the line when the whole text stands in one."""
    ends = list(accumulate(map(len, units)))
    widths = [0.0] * len(units)
    for glyph in glyphs:
        widths[bisect.bisect_right(ends, glyph.at)] += glyph.advance
    return widths


def _characters(
    text: str, outline: Outline, placement: Placement, embolden: float
) -> Iterator[DrawnCharacter]:
    """What has ink, in the order of the text; clusters that share a glyph (a ligature) are one."""
    starts = list(accumulate(map(len, split_graphemes(text)), initial=0))
    glyphs: dict[int, list[Glyph]] = defaultdict(list)
    for glyph in outline.glyphs:
        glyphs[bisect.bisect_right(starts, glyph.at) - 1].append(glyph)
    owners = sorted(glyphs)
    for owner, following in zip(owners, [*owners[1:], len(starts) - 1], strict=True):
        ink = measure(glyphs[owner], embolden)
        if ink:
            drawn = text[starts[owner] : starts[following]].strip()
            yield DrawnCharacter(drawn, placement.box(ink))


def _without_ink(text: str) -> InvalidRequest:
    points = ", ".join(f"U+{ord(character):04X}" for character in dict.fromkeys(text))
    message = f"Nothing of the word is to be seen ({points}); send at least one visible character."
    return InvalidRequest(message, [FieldError("word", message)])


def _as_array(image: Any, canvas: Size) -> Mask:
    """HarfBuzz's rows run upwards."""
    if image is None:
        return np.zeros((canvas.height, canvas.width), np.uint8)
    rows = np.frombuffer(image.buffer, np.uint8).reshape(canvas.height, image.extents.stride)
    return np.ascontiguousarray(rows[::-1, : canvas.width])
