"""What script a word is in, and what of a text is the word."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.errors import InvalidRequest
from writing_service.rendering.scripts import (
    LONGEST_WORD,
    checked_word,
    count_graphemes,
    identify,
    language_code,
    normalize_word,
)


@pytest.mark.parametrize(
    ("text", "script", "language"),
    [
        ("学习", "Han", "zh"),
        ("食べる", "Hiragana", "ja"),
        ("勉強する", "Han", "ja"),
        ("カメラ", "Katakana", "ja"),
        ("사랑", "Hangul", "ko"),
        ("house", "Latin", ""),
        ("дом", "Cyrillic", ""),
        ("σπίτι", "Greek", "el"),
        ("سلام", "Arabic", ""),
        ("שלום", "Hebrew", "he"),
        ("कमल", "Devanagari", ""),
        ("ปลา", "Thai", "th"),
        ("123", "Common", ""),
    ],
)
def test_the_script_and_its_likely_language(text: str, script: str, language: str):
    report = identify(text)
    assert (report.script, report.language, report.warnings) == (script, language, ())


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("auto", None),
        ("Chinese", "zh"),
        ("zh_TW", "zh-tw"),
        ("zh-Hant", "zh-tw"),
        ("de-AT", "de"),
        ("Klingon", "klingon"),
    ],
)
def test_names_and_codes_of_languages(asked: str, code: str | None):
    assert language_code(asked) == code


def test_a_language_that_contradicts_the_script_is_a_warning():
    assert "Han" in identify("学习", "russian").warnings[0]


def test_an_unknown_language_is_a_warning_and_the_script_decides():
    report = identify("学习", "dothraki")
    assert report.language == "zh"
    assert "dothraki" in report.warnings[0]


def test_a_word_is_trimmed_composed_and_freed_of_controls():
    assert normalize_word("  cafe\u0301\u200b \n au  lait\u202e ") == "café au lait"


def test_joiners_stay_for_they_shape_letters():
    assert normalize_word("می\u200cخواهم") == "می\u200cخواهم"


@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "\u202e"])
def test_an_empty_word_is_refused(text: str):
    with pytest.raises(InvalidRequest, match="empty") as caught:
        checked_word(text)
    assert caught.value.fields[0].field == "word"


def test_length_counts_what_people_see():
    family = "👨‍👩‍👧"
    assert count_graphemes("कि" + family) == 2
    assert checked_word("कि" * LONGEST_WORD)
    with pytest.raises(InvalidRequest, match=f"at most {LONGEST_WORD}"):
        checked_word("कि" * (LONGEST_WORD + 1))


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidRequest, match="surrogate"):
        checked_word("a\ud800")


@given(st.text(max_size=80))
def test_any_text_is_a_word_or_is_refused(text: str):
    try:
        word = checked_word(text)
    except InvalidRequest:
        return
    assert 1 <= count_graphemes(word) <= LONGEST_WORD
    assert checked_word(word) == word
    assert unicodedata.is_normalized("NFC", word)
    identify(word)
