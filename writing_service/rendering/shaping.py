"""Lines of glyphs from text: HarfBuzz shapes runs of one face, script and direction."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from writing_service.errors import UndrawableText
from writing_service.rendering.fonts import Placed
from writing_service.rendering.layout import Glyph
from writing_service.rendering.ordering import embedding_levels, visual_order
from writing_service.rendering.scripts import EAST_ASIAN, is_emoji
from writing_service.rendering.typefaces import Face, hb

UPRIGHT = EAST_ASIAN | {"Yi", "Nushu", "Tangut", "Khitan_Small_Script"}
"""Scripts whose characters stand upright in a column; all others lie on their side, as UAX #50 has it."""


@dataclass(frozen=True)
class Run:
    """Text of one face and one embedding level; `at` is its first character in the line."""

    text: str
    at: int
    face: Face
    level: int
    upright: bool


@dataclass(frozen=True)
class Line:
    """Pieces of text that stand in one line; `at` is the first one's character in the whole text."""

    pieces: Sequence[Placed]
    at: int
    language: str
    vertical: bool


def shape_line(line: Line, embolden: float) -> Iterator[Glyph]:
    """Glyphs in visual order, the line beginning at the origin. Raises UndrawableText for a missing glyph."""
    pen = 0.0
    for run in visual_order(list(_runs(line)), lambda run: run.level):
        buffer = _shaped(run, line.language, embolden)
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            at = line.at + run.at + info.cluster
            x, y, advance = place.x_offset, place.y_offset, place.x_advance - place.y_advance
            if run.upright:
                yield Glyph(run.face, info.codepoint, x, y - pen, at, advance)
            elif line.vertical:
                # On its side the line's own axis, not its baseline, stands in the column's middle.
                across = y - run.face.middle()
                yield Glyph(run.face, info.codepoint, across, -(pen + x), at, advance, turned=True)
            else:
                yield Glyph(run.face, info.codepoint, pen + x, y, at, advance)
            pen += advance


def _runs(line: Line) -> Iterator[Run]:
    """In logical order."""
    levels = embedding_levels("".join(piece.text for piece in line.pieces))
    singles: list[tuple[str, Run]] = []
    at = 0
    for piece in line.pieces:
        upright = line.vertical and _stands(piece)
        singles.append((piece.script, Run(piece.text, at, piece.face, levels[at], upright)))
        at += len(piece.text)
    for _, group in groupby(singles, key=lambda s: (s[0], s[1].face, s[1].level, s[1].upright)):
        runs = [run for _, run in group]
        first = runs[0]
        text = "".join(run.text for run in runs)
        yield Run(text, first.at, first.face, first.level, first.upright)


def _stands(piece: Placed) -> bool:
    """Whether it is upright in a column; so are letters of full width."""
    wide = unicodedata.east_asian_width(piece.text[0]) == "F"
    return wide or piece.script in UPRIGHT or is_emoji(piece.text)


def _shaped(run: Run, language: str, embolden: float) -> Any:
    """HarfBuzz's `Buffer`, shaped."""
    buffer = hb.Buffer()
    buffer.add_str(run.text)
    buffer.guess_segment_properties()
    buffer.direction = "ttb" if run.upright else "rtl" if run.level % 2 else "ltr"
    buffer.flags = hb.BufferFlags.REMOVE_DEFAULT_IGNORABLES
    if language:
        buffer.language = language
    hb.shape(run.face.open(embolden), buffer)
    if missing := [info.cluster for info in buffer.glyph_infos if info.codepoint == 0]:
        raise UndrawableText(run.text[cluster] for cluster in missing)
    return buffer
