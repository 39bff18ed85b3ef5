"""What characters are."""

import pytest

from writing_service.rendering.scripts import (
    is_emoji,
    resolved_scripts,
    script_of,
    split_graphemes,
)


@pytest.mark.parametrize(
    ("character", "script"),
    [
        ("学", "Han"),
        ("ー", "Common"),
        ("ꡏ", "Phags_Pa"),
        ("\ue000", "Tengwar"),
        ("\ue0a0", "Cirth"),
        ("\uf8d0", "Klingon"),
        ("\ue900", "Unknown"),
        ("\u0378", "Unknown"),
    ],
)
def test_scripts_have_their_unicode_names(character: str, script: str):
    assert script_of(character) == script


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("(学)", ["Han", "Han", "Han"]),
        ("3月", ["Han", "Han"]),
        ("a1б", ["Latin", "Latin", "Cyrillic"]),
        ("12!", ["Common", "Common", "Common"]),
    ],
)
def test_digits_and_punctuation_go_with_their_neighbours(text: str, scripts: list[str]):
    assert resolved_scripts(split_graphemes(text)) == scripts


@pytest.mark.parametrize(
    ("cluster", "emoji"),
    [
        ("😀", True),
        ("❤", False),
        ("❤\ufe0f", True),
        ("😀\ufe0e", False),
        ("1", False),
        ("1\ufe0f\u20e3", True),
        ("🇫🇷", True),
        ("👩\u200d🚀", True),
        ("a", False),
    ],
)
def test_emoji_are_told_from_letters_and_symbols(cluster: str, emoji: bool):
    assert is_emoji(cluster) == emoji


def test_tengwars_vowels_belong_to_their_letters():
    assert split_graphemes("\ue000\ue040\ue001") == ["\ue000\ue040", "\ue001"]
