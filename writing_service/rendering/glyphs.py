"""Draw a word: shape it with HarfBuzz, order it by Unicode bidi, fill its outlines.

Needs no system library: shaping, bidi and rasterising all come with pip, so that every machine joins
Arabic and reorders Devanagari alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, cast

import numpy as np
import uharfbuzz as hb
from bidi import algorithm as _bidi

from writing_service.errors import UndrawableText
from writing_service.rendering.fonts import Face, FontLibrary
from writing_service.rendering.scripts import identify, script_of, split_graphemes
from writing_service.types import Box, FaceKind, Mask, RenderedWord, Size, TextDirection

EM = 1000
LEADING = 1.1
"""Distance of lines, as a share of the em."""

MAX_LINES = 4
_FEWER_LINES = 1.15
"""A further line must make the word this much larger."""

# Typed loosely once, here: the package has no annotations for its stages.
bidi: Any = cast("Any", _bidi)


@dataclass(frozen=True)
class Glyph:
    """A glyph at its place: x to the right, y up, in thousandths of the em."""

    face: Face
    number: int
    x: float
    y: float


@dataclass(frozen=True)
class Outline:
    """Glyphs and the box around their ink."""

    glyphs: tuple[Glyph, ...]
    left: float
    bottom: float
    right: float
    top: float

    def scale_into(self, box: Box) -> float:
        """Pixels a unit when the ink just fits."""
        width, height = max(1.0, self.right - self.left), max(1.0, self.top - self.bottom)
        return min(box.width / width, box.height / height)


@dataclass(frozen=True)
class _Run:
    """Text of one face, one script and one embedding level (UAX #9; odd is right to left)."""

    face: Face
    script: str
    level: int
    text: str


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

        `embolden` thickens the strokes further by that share of the em. Raises UndrawableText.
        """
        report = identify(text, language)
        if unknown := self._fonts.undrawable(text, report.language):
            raise UndrawableText(unknown)
        outline = self._lay_out(text, report.language, box, embolden)
        mask = rasterize(outline, canvas, box, embolden)
        fonts = tuple(dict.fromkeys(glyph.face.name for glyph in outline.glyphs))
        return RenderedWord(text, report.script, report.language, mask, fonts)

    def _lay_out(self, text: str, language: str, box: Box, embolden: float) -> Outline:
        """Try one to four lines; take the largest word, and fewer lines unless more are clearly larger."""
        best = self._shape_lines([text], language, embolden)
        for lines in breakings(text):
            candidate = self._shape_lines(lines, language, embolden)
            if candidate.scale_into(box) > _FEWER_LINES * best.scale_into(box):
                best = candidate
        return best

    def _shape_lines(self, lines: Sequence[str], language: str, embolden: float) -> Outline:
        shaped = [list(self._shape_line(line, language, embolden)) for line in lines]
        return measure(list(_stack(shaped, embolden)), embolden)

    def _shape_line(self, line: str, language: str, embolden: float) -> Iterator[Glyph]:
        """Glyphs of one line in visual order."""
        pen = 0.0
        for run in _visual_order(list(self._runs(line, language))):
            buffer = _shape(run, language, embolden)
            for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
                yield Glyph(run.face, info.codepoint, pen + place.x_offset, float(place.y_offset))
                pen += place.x_advance

    def _runs(self, line: str, language: str) -> Iterator[_Run]:
        """Pieces of one face, script and level, in logical order."""
        levels = _levels(line)
        clusters: list[_Run] = []
        offset = 0
        for cluster in split_graphemes(line):
            script = _strong_script(cluster, clusters)
            clusters.append(_Run(self._face(cluster, language), script, levels[offset], cluster))
            offset += len(cluster)
        for (face, script, level), piece in groupby(
            clusters, key=lambda r: (r.face, r.script, r.level)
        ):
            yield _Run(face, script, level, "".join(run.text for run in piece))

    def _face(self, cluster: str, language: str) -> Face:
        face = self._fonts.face_for(cluster, language)
        if face is None:
            raise UndrawableText(cluster)
        return face


def breakings(text: str) -> Iterator[list[str]]:
    """Ways to break a text into two to four lines of about equal length: at spaces, else between Han or kana."""
    words = text.split(" ")
    pieces, glue = (words, " ") if len(words) > 1 else (_breakable(text), "")
    for count in range(2, min(MAX_LINES, len(pieces)) + 1):
        yield [glue.join(line) for line in _even_split(pieces, count)]


def measure(glyphs: Sequence[Glyph], embolden: float) -> Outline:
    """The ink box over all glyphs; glyphs without ink (spaces) do not count."""
    boxes = []
    for glyph in glyphs:
        if ink := ink_box(glyph.face, glyph.number, embolden):
            left, bottom, right, top = ink
            boxes.append((glyph.x + left, glyph.y + bottom, glyph.x + right, glyph.y + top))
    if not boxes:
        return Outline(tuple(glyphs), 0.0, 0.0, 0.0, 0.0)
    left, bottom, right, top = zip(*boxes, strict=True)
    return Outline(tuple(glyphs), min(left), min(bottom), max(right), max(top))


@lru_cache(maxsize=4096)
def ink_box(face: Face, glyph: int, embolden: float) -> tuple[int, int, int, int] | None:
    """Left, bottom, right, top of a glyph's ink, or None; kept, for thickened outlines are slow to measure."""
    extents = face.open(embolden).get_glyph_extents(glyph)
    if not extents or not extents.width or not extents.height:
        return None
    left, top = extents.x_bearing, extents.y_bearing
    return left, top + extents.height, left + extents.width, top


def rasterize(outline: Outline, canvas: Size, box: Box, embolden: float) -> Mask:
    """Fill the outlines, anti-aliased: (canvas height, canvas width) uint8."""
    scale = outline.scale_into(box)
    x = box.left + box.width / 2 - scale * (outline.left + outline.right) / 2
    y = canvas.height - (box.top + box.height / 2) - scale * (outline.bottom + outline.top) / 2
    painter = hb.RasterDraw()
    painter.extents = hb.RasterExtents(0, 0, canvas.width, canvas.height, 0)
    for glyph in outline.glyphs:
        painter.transform = (scale, 0.0, 0.0, scale, x + scale * glyph.x, y + scale * glyph.y)
        painter.draw_glyph(glyph.face.open(embolden), glyph.number)
    return _as_array(painter.render(), canvas)


def _as_array(image: Any, canvas: Size) -> Mask:
    """HarfBuzz's rows run upwards."""
    if image is None:
        return np.zeros((canvas.height, canvas.width), np.uint8)
    rows = np.frombuffer(image.buffer, np.uint8).reshape(canvas.height, image.extents.stride)
    return np.ascontiguousarray(rows[::-1, : canvas.width])


def _shape(run: _Run, language: str, embolden: float) -> hb.Buffer:
    buffer = hb.Buffer()
    buffer.add_str(run.text)
    buffer.guess_segment_properties()
    buffer.direction = "rtl" if run.level % 2 else "ltr"
    if language:
        buffer.language = language
    hb.shape(run.face.open(embolden), buffer)
    if missing := [info.cluster for info in buffer.glyph_infos if info.codepoint == 0]:
        raise UndrawableText(run.text[cluster] for cluster in missing)
    return buffer


def _stack(lines: Sequence[Sequence[Glyph]], embolden: float) -> Iterator[Glyph]:
    """Lines below one another, each centred on the widest."""
    extents = [measure(line, embolden) for line in lines]
    for number, (line, extent) in enumerate(zip(lines, extents, strict=True)):
        shift = -(extent.left + extent.right) / 2 if len(lines) > 1 else 0.0
        for glyph in line:
            yield Glyph(glyph.face, glyph.number, glyph.x + shift, glyph.y - number * LEADING * EM)


def _levels(text: str) -> list[int]:
    """Embedding level of each character (UAX #9); odd is right to left."""
    base = bidi.get_base_level(text)
    storage = bidi.get_empty_storage()
    storage["base_level"], storage["base_dir"] = base, ("L", "R")[base]
    bidi.get_embedding_levels(text, storage)
    bidi.explicit_embed_and_overrides(storage)
    bidi.resolve_weak_types(storage)
    bidi.resolve_neutral_types(storage, False)
    bidi.resolve_implicit_levels(storage, False)
    levels = [character["level"] for character in storage["chars"]]
    # Characters that the algorithm removes (explicit controls) keep the paragraph's own level.
    return levels if len(levels) == len(text) else [base] * len(text)


def _visual_order(runs: Sequence[_Run]) -> list[_Run]:
    """Rule L2: from the highest level down to the lowest odd one, reverse what is at least that deep."""
    ordered = list(runs)
    for level in range(max((run.level for run in runs), default=0), 0, -1):
        pieces = [list(piece) for _, piece in groupby(ordered, key=lambda run: run.level >= level)]
        ordered = [
            run for piece in pieces for run in (piece[::-1] if piece[0].level >= level else piece)
        ]
    return ordered


def _strong_script(cluster: str, before: Sequence[_Run]) -> str:
    """The cluster's script; digits and punctuation go on in the one before."""
    script = script_of(cluster[0])
    if script in ("Common", "Inherited") and before:
        return before[-1].script
    return script


def _breakable(text: str) -> list[str]:
    """Clusters, if the text is Han or kana throughout; else the text in one piece."""
    clusters = split_graphemes(text)
    free = {"Han", "Hiragana", "Katakana", "Common"}
    return clusters if all(script_of(cluster[0]) in free for cluster in clusters) else [text]


def _even_split(pieces: Sequence[str], count: int) -> Iterator[list[str]]:
    """Consecutive groups of about equal numbers of characters, none empty."""
    total = sum(map(len, pieces))
    line: list[str] = []
    done, lines = 0, 1
    for number, piece in enumerate(pieces):
        left = len(pieces) - number
        if line and lines < count and (done >= total * lines / count or left <= count - lines):
            yield line
            line, lines = [], lines + 1
        line.append(piece)
        done += len(piece)
    yield line
