"""Small fonts of one's own."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

MakeFont = Callable[[Path, Iterable[int]], Path]


@pytest.fixture
def make_font() -> MakeFont:
    """Writes a font whose characters are all the same square."""
    return _make_font


def _make_font(path: Path, codes: Iterable[int]) -> Path:
    pen = TTGlyphPen(None)
    for command, points in (("moveTo", [(0, 0)]), ("lineTo", [(0, 700)]), ("lineTo", [(700, 700)])):
        getattr(pen, command)(*points)
    pen.lineTo((700, 0))
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap(dict.fromkeys(codes, "square"))
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (800, 0), "square": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path
