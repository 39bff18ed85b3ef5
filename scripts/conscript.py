"""Make the face for scripts that Unicode has no room for: GNU Unifont's pixels, drawn anew as strokes.

Tengwar, Cirth and Klingon pIqaD stand at the private-use points of the ConScript Unicode Registry.
"""

from pathlib import Path

import numpy as np
import uharfbuzz as hb
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph
from trace_pixels import Nib, Pixels, trace

UNIT = 64
"""Font units to a pixel; the em is 16 pixels."""

PEN = 4
"""Units of the source's em to a pixel."""

LEFT, BOTTOM, WIDTH, HEIGHT = -16, -4, 36, 24
"""The pixels looked at, around the origin."""

# The registry's own points; Unifont fills the rest of each range with boxes of digits.
TENGWAR = [
    *range(0xE000, 0xE02F), *range(0xE030, 0xE033), *range(0xE034, 0xE03E),
    *range(0xE040, 0xE05B), *range(0xE060, 0xE06D), *range(0xE070, 0xE07E),
]  # fmt: skip
CIRTH = range(0xE080, 0xE0ED)
KLINGON = [*range(0xF8D0, 0xF8EA), *range(0xF8F0, 0xF8FA), *range(0xF8FD, 0xF900)]
NIBS = {
    **dict.fromkeys(TENGWAR, Nib(0.8, 0.15)),
    **dict.fromkeys(CIRTH, Nib(0.6, 0.3)),
    **dict.fromkeys(KLINGON, Nib(0.25, 0.1, softness=0.6)),
}

SIGNS = [*range(0xE040, 0xE05B), 0xE07D, *range(0xE0EA, 0xE0ED)]
"""What stands above or below a letter: Tengwar's vowels, marks of both."""

AIR, LEAST = 2.6, 5.5
"""Pixels between letters, and a letter's least width."""

WAIST = range(0, 8)
"""The rows of a letter's bow, in pixels from the baseline: signs stand over it, not over the stem."""


def conscript_face(source: Path) -> TTFont:
    """A TrueType face with the signs anchored to their letters. `source` is unifont_csur.otf."""
    face = hb.Font(hb.Face(hb.Blob.from_file_path(str(source))))
    pixels = {code: _pixels(face, code) for code in NIBS}
    names = {code: f"u{code:04X}" for code in NIBS}
    builder = FontBuilder(16 * UNIT, isTTF=True)
    builder.setupGlyphOrder([".notdef", "space", *names.values()])
    builder.setupCharacterMap({0x20: "space", **names})
    builder.setupGlyf(
        {".notdef": _nothing(), "space": _nothing()}
        | {
            names[code]: trace(p, LEFT + _shift(code, p), BOTTOM, UNIT, NIBS[code])
            for code, p in pixels.items()
        }
    )
    bearings = builder.font["glyf"]
    widths = {names[code]: _advance(code, p) for code, p in pixels.items()}
    builder.setupHorizontalMetrics(
        {name: (widths.get(name, 8 * UNIT), getattr(bearings[name], "xMin", 0) or 0)
         for name in builder.font.getGlyphOrder()}
    )  # fmt: skip
    builder.setupHorizontalHeader(ascent=14 * UNIT, descent=-4 * UNIT)
    builder.setupNameTable({"familyName": "ConScript", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=14 * UNIT, sTypoDescender=-4 * UNIT)
    builder.setupPost(keepGlyphNames=False)
    builder.font["head"].created = builder.font["head"].modified = 0
    addOpenTypeFeaturesFromString(builder.font, _anchors(pixels, names))
    builder.font.recalcTimestamp = False
    return builder.font


def _pixels(face: hb.Font, code: int) -> Pixels:
    """(HEIGHT, WIDTH), the first row on top."""
    painter = hb.RasterDraw()
    painter.extents = hb.RasterExtents(LEFT, BOTTOM, WIDTH, HEIGHT, 0)
    painter.transform = (1 / PEN, 0.0, 0.0, 1 / PEN, 0.0, 0.0)
    painter.draw_glyph(face, face.get_nominal_glyph(code))
    image = painter.render()
    rows = np.frombuffer(image.buffer, np.uint8).reshape(HEIGHT, image.extents.stride)
    return rows[::-1, :WIDTH] > 127


def _advance(code: int, pixels: Pixels) -> int:
    """Signs have no width; letters have room for ink, air and a sign."""
    return 0 if code in SIGNS else int(max(np.ptp(_columns(pixels)) + 1 + AIR, LEAST) * UNIT)


def _shift(code: int, pixels: Pixels) -> float:
    """By how many pixels a letter moves into the middle of its width; signs stay."""
    if code in SIGNS:
        return 0.0
    return (_advance(code, pixels) - 2 * _middle(pixels)) / 2 / UNIT


def _anchors(pixels: dict[int, Pixels], names: dict[int, str]) -> str:
    """Feature code: signs above and below hang by their middle on the middle of the letter's bow."""
    lines = []
    for code in SIGNS:
        side = "TOP" if _rows(pixels[code]).mean() > 4 else "BOTTOM"
        lines.append(f"markClass {names[code]} <anchor {_middle(pixels[code])} 0> @{side};")
    lines.append("feature mark {")
    for code in (*TENGWAR, *CIRTH):
        if code in SIGNS:
            continue
        bow = pixels[code][[HEIGHT - 1 + BOTTOM - row for row in WAIST]]
        at = _middle(bow if bow.any() else pixels[code]) + int(_shift(code, pixels[code]) * UNIT)
        anchors = " ".join(f"<anchor {at} 0> mark @{side}" for side in ("TOP", "BOTTOM"))
        lines.append(f"pos base {names[code]} {anchors};")
    return "\n".join([*lines, "} mark;"])


def _rows(pixels: Pixels) -> np.ndarray:
    """Of the ink, upwards from the baseline."""
    return HEIGHT - 1 + BOTTOM - np.flatnonzero(pixels.any(axis=1))


def _columns(pixels: Pixels) -> np.ndarray:
    """Of the ink, from the grid's left."""
    return np.flatnonzero(pixels.any(axis=0))


def _middle(pixels: Pixels) -> int:
    """Of the ink, in font units."""
    columns = _columns(pixels)
    return int((columns[0] + columns[-1] + 1 + 2 * LEFT) / 2 * UNIT)


def _nothing() -> Glyph:
    return TTGlyphPen(None).glyph()
