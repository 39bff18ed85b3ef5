"""Strokes of Han characters and kana: order, centre line, type, radical and component.

Two data sets, each in a file of its own under its own licence (`stroke_data/`, packed by
`scripts/build_strokes.py`). They were drawn for other faces, so `placed` fits them to the drawn character.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from writing_service.rendering.stroke_fit import box_fit, drift, overlap, read_glyph, steadiness
from writing_service.types import Box, DrawnCharacter, Line, Mask, RenderedWord, Stroke, StrokeType

FOLDER = Path(__file__).parent / "stroke_data"
GRID = 1023
"""Coordinates are stored in this many steps a side."""

LEAST_FIT = 0.78
"""Strokes that fit the drawn character less than this are not used: one in a hundred of those of the right
character, and all but three in a hundred of those of a wrong one with as many strokes."""

_FILES = {"hanzi-writer-data": "hanzi_writer.npz", "kanjivg": "kanjivg.npz"}
_TYPES = "stroke_types.npz"
_SELECTORS = "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
"""Variation selectors: they choose among forms of one character."""


@dataclass(frozen=True, eq=False)
class CharacterStrokes:
    """A character's strokes in writing order, in the unit square, y down; `source` names the data set."""

    character: str
    strokes: tuple[Stroke, ...]
    source: str


@dataclass(frozen=True, eq=False)
class StrokeSet:
    """One file: characters by code point, sorted, and where the strokes of each and the points of each stroke end."""

    codes: NDArray[np.uint32]
    stroke_ends: NDArray[np.int64]
    types: tuple[StrokeType, ...]
    point_ends: NDArray[np.int64]
    points: Line
    radical: NDArray[np.bool_]
    component: NDArray[np.uint8]

    def strokes(self, character: str) -> tuple[Stroke, ...]:
        """In writing order; none for a character that the set lacks."""
        return tuple(map(self._stroke, self._numbers(character)))

    def stroke_types(self, character: str) -> tuple[StrokeType, ...]:
        """Of each stroke."""
        return tuple(self.types[number] for number in self._numbers(character))

    def _numbers(self, character: str) -> range:
        code = ord(character)
        at = int(np.searchsorted(self.codes, code))
        if at == len(self.codes) or self.codes[at] != code:
            return range(0)
        return range(_start(self.stroke_ends, at), int(self.stroke_ends[at]))

    def _stroke(self, number: int) -> Stroke:
        line = self.points[_start(self.point_ends, number) : self.point_ends[number]]
        radical, component = bool(self.radical[number]), int(self.component[number])
        return Stroke(line, self.types[number], radical, component)


class StrokeLibrary:
    """The data sets, each read when it is first needed. Several threads may share one."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._sets: dict[str, StrokeSet] = {}
        self._lock = threading.Lock()

    def find(self, character: str, language: str = "") -> CharacterStrokes | None:
        """The strokes of the set that the language prefers, else of the other; None if no set has the character."""
        return next(self.candidates(character, language), None)

    def candidates(self, character: str, language: str = "") -> Iterator[CharacterStrokes]:
        """From each set that has the character: Japanese takes KanjiVG first, all others hanzi-writer-data.

        `character` is one code point; variation selectors behind it do not matter.
        """
        base = character.rstrip(_SELECTORS)
        if len(base) != 1:
            return
        for source in ("kanjivg", "hanzi-writer-data")[:: 1 if language == "ja" else -1]:
            if strokes := self._set(_FILES[source]).strokes(base):
                yield CharacterStrokes(base, self._typed(base, strokes, source), source)

    def characters(self, source: str) -> str:
        """All characters of a data set, by code point. Raises KeyError for an unknown one."""
        return "".join(map(chr, self._set(_FILES[source]).codes))

    def _typed(
        self, character: str, strokes: tuple[Stroke, ...], source: str
    ) -> tuple[Stroke, ...]:
        """hanzi-writer-data has no types: a dictionary's, if it counts as many strokes, else the geometry's."""
        if source != "hanzi-writer-data":
            return strokes
        types = self._set(_TYPES).stroke_types(character)
        if len(types) != len(strokes):
            return strokes
        return tuple(replace(one, type=kind) for one, kind in zip(strokes, types, strict=True))

    def _set(self, file: str) -> StrokeSet:
        with self._lock:
            if file not in self._sets:
                self._sets[file] = read_set(self._folder / file)
            return self._sets[file]


def placed(strokes: CharacterStrokes, box: Box, mask: Mask) -> tuple[tuple[Stroke, ...], float]:
    """The strokes on the drawn character, in pixels of the canvas, and how well they fit, 0 to 1.

    `box` is the character's ink on the canvas, `mask` the canvas. The fit is the overlap (intersection over
    union of the ink and of strokes drawn along the lines, as wide as the ink is there) times the mean cosine
    by which the lines had to turn; 0 where nothing is drawn. Below LEAST_FIT they should not be used.
    """
    glyph = read_glyph(box, mask)
    if glyph is None:
        return (), 0.0
    start = box_fit([stroke.line for stroke in strokes.strokes], glyph)
    bundle = drift(start, glyph)
    lines = [line / glyph.scale + glyph.origin for line in bundle.lines]
    fit = overlap(bundle, glyph) * steadiness(start, bundle)
    return tuple(replace(s, line=at) for s, at in zip(strokes.strokes, lines, strict=True)), fit


def with_strokes(word: RenderedWord, library: StrokeLibrary) -> RenderedWord:
    """The word with the strokes of each character that a data set has and that fit what is drawn."""
    found = (_with_strokes(one, word, library) for one in word.characters)
    return replace(word, characters=tuple(found))


def _with_strokes(
    character: DrawnCharacter, word: RenderedWord, library: StrokeLibrary
) -> DrawnCharacter:
    """From the first data set whose strokes fit."""
    for candidate in library.candidates(character.text, word.language):
        strokes, fit = placed(candidate, character.box, word.mask)
        if fit >= LEAST_FIT:
            return replace(character, strokes=strokes, stroke_source=candidate.source)
    return character


def read_set(file: Path) -> StrokeSet:
    """Unpack a file of `stroke_data`; the one with types alone has no lines."""
    with np.load(file) as columns:
        kinds = [StrokeType(name) for name in columns["type_names"]]
        types = tuple(kinds[number] for number in columns["types"])
        lines = "steps" in columns
        steps = columns["steps"] if lines else np.zeros((2, 0), np.int16)
        points = (np.cumsum(steps, axis=1, dtype=np.int32).T / np.float32(GRID)).astype(np.float32)
        points.flags.writeable = False
        return StrokeSet(
            columns["codes"],
            np.cumsum(columns["strokes"], dtype=np.int64),
            types,
            np.cumsum(columns["points"] if lines else [], dtype=np.int64),
            points,
            np.unpackbits(columns["radical"] if lines else np.zeros(0, np.uint8)).astype(np.bool_),
            columns["component"] if lines else np.zeros(0, np.uint8),
        )


def _start(ends: NDArray[np.int64], at: int) -> int:
    return int(ends[at - 1]) if at else 0
