"""What the word is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.prompt.wording import word_kind
from writing_service.rendering.languages import identify, misleading_name


@pytest.mark.parametrize(
    ("word", "language", "kind"),
    [
        ("学", "auto", "the Chinese character"),
        ("学习", "auto", "the Chinese characters"),
        ("学", "japanese", "the kanji"),
        ("学習", "japanese", "the Japanese word"),
        ("學", "korean", "the hanja"),
        ("ねこ", "auto", "the Japanese word"),
        ("한", "auto", "the Hangul syllable"),
        ("한글", "auto", "the Hangul word"),
        ("سلام", "auto", "the Arabic word"),
        ("سلام", "persian", "the Persian word"),
        ("س", "auto", "the Arabic letter"),
        ("שלום", "yiddish", "the Yiddish word"),
        ("дом", "russian", "the Cyrillic word"),
        ("कि", "hindi", "the Devanagari letter"),
        ("Apfel", "german", "the German word"),
        ("apple", "auto", "the word in Latin letters"),
        ("ᚠᛖ", "auto", "the runic inscription"),
        ("ᚠ", "auto", "the rune"),
        ("Ꮳ", "auto", "the Cherokee syllable"),
        ("ᓄᓇ", "auto", "the Canadian Aboriginal word"),
        ("\ue000\ue001", "auto", "the Tengwar inscription"),
        ("\uf8d0", "auto", "the Klingon letter"),
        ("𒀀𒀁", "auto", "the Cuneiform inscription"),
        ("42", "auto", "the number"),
        ("😀", "auto", "the emoji"),
        ("👩‍🚀", "auto", "the emoji"),
        ("★", "auto", "the word"),
    ],
)
def test_it_is_true_for_the_word_at_hand(word: str, language: str, kind: str):
    report = identify(word, language)
    named = misleading_name(report.script, report.language)
    assert word_kind(word, report.script, report.language, named) == kind


@given(st.text(min_size=1, max_size=8))
def test_any_word_is_called_something_readable(word: str):
    kind = word_kind(word, identify(word).script)
    assert kind.startswith("the ")
    assert "_" not in kind
