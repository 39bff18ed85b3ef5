"""Words drawn right: whole, joined, in order, centred, filling their place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writing_service.errors import ConfigurationError, InvalidRequest, UndrawableText
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer, breakings
from writing_service.rendering.scripts import checked_word
from writing_service.types import Box, Mask, Size

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
]


@pytest.fixture(scope="module")
def renderer() -> WordRenderer:
    return WordRenderer(FontLibrary())


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
    faces = {code: draw(renderer, "骨直", code).tobytes() for code in ("zh", "zh-tw", "ja")}
    assert len(set(faces.values())) == 3


def test_one_word_may_mix_scripts(renderer: WordRenderer):
    word = renderer.render("A学б", "auto", CANVAS, BOX)
    assert len(word.fonts) == 2


def test_a_character_that_no_font_has_is_refused_by_name(renderer: WordRenderer):
    with pytest.raises(UndrawableText, match=r"U\+0D85 SINHALA LETTER AYANNA"):
        draw(renderer, "aඅ")


def test_a_folder_of_fonts_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"fonts\.folder"):
        FontLibrary(tmp_path / "none")


def test_fonts_of_the_users_own_come_first(tmp_path):
    from writing_service.rendering.fonts import FACES

    (tmp_path / "mine.woff2").write_bytes((FACES / "NotoSans-Bold.woff2").read_bytes())
    word = WordRenderer(FontLibrary(tmp_path)).render("abc", "auto", CANVAS, BOX)
    assert word.fonts == ("mine",)


def test_long_phrases_break_into_lines(renderer: WordRenderer):
    left, top, right, bottom = ink(draw(renderer, "the quick brown fox jumps"))
    assert (bottom - top) > 0.4 * BOX.height
    assert right - left > 0.5 * BOX.width


@given(st.lists(st.sampled_from(["ab", "c", "defg"]), min_size=1, max_size=9))
def test_breaking_loses_and_adds_nothing(words: list[str]):
    text = " ".join(words)
    for lines in breakings(text):
        assert " ".join(lines) == text
        assert all(lines)


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=12))
def test_any_text_is_drawn_or_refused(text: str):
    renderer = WordRenderer(FontLibrary())
    try:
        word = checked_word(text)
        mask = draw(renderer, word)
    except InvalidRequest:
        return
    assert mask.shape == (CANVAS.height, CANVAS.width)
