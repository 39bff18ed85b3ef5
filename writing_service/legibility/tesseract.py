"""Tesseract: reads whatever scripts it has languages for, from the layers of a crop.

Needs the pip package pytesseract and the program tesseract itself, with data for each language that is to be read.
"""

import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from writing_service.conditioning.base import as_mask
from writing_service.legibility.layers import GAPS, HEIGHT, OUTLINES, layers
from writing_service.rendering.languages import language_code, scripts_of
from writing_service.types import Mask, Pixels

_RAW_LINE = 13
"""Tesseract's page mode that looks for no words in a line."""

_CHINESE = {"chi_sim": ("zh",), "chi_tra": ("zh-tw", "zh-hk")}


class Tesseract:
    """See Reader."""

    name = "tesseract"

    def missing(self) -> str | None:
        """See Reader."""
        try:
            import pytesseract

            pytesseract.get_tesseract_version()
        except ImportError:
            return "needs pip install 'writing-service[ocr]'"
        except (OSError, SystemExit):
            return "needs the program tesseract (Debian: tesseract-ocr)"
        return None

    def language_for(self, script: str, language: str) -> str | None:
        """See Reader. Where the language is not known or not installed: all installed ones of its script."""
        installed = _installed()
        exact = [name for name, codes in installed.items() if language in codes]
        alike = [name for name, codes in installed.items() if script in _scripts(codes)]
        return "+".join(exact or alike) or None

    def texts(self, crop: Pixels, length: int, language: str) -> Iterator[str]:
        """See Reader."""
        for several, mode in _attempts(crop, _page_mode(crop, length)):
            yield from _read_all(several, language, mode)


@cache
def _installed() -> dict[str, tuple[str, ...]]:
    """ISO 639 codes by tesseract's name of the language, which is an older code."""
    import pytesseract

    names = [name for name in pytesseract.get_languages() if name.replace("_", "").isalpha()]
    codes = {name: _CHINESE.get(name) or (language_code(name) or "",) for name in names}
    return {name: known for name, known in codes.items() if _scripts(known)}


def _scripts(codes: Sequence[str]) -> set[str]:
    """In which the languages are written most of all."""
    return {script for code in codes for script in scripts_of(code)[:1]}


def _attempts(crop: Pixels, usual: int) -> Iterator[tuple[Sequence[Mask], int]]:
    """Layers to read by one call, and the page mode; likely ones first, for most words are read at once.

    Words in a brush face are often read only as a raw line, or small.
    """
    # As several layers of plain print are the same, each is taken once.
    candidates = list(
        {layer.tobytes(): layer for layer in layers(crop) if _has_ink(layer)}.values()
    )
    first, clusters, further = candidates[:10], candidates[10:24], candidates[24:]
    for several, mode in (
        (first[:1], usual),
        (first[1:], usual),
        (first, _RAW_LINE),
        ([_halved(layer) for layer in first], usual),
        (clusters, usual),
        (clusters, _RAW_LINE),
        (further, usual),
        ([_halved(layer) for layer in further[-len(OUTLINES) * len(GAPS) :]], usual),
    ):
        if several:
            yield several, mode


def _halved(layer: Mask) -> Mask:
    return as_mask(cv2.resize(layer, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def _has_ink(layer: Mask) -> bool:
    """Between a hundredth and 99 hundredths; nearly empty pages are no words, and tesseract falls over some."""
    middle = (int(layer.min()) + int(layer.max()) + 1) / 2
    return 0.01 < float(np.mean(layer < middle)) < 0.99


def _read_all(several: Sequence[Mask], language: str, mode: int) -> list[str]:
    import pytesseract

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for index, layer in enumerate(several):
            files.append(str(Path(folder) / f"{index}.png"))
            framed = cv2.copyMakeBorder(layer, 16, 16, 16, 16, cv2.BORDER_REPLICATE)
            cv2.imwrite(files[-1], framed)
        names = Path(folder) / "layers.txt"
        names.write_text("\n".join(files))
        try:
            told = pytesseract.image_to_string(str(names), lang=language, config=f"--psm {mode}")
        except pytesseract.TesseractError:
            # It crashed at one of them, and took the others along.
            return (
                [one for layer in several for one in _read_all([layer], language, mode)]
                if len(several) > 1
                else []
            )
    return str(told).split("\f")


def _page_mode(crop: Pixels, length: int) -> int:
    """Tesseract's: a word, a line, a block of lines. Single characters are read best as words."""
    if length == 1:
        return 8
    return 7 if crop.shape[0] <= HEIGHT else 6
