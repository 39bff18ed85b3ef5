"""Words drawn right: whole, joined, in order, centred, filling their place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writing_service.errors import InvalidRequest, UndrawableText
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.system_fonts import NoSystemFonts
from writing_service.rendering.words import checked_word
from writing_service.types import Box, FaceKind, Mask, Size, TextDirection

CANVAS = Size(320, 240)
BOX = Box(20, 30, 280, 180)
WORDS = [
    "学习",
    "さくら",
    "カメラ",
    "사랑",
    "house",
    "Straße",
    "дом",
    "σπίτι",
    "سلام",
    "שלום",
    "कमल",
    "क्षत्रिय",
    "ปลา",
    "น้ำ",
    "3月",
    "a+b",
    "ភាសាខ្មែរ",
    "བོད་སྐད",
    "ᠮᠣᠩᠭᠣᠯ",
    "ꡏꡡꡃ",
    "မြန်မာ",
    "\ue003\ue04a\ue010\ue044\ue001\ue046",  # Tengwar
    "\ue080\ue081\ue08a",  # Cirth
    "\uf8d3\uf8d9\uf8d4",  # Klingon
    "👨‍👩‍👧👍🏽🇫🇷",
    "日本語 and العربية",
]


@pytest.fixture(scope="module")
def renderer() -> WordRenderer:
    return WordRenderer(FontLibrary(system=NoSystemFonts()))


def draw(renderer: WordRenderer, text: str, language: str = "auto") -> Mask:
    return renderer.render(text, language, CANVAS, BOX).mask


def ink(mask: Mask) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is covered."""
    rows, columns = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def narrow(renderer: WordRenderer, text: str) -> Mask:
    """Drawn so that the height decides the scale: shapes of equal height can be compared."""
    mask = renderer.render(text, "auto", Size(1200, 100), Box(0, 10, 1200, 80)).mask
    left, top, right, bottom = ink(mask)
    return mask[top:bottom, left:right]


@pytest.mark.parametrize("word", WORDS)
def test_every_script_fills_its_place_and_is_centred(renderer: WordRenderer, word: str):
    left, top, right, bottom = ink(draw(renderer, word))
    assert abs((left + right) / 2 - (BOX.left + BOX.width / 2)) <= 1.5
    assert abs((top + bottom) / 2 - (BOX.top + BOX.height / 2)) <= 1.5
    assert right - left <= BOX.width + 2
    assert bottom - top <= BOX.height + 2
    filled = max((right - left) / BOX.width, (bottom - top) / BOX.height)
    assert filled > 0.97


def test_strokes_have_soft_edges(renderer: WordRenderer):
    values = np.unique(draw(renderer, "学习"))
    assert len(values) > 50


def test_arabic_letters_join(renderer: WordRenderer):
    """Joined, سل is one piece of ink; a joiner-breaker between the letters leaves two."""
    import cv2

    joined, _ = cv2.connectedComponents((draw(renderer, "سل") > 127).astype(np.uint8))
    apart, _ = cv2.connectedComponents((draw(renderer, "س\u200cل") > 127).astype(np.uint8))
    assert joined == 2
    assert apart == 3


def test_hebrew_runs_from_right_to_left(renderer: WordRenderer):
    """In אל the thin lamed, the taller letter, stands on the left."""
    mask = narrow(renderer, "אל")
    top_rows = mask[: len(mask) // 8]
    columns = np.flatnonzero(top_rows.max(0) > 127)
    assert columns.mean() < mask.shape[1] / 2


def test_numbers_inside_right_to_left_text_run_from_left_to_right(renderer: WordRenderer):
    alone = narrow(renderer, "17")
    mixed = narrow(renderer, "אא 17")
    # Right to left, the number comes last and so stands on the left, its own digits in order.
    part = mixed[:, : alone.shape[1] * mixed.shape[0] // alone.shape[0]]
    assert part.shape[1] > 0
    flipped = narrow(renderer, "71")
    height = min(alone.shape[0], part.shape[0])
    width = min(alone.shape[1], part.shape[1], flipped.shape[1])

    def difference(one: Mask) -> float:
        return float(np.abs(part[:height, :width].astype(int) - one[:height, :width]).mean())

    assert difference(alone) < difference(flipped)


def test_devanagari_vowel_i_is_drawn_before_its_consonant(renderer: WordRenderer):
    """कि: the vowel's own stroke stands left of क, though it is typed after it."""
    letter, syllable = narrow(renderer, "क"), narrow(renderer, "कि")
    assert syllable.shape[1] > 0
    bottom = syllable[int(0.6 * len(syllable)) : int(0.9 * len(syllable))]
    first = np.flatnonzero(bottom.max(0) > 127)[0]
    # The vowel is a plain upright: at the left there is a full-height stroke.
    column = syllable[:, first : first + 6].max(1)
    assert (column > 127).mean() > 0.6
    assert letter.shape != syllable.shape


def test_a_thai_mark_stays_above_its_letter(renderer: WordRenderer):
    plain, marked = narrow(renderer, "น"), narrow(renderer, "น้")
    assert marked.shape[1] / marked.shape[0] < plain.shape[1] / plain.shape[0]


def test_han_takes_the_face_of_its_language(renderer: WordRenderer):
    """Mainland China, Taiwan, Hong Kong, Japan and Korea: no two of them write all of these alike."""
    languages = ("zh", "zh-tw", "zh-hk", "ja", "ko")
    drawn = {code: draw(renderer, "骨直令述", code).tobytes() for code in languages}
    assert len(set(drawn.values())) == len(languages)


def test_one_word_may_mix_scripts(renderer: WordRenderer):
    word = renderer.render("A学б", "auto", CANVAS, BOX)
    assert len(word.fonts) == 2


def test_punctuation_and_digits_take_the_face_of_their_neighbours(renderer: WordRenderer):
    for word in ("سلام ١٧", "3月", "月3", "«дом»"):
        assert len(renderer.render(word, "auto", CANVAS, BOX).fonts) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\U00016ea1", r"'\U00016ea1'|U\+16EA1"),
        ("a\U00011f02b", r"U\+11F02 "),
        ("\ue900", r"U\+E900 \(private use\)"),
        ("\ue0f5", r"U\+E0F5 \(private use\)"),
        ("a\ufdd0", r"U\+FDD0 \(no character"),
        ("\u0378", r"U\+0378 \(unassigned\)"),
        ("𝠀", r"U\+1D800 SIGNWRITING HAND-FIST INDEX"),
    ],
)
def test_a_character_that_no_font_has_is_refused_by_name(
    renderer: WordRenderer, text: str, told: str
):
    with pytest.raises(UndrawableText, match=told):
        draw(renderer, text)


@pytest.mark.parametrize("text", ["\u3164", "\u115f\u1160", "\u2800", "\ufe0f", "\u180b"])
def test_a_word_of_which_nothing_is_to_be_seen_is_refused(renderer: WordRenderer, text: str):
    with pytest.raises(InvalidRequest, match=r"Nothing of the word is to be seen \(U\+"):
        draw(renderer, text)


def test_long_phrases_break_into_lines(renderer: WordRenderer):
    left, top, right, bottom = ink(draw(renderer, "the quick brown fox jumps"))
    assert (bottom - top) > 0.4 * BOX.height
    assert right - left > 0.5 * BOX.width


def test_a_sign_that_the_letters_face_lacks_comes_from_another(renderer: WordRenderer):
    """A Tengwar letter under a Latin accent: each from its own face, none refused."""
    assert len(renderer.render("\ue000\u0301", "auto", CANVAS, BOX).fonts) == 2


def test_tengwar_vowels_stand_over_their_letters(renderer: WordRenderer):
    letters = renderer.render("\ue010\ue013", "auto", CANVAS, BOX)
    signed = renderer.render("\ue010\ue040\ue013\ue046", "auto", CANVAS, BOX)
    assert len(signed.characters) == 2
    shape = [one.box.width / one.box.height for one in letters.characters]
    assert all(
        one.box.width / one.box.height < s for one, s in zip(signed.characters, shape, strict=True)
    )


def test_characters_are_told_with_their_ink(renderer: WordRenderer):
    word = renderer.render("学 习!", "auto", CANVAS, BOX)
    assert [one.text for one in word.characters] == ["学", "习", "!"]
    for one in word.characters:
        box = one.box
        part = word.mask[box.top : box.top + box.height, box.left : box.left + box.width]
        assert part[0].any()
        assert part[-1].any()
        assert part[:, 0].any()
        assert part[:, -1].any()
    without = word.mask.copy()
    for box in (one.box for one in word.characters):
        without[box.top : box.top + box.height, box.left : box.left + box.width] = 0
    assert not without.any()


def test_the_characters_of_a_ligature_are_one_in_the_order_of_the_text(renderer: WordRenderer):
    word = renderer.render("سلام", "auto", CANVAS, BOX)
    assert [one.text for one in word.characters] == ["س", "لا", "م"]
    lefts = [one.box.left for one in word.characters]
    assert lefts == sorted(lefts, reverse=True)


@settings(deadline=None, max_examples=400)
@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.text(
            st.characters(exclude_categories=["Cs", "Cn", "Co"], max_codepoint=0x1FFFF), max_size=5
        ),
        st.text(st.sampled_from("aا学ᠮक\u200d\ufe0f\u0301👩🏽\u202e -"), max_size=12),
    ),
    st.sampled_from(FaceKind),
    st.sampled_from(TextDirection),
)
def test_any_text_leaves_ink_or_is_refused(
    renderer: WordRenderer, text: str, face: FaceKind, direction: TextDirection
):
    try:
        word = renderer.render(
            checked_word(text), "auto", CANVAS, BOX, face=face, direction=direction
        )
    except InvalidRequest:
        return
    assert word.mask.shape == (CANVAS.height, CANVAS.width)
    assert word.mask.any()
    assert word.characters
