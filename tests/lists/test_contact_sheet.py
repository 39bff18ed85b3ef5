"""Contact sheets."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from writing_service.lists.contact_sheet import (
    COLUMNS,
    ROWS,
    SIDE,
    Entry,
    contact_sheet,
    save_contact_sheets,
)
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer

RENDERER = WordRenderer(FontLibrary())


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (96, 48), "red").save(path)
    return path


def ink(sheet: Image.Image) -> int:
    """Dark pixels: captions are the only ones."""
    return int((np.asarray(sheet.convert("RGB")).max(axis=2) < 128).sum())


def test_every_picture_has_its_word_and_meaning_below(red: Path):
    bare, word, both = (
        contact_sheet([Entry(red, *texts)], RENDERER)
        for texts in (("", ""), ("سلام", ""), ("سلام", "peace"))
    )
    assert bare.size == word.size == both.size
    assert ink(bare) == 0 < ink(word) < ink(both)
    assert bare.getpixel((bare.width // 2, SIDE // 2)) == (255, 0, 0)


def test_a_meaning_that_no_font_draws_or_that_is_long_spoils_nothing(red: Path):
    texts = ("\U00010f70", "very " * 40)
    assert ink(contact_sheet([Entry(red, "猫", one) for one in texts], RENDERER)) > 0


def test_a_long_list_takes_several_sheets(red: Path, tmp_path: Path):
    entries = [Entry(red, "", "")] * (COLUMNS * ROWS + 1)
    sheets = save_contact_sheets(entries, tmp_path / "out", RENDERER)
    assert [one.name for one in sheets] == ["contact-sheet-1.jpg", "contact-sheet-2.jpg"]
    widths = []
    for path in sheets:
        with Image.open(path) as sheet:
            widths.append(sheet.width)
    assert widths[0] > 5 * widths[1]
