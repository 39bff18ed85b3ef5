"""What of a text is the word, and what is told of the rest."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.errors import InvalidRequest
from writing_service.rendering.scripts import count_graphemes
from writing_service.rendering.words import (
    LONGEST_WORD,
    MOST_CODE_POINTS,
    MOST_MARKS,
    checked_word,
    dropped_from,
    normalize_word,
)


def test_a_word_is_trimmed_composed_and_freed_of_controls():
    assert normalize_word("  cafe\u0301\u200b \n au  lait\u202e ") == "café au lait"


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",
        "क्\u200dष",
        "👨‍👩‍👧",
        "❤\ufe0f",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "ᠮᠣᠩ\u180bᠭ",
        "\u0600١٢",  # a sign around numbers
        "Tiếng Việt",
        "בְּרֵאשִׁ֖ית",
        "น้ำ",
        "ཧྐྵྨླྺྼྻྂ",  # the tallest stack that is written
        "ကျွန်ုပ်",
    ],
)
def test_what_shapes_letters_stays_whole_and_untold(text: str):
    assert normalize_word(text) == unicodedata.normalize("NFC", text)
    assert dropped_from(text) == ()


@pytest.mark.parametrize(
    ("text", "word", "told"),
    [
        ("a\u202eb", "ab", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("a\u200bb\ufeff", "ab", "U+200B ZERO WIDTH SPACE, U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("a\x07b", "ab", "U+0007 control character"),
        ("\u200da \u200cb", "a b", "U+200D ZERO WIDTH JOINER"),
        ("क\u200d\u200dष", "क\u200dष", "U+200D"),
        ("hi\U000e0041", "hi", "U+E0041 TAG LATIN CAPITAL LETTER A"),
        ("a" + "\u0316" * 30, "a" + "\u0316" * MOST_MARKS, "22 were dropped"),
        ("\ue000" + "\ue040" * 9, "\ue000" + "\ue040" * MOST_MARKS, "1 were dropped"),
        ("\u2066\u2067\u2068\u2069\u202a\u202bx", "x", ", ..."),
    ],
)
def test_what_is_dropped_is_told(text: str, word: str, told: str):
    assert normalize_word(text) == word
    (warning,) = dropped_from(text)
    assert told in warning


def test_spaces_at_the_ends_are_not_worth_a_warning():
    assert dropped_from("  a \n b\t") == ()


@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "\u202e", "\u200d"])
def test_an_empty_word_is_refused(text: str):
    with pytest.raises(InvalidRequest, match="empty") as caught:
        checked_word(text)
    assert caught.value.fields[0].field == "word"


def test_length_counts_what_people_see():
    family = "👨‍👩‍👧"
    assert count_graphemes("कि" + family) == 2
    assert count_graphemes("\ue000\ue040\ue001") == 2
    assert checked_word("कि" * LONGEST_WORD)
    with pytest.raises(InvalidRequest, match=f"at most {LONGEST_WORD}"):
        checked_word("कि" * (LONGEST_WORD + 1))


@pytest.mark.parametrize("endless", ["👩\u200d" * 500, "\u1100" * 900, "क\u094d" * 500])
def test_a_character_without_end_is_refused(endless: str):
    assert count_graphemes(endless) <= LONGEST_WORD
    with pytest.raises(InvalidRequest, match=f"at most {MOST_CODE_POINTS}"):
        checked_word(endless)


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidRequest, match="surrogate"):
        checked_word("a\ud800")


@given(
    st.one_of(
        st.text(max_size=80),
        st.text(
            st.sampled_from("a\u0301\u200d\u200c\u202e\ufe0f 🏴\U000e0067\U000e007fक्"), max_size=20
        ),
    )
)
def test_any_text_is_a_word_or_is_refused(text: str):
    try:
        word = checked_word(text)
    except InvalidRequest:
        return
    assert 1 <= count_graphemes(word) <= LONGEST_WORD
    assert checked_word(word) == word
    assert dropped_from(word) == ()
    assert unicodedata.is_normalized("NFC", word)
