"""How well the stroke data lies on drawn characters. Run by `make bench-strokes` (some minutes).

Every character of both data sets is drawn with the default CJK face of its set's language. The peer is what one
would do first: stretching the lines onto the glyph's ink box. Both are judged by the overlap of `stroke_fit`.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from writing_service.errors import UndrawableText
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.stroke_fit import box_fit, drift, overlap, read_glyph
from writing_service.rendering.strokes import (
    FOLDER,
    LEAST_FIT,
    CharacterStrokes,
    StrokeLibrary,
    placed,
    read_set,
)
from writing_service.types import Box, Mask, Size, StrokeType

SIDE = 512
SMALL = 32
LARGE = 1024
TIMED = 300
LANGUAGES = {"hanzi-writer-data": "zh", "kanjivg": "ja"}


@dataclass(frozen=True)
class Measured:
    """One character: how well the lines fit, the overlap of the fitted ones and of those stretched onto the box."""

    character: str
    fit: float
    overlap: float
    stretched: float

    @property
    def used(self) -> bool:
        """Whether it would get its strokes."""
        return self.fit >= LEAST_FIT


class Bench:
    """The fonts and the data."""

    def __init__(self) -> None:
        self._renderer = WordRenderer(FontLibrary())
        self.library = StrokeLibrary()

    def draw(self, character: str, language: str, side: int) -> tuple[Box, Mask]:
        """The character alone on a square canvas."""
        room = Box(side // 20, side // 20, side * 9 // 10, side * 9 // 10)
        mask = self._renderer.render(character, language, Size(side, side), room).mask
        return Box(*cv2.boundingRect(mask)), mask

    def drawable(self, characters: Iterable[str], language: str) -> list[str]:
        """Those that the fonts have."""
        return [character for character in characters if self._can_draw(character, language)]

    def _can_draw(self, character: str, language: str) -> bool:
        try:
            self.draw(character, language, SMALL)
        except UndrawableText:
            return False
        return True

    def strokes(self, character: str, source: str) -> CharacterStrokes:
        """From this set."""
        return next(s for s in self.library.candidates(character) if s.source == source)

    def measure(self, character: str, source: str, language: str) -> Measured:
        """Both fits of one character."""
        box, mask = self.draw(character, language, SIDE)
        strokes = self.strokes(character, source)
        glyph = read_glyph(box, mask)
        if glyph is None:
            return Measured(character, 0.0, 0.0, 0.0)
        start = box_fit([stroke.line for stroke in strokes.strokes], glyph)
        fit = placed(strokes, box, mask)[1]
        return Measured(character, fit, overlap(drift(start, glyph), glyph), overlap(start, glyph))

    def milliseconds(self, characters: Sequence[str], source: str) -> float:
        """Median time of placing the strokes of one character on a large canvas."""
        times: list[float] = []
        for character in characters[:: max(1, len(characters) // TIMED)]:
            strokes = self.strokes(character, source)
            box, mask = self.draw(character, LANGUAGES[source], LARGE)
            started = time.perf_counter()
            placed(strokes, box, mask)
            times.append((time.perf_counter() - started) * 1000)
        return float(np.median(times))

    def used(self, character: str, language: str, known: dict[str, dict[str, Measured]]) -> bool:
        """Whether the character gets strokes from any set, as `with_strokes` would decide."""
        for strokes in self.library.candidates(character, language):
            if LANGUAGES[strokes.source] == language:
                one = known[strokes.source].get(character)
            else:
                one = self.measure(character, strokes.source, language)
            if one and one.used:
                return True
        return False


def main() -> None:
    """Three tables: the sets, the standards' characters, the stroke types."""
    bench = Bench()
    known = {source: print_set(bench, source) for source in LANGUAGES}
    print()
    print(f"{'':26}{'characters':>11}{'with data':>11}{'used':>9}")
    for name, characters, language in standards():
        found = [c for c in characters if bench.library.find(c, language)]
        used = [c for c in bench.drawable(found, language) if bench.used(c, language, known)]
        print(f"{name:26}{len(characters):>11}{len(found):>11}{len(used):>9}")
    print_types(bench.library)


def print_set(bench: Bench, source: str) -> dict[str, Measured]:
    """One set's lines of the first table."""
    language = LANGUAGES[source]
    everything = bench.library.characters(source)
    drawable = bench.drawable(everything, language)
    measured = [bench.measure(character, source, language) for character in drawable]
    used = sum(one.used for one in measured)
    fitted = np.array([one.overlap for one in measured])
    stretched = np.array([one.stretched for one in measured])
    print(
        f"{source}: {len(everything)} characters, {len(drawable)} drawn in '{language}', ", end=""
    )
    print(f"strokes used for {used} ({used / len(drawable):.1%}; fit of {LEAST_FIT} and more)")
    print(f"  {'overlap':24}{'mean':>8}{'5th percentile':>16}")
    for name, values in (("stretched onto the box", stretched), ("fitted", fitted)):
        print(f"  {name:24}{values.mean():>8.3f}{np.percentile(values, 5):>16.3f}")
    ratio = fitted.mean() / stretched.mean()
    print(f"  {'ratio of the means':24}{ratio:>7.2f}×", end="")
    print(f"{bench.milliseconds(drawable, source):>14.1f} ms a character at {LARGE}²")
    return {one.character: one for one in measured}


def standards() -> list[tuple[str, list[str], str]]:
    """Character standards, by the rows of their tables, and the language in which they are drawn."""
    return [
        ("GB 2312, level 1", rows("gb2312", 16, 55), "zh"),
        ("GB 2312, level 2", rows("gb2312", 56, 87), "zh"),
        ("JIS X 0208, level 1", rows("euc_jp", 16, 47), "ja"),
        ("JIS X 0208, level 2", rows("euc_jp", 48, 84), "ja"),
        ("hiragana and katakana", rows("euc_jp", 4, 5), "ja"),
    ]


def rows(codec: str, first: int, last: int) -> list[str]:
    """The characters of these rows of a 94 × 94 table."""
    cells = (bytes([0xA0 + r, 0xA0 + c]) for r in range(first, last + 1) for c in range(1, 95))
    return [text for cell in cells if (text := cell.decode(codec, "ignore"))]


def print_types(library: StrokeLibrary) -> None:
    """How far the stroke types agree, over characters with as many strokes in both."""
    ours, dictionary, kanjivg = (
        read_set(FOLDER / f"{name}.npz") for name in ("hanzi_writer", "stroke_types", "kanjivg")
    )
    every = library.characters("hanzi-writer-data")
    places = {c: in_one_place(*found) for c in every if len(found := both(library, c)) == 2}
    print("\nequal stroke types")
    for name, one, other in (
        ("by geometry, cnchar-order's", ours, dictionary),
        ("by geometry, KanjiVG's", ours, kanjivg),
        ("cnchar-order's, KanjiVG's", dictionary, kanjivg),
    ):
        pairs = [(one.stroke_types(c), other.stroke_types(c)) for c in every]
        alike = [
            (pick(x, near), pick(y, near))
            for c, (x, y) in zip(every, pairs, strict=True)
            for near in [places.get(c, ())]
            if len(x) == len(y)
        ]
        print(f"  {name:32}{equal(pairs):>7.1%}", end="")
        print(f", {equal(alike):.1%} of the strokes that both sets have in one place")


Types = Sequence[StrokeType]


def equal(pairs: Iterable[tuple[Types, Types]]) -> float:
    """Share of equal types."""
    same = [a == b for x, y in pairs if len(x) == len(y) for a, b in zip(x, y, strict=True)]
    return float(np.mean(same))


def pick(types: Types, numbers: Iterable[int]) -> Types:
    """Those of these strokes."""
    return [types[number] for number in numbers]


def both(library: StrokeLibrary, character: str) -> list[CharacterStrokes]:
    """The character in every set that has it."""
    return list(library.candidates(character))


def in_one_place(one: CharacterStrokes, other: CharacterStrokes) -> list[int]:
    """Strokes whose middles are less than a tenth of the em apart: both sets write them at the same time."""
    if len(one.strokes) != len(other.strokes):
        return []
    pairs = enumerate(zip(one.strokes, other.strokes, strict=True))
    middles = ((n, a.line.mean(axis=0), b.line.mean(axis=0)) for n, (a, b) in pairs)
    return [number for number, a, b in middles if np.linalg.norm(a - b) < 0.1]


if __name__ == "__main__":
    main()
