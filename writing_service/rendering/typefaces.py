"""One face of a font file: what it covers, and how it is opened."""

import bisect
import io
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import regex
import uharfbuzz
from fontTools.ttLib import TTFont

# Typed loosely once, here: the package's annotations lack half of what it has.
hb: Any = cast("Any", uharfbuzz)

SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".otc", ".woff", ".woff2"})
"""Font files that can be opened."""

_OUTLINES = frozenset({"glyf", "CFF ", "CFF2"})
_OPEN = threading.Lock()
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_PRIVATE = regex.compile(r"\p{Co}")


@dataclass(frozen=True)
class Face:
    """One face of a font file. `boldness` is the share of the em by which its strokes are thickened.

    `private` says that its private-use characters may be believed: elsewhere they can be anything.
    `ranges` are pairs of first and last code point, where they are known without opening the file.
    """

    path: Path
    index: int = 0
    boldness: float = 0.0
    private: bool = False
    ranges: tuple[int, ...] = field(default=(), compare=False, repr=False)

    @property
    def name(self) -> str:
        """For the metadata."""
        return f"{self.path.stem}#{self.index}" if self.index else self.path.stem

    def covers(self, cluster: str) -> bool:
        """Whether every visible character of the cluster has a glyph, as it is or taken apart (NFD)."""
        visible = _IGNORABLE.sub("", cluster)
        return self._has_all(visible) or self._has_all(unicodedata.normalize("NFD", visible))

    def open(self, embolden: float = 0.0) -> Any:
        """A HarfBuzz `Font` in units of a thousandth of the em; shared, never changed after.

        Raises OSError for a file that cannot be read, and ValueError for one that is no font.
        """
        return _open_font(self.path, self.index, round(self.boldness + embolden, 4))

    def has_ink(self, glyph: int) -> bool:
        """By its plain outline: HarfBuzz reports a box for a thickened nothing."""
        extents = _open_font(self.path, self.index, 0.0).get_glyph_extents(glyph)
        return bool(extents and extents.width and extents.height)

    def middle(self) -> float:
        """Half-way between the lowest and the highest letters: the axis of a line on its side."""
        extents = self.open().get_font_extents("ltr")
        return (extents.ascender + extents.descender) / 2

    def _has_all(self, characters: str) -> bool:
        return all(self._has(ord(character)) for character in characters)

    def _has(self, code: int) -> bool:
        if self.ranges:
            at = bisect.bisect_right(self.ranges, code)
            return bool(at % 2) or (at > 0 and self.ranges[at - 1] == code)
        if not self.private and _PRIVATE.match(chr(code)):
            return False
        return bool(self.open().get_nominal_glyph(code))


def faces_of(path: Path, *, private: bool) -> Iterator[Face]:
    """Every face of a file. Raises OSError or ValueError for one that is no font."""
    for index in range(_open_face(path, 0).count):
        _open_face(path, index)
        yield Face(path, index, private=private)


@lru_cache(maxsize=256)
def _open_face(path: Path, index: int) -> Any:
    face = hb.Face(_unpacked(path), index)
    if not face.glyph_count or not _OUTLINES & set(face.table_tags):
        raise ValueError(f"'{path}' is no font with outlines")
    return face


def _unpacked(path: Path) -> Any:
    """HarfBuzz reads no WOFF: unpack it in memory. fontTools' errors are many; they become ValueError."""
    if path.suffix.lower() not in (".woff", ".woff2"):
        return _mapped(path)
    try:
        unpacked = io.BytesIO()
        with TTFont(path, recalcTimestamp=False) as font:
            font.flavor = None
            font.save(unpacked)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"'{path}' is no font") from error
    return hb.Blob(unpacked.getvalue())


def _mapped(path: Path) -> Any:
    """The file's bytes, read when they are needed."""
    try:
        return hb.Blob.from_file_path(str(path))
    except hb.HarfBuzzError as error:
        raise OSError(str(error)) from error


@lru_cache(maxsize=512)
def _open_font(path: Path, index: int, boldness: float) -> Any:
    with _OPEN:
        font = hb.Font(_open_face(path, index))
    font.scale = (1000, 1000)
    font.synthetic_bold = (boldness, boldness, False)
    return font
