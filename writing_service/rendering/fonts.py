"""Fonts: which face draws which characters, opened once and shared.

Order for each grapheme cluster: the user's own folder, the bundled faces, the CJK package (with the
face of the word's language for Han). The first that has every character of the cluster draws it.
"""

import importlib.util
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import regex
import uharfbuzz as hb
from fontTools.ttLib import TTFont

from writing_service.errors import ConfigurationError

FACES = Path(__file__).parent / "faces"
_CJK_INDEX = {"ja": 0, "ko": 1, "zh": 2, "zh-tw": 3, "zh-hk": 4}
_CJK_BOLDNESS = 0.035
"""The CJK package has the regular weight only; this much of the em makes it match the bold faces."""

_OPEN = threading.Lock()
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")


@dataclass(frozen=True)
class Face:
    """One face of a font file. `boldness` is the share of the em by which its strokes are thickened."""

    path: Path
    index: int = 0
    boldness: float = 0.0

    @property
    def name(self) -> str:
        """For the metadata."""
        return f"{self.path.stem}#{self.index}" if self.index else self.path.stem

    def covers(self, cluster: str) -> bool:
        """Whether every visible character of the cluster has a glyph."""
        return all(ord(c) in self._code_points for c in _IGNORABLE.sub("", cluster))

    def missing(self, text: str) -> Iterator[str]:
        """Visible characters without a glyph."""
        return (c for c in _IGNORABLE.sub("", text) if ord(c) not in self._code_points)

    def open(self, embolden: float = 0.0) -> hb.Font:
        """A HarfBuzz font in units of a thousandth of the em; shared, never changed after."""
        return _open_font(self.path, self.index, round(self.boldness + embolden, 4))

    @cached_property
    def _code_points(self) -> frozenset[int]:
        with _OPEN:
            return frozenset(_open_face(self.path, self.index).unicodes)


class FontLibrary:
    """All faces at hand, in the order in which they are asked.

    `folder` holds the user's own fonts (.ttf, .otf, .ttc, .woff2). Raises ConfigurationError if it does not exist.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(
                f"ai_generation.fonts.folder '{folder}' is no folder; create it or leave it out."
            )
        own = sorted(folder.iterdir()) if folder else []
        suffixes = {".ttf", ".otf", ".ttc", ".woff2"}
        self._own = tuple(Face(path) for path in own if path.suffix.lower() in suffixes)
        self._bundled = tuple(Face(path) for path in sorted(FACES.glob("*.woff2")))
        self._cjk = {code: Face(_cjk_file(), at, _CJK_BOLDNESS) for code, at in _CJK_INDEX.items()}

    def faces(self, language: str) -> tuple[Face, ...]:
        """Every face, the best for the language first among the CJK ones."""
        return (*self._own, *self._bundled, self._cjk.get(language, self._cjk["zh"]))

    def face_for(self, cluster: str, language: str) -> Face | None:
        """The first face that draws the whole cluster, or None."""
        return next((face for face in self.faces(language) if face.covers(cluster)), None)

    def undrawable(self, text: str, language: str) -> list[str]:
        """Characters that no face has."""
        faces = self.faces(language)
        return [c for c in dict.fromkeys(text) if not any(face.covers(c) for face in faces)]


@lru_cache(maxsize=1)
def _cjk_file() -> Path:
    spec = importlib.util.find_spec("noto_cjk_sans_otc")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The package noto-cjk-sans-otc is missing; install the service's requirements again."
        )
    return Path(spec.origin).parent / "NotoSansCJK-Regular.ttc"


@lru_cache(maxsize=64)
def _open_face(path: Path, index: int) -> hb.Face:
    if path.suffix.lower() != ".woff2":
        return hb.Face(hb.Blob.from_file_path(str(path)), index)
    # HarfBuzz reads no WOFF2: unpack it in memory.
    unpacked = io.BytesIO()
    font = TTFont(path, recalcTimestamp=False)
    font.flavor = None
    font.save(unpacked)
    return hb.Face(unpacked.getvalue(), index)


@lru_cache(maxsize=128)
def _open_font(path: Path, index: int, boldness: float) -> hb.Font:
    with _OPEN:
        font = hb.Font(_open_face(path, index))
    font.scale = (1000, 1000)
    font.synthetic_bold = (boldness, boldness, False)
    return font
