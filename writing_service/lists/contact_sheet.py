"""Contact sheets: the pictures of a list side by side, each with its word and its meaning below."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from writing_service.errors import InvalidRequest
from writing_service.rendering.glyphs import WordRenderer
from writing_service.saving import save
from writing_service.types import Box, Size

COLUMNS, ROWS = 6, 8
"""Of a full sheet."""
SIDE, MARGIN = 208, 16
WORD_HEIGHT, MEANING_HEIGHT = 36, 24
"""Pixels."""
LONGEST_MEANING = 30
"""Characters that are shown of it."""
_QUALITY = 88
_INK = 32
_FAINT = 110


@dataclass(frozen=True)
class Entry:
    """One picture and what stands below it."""

    picture: Path
    word: str
    translation: str


def save_contact_sheets(
    entries: Sequence[Entry], folder: Path, renderer: WordRenderer
) -> list[Path]:
    """As many sheets as are needed: contact-sheet.jpg, or contact-sheet-1.jpg, -2 and so on. Raises InvalidRequest."""
    full = COLUMNS * ROWS
    parts = [entries[start : start + full] for start in range(0, len(entries), full)]
    names = [
        f"contact-sheet-{at}.jpg" if len(parts) > 1 else "contact-sheet.jpg"
        for at, _ in enumerate(parts, 1)
    ]
    return [
        save(folder / name, _jpeg(contact_sheet(part, renderer)))
        for name, part in zip(names, parts, strict=True)
    ]


def contact_sheet(entries: Sequence[Entry], renderer: WordRenderer) -> Image.Image:
    """One sheet, RGB on white."""
    columns = min(COLUMNS, len(entries))
    rows = -(-len(entries) // columns)
    step = Size(SIDE + MARGIN, SIDE + WORD_HEIGHT + MEANING_HEIGHT + MARGIN)
    sheet = Image.new("RGB", (columns * step.width + MARGIN, rows * step.height + MARGIN), "white")
    for at, entry in enumerate(entries):
        left, top = MARGIN + at % columns * step.width, MARGIN + at // columns * step.height
        for part, below in _cell(entry, renderer):
            sheet.paste(part, (left + (SIDE - part.width) // 2, top + below))
    return sheet


def _cell(entry: Entry, renderer: WordRenderer) -> Iterator[tuple[Image.Image, int]]:
    """Its parts, and how far below the cell's top each begins."""
    with Image.open(entry.picture) as picture:
        small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    yield small, (SIDE - small.height) // 2
    yield _line(entry.word, WORD_HEIGHT, _INK, renderer), SIDE
    meaning = entry.translation
    if len(meaning) > LONGEST_MEANING:
        meaning = f"{meaning[: LONGEST_MEANING - 1]}…"
    yield _line(meaning, MEANING_HEIGHT, _FAINT, renderer), SIDE + WORD_HEIGHT


def _line(text: str, height: int, grey: int, renderer: WordRenderer) -> Image.Image:
    """The text, as large as fits; an empty line for one that no font draws."""
    room = Box(2, 8, SIDE - 4, height - 10)
    try:
        mask = renderer.render(text, "auto", Size(SIDE, height), room).mask
    except InvalidRequest:
        mask = np.zeros((height, SIDE), np.uint8)
    ink = 255 - mask.astype(np.float32) * ((255 - grey) / 255)
    return Image.fromarray(ink.astype(np.uint8)).convert("RGB")


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
