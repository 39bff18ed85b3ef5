"""The second opinion: what is the same word, which reader can read it, and that print is read."""

from collections.abc import Iterator

import numpy as np
import pytesseract
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.legibility.conftest import WordOf, in_colours
from writing_service.legibility.rapid import RapidOCR
from writing_service.legibility.reading import Reading, bare, edit_distance, read, read_word
from writing_service.legibility.tesseract import Tesseract
from writing_service.types import Pixels

needs_tesseract = pytest.mark.skipif(bool(Tesseract().missing()), reason="needs tesseract")
needs_rapidocr = pytest.mark.skipif(bool(RapidOCR().missing()), reason="needs rapidocr")


@given(st.text(max_size=12))
def test_what_is_bare_stays_bare(text: str):
    once = bare(text)
    assert bare(once) == once
    assert bare(f" {text}\n") == once


@given(st.text(alphabet=[chr(code) for code in range(0x41, 0x5B)], max_size=6))
def test_case_and_marks_between_make_no_other_word(text: str):
    assert bare("\u200e".join(text.lower()) + " .") == bare(text)


def test_another_letter_makes_another_word():
    assert bare("cat") != bare("car")
    assert bare("サ") != bare("さ")
    assert bare("ｃａｔ") == "cat"


@given(st.text(max_size=8), st.text(max_size=8))
def test_the_edit_distance_is_a_share(one: str, other: str):
    distance = edit_distance(one, other)
    assert 0 <= distance <= 1
    assert (distance == 0) == (one == other)
    assert distance == edit_distance(other, one)


class Parrot:
    """Reads what it is told, one text a layer, of one script."""

    name = "parrot"

    def __init__(self, *told: str, script: str = "Latin") -> None:
        self._told, self._script = told, script
        self.asked = 0

    def missing(self) -> str | None:
        return None

    def language_for(self, script: str, language: str) -> str | None:
        return "any" if script == self._script else None

    def texts(self, crop: Pixels, length: int, language: str) -> Iterator[str]:
        for one in self._told:
            self.asked += 1
            yield one


CROP = np.zeros((96, 96, 3), np.uint8)


def test_of_all_layers_the_nearest_text_counts_and_the_word_itself_ends_the_search():
    parrot = Parrot("xyz", "ca", " Cat.\n", "dog")
    assert read(CROP, "cat", parrot, "any") == Reading("Cat.", 0.0, "parrot", "any")
    assert parrot.asked == 3
    missed = read(CROP, "cart", Parrot("xyz", "cat"), "any")
    assert (missed.text, missed.distance, missed.exact) == ("cat", 0.25, False)
    assert read(CROP, "cat", Parrot(), "any").distance == 1


def test_the_next_reader_is_asked_only_for_what_one_cannot_read(word_of: WordOf):
    word = word_of("owl")
    picture = np.asarray(word.image)
    right, wrong, other = Parrot("owl"), Parrot("own"), Parrot("owl", script="Han")
    assert read_word(picture, word, [other]) is None
    assert read_word(picture, word, [right, wrong]).exact
    assert (right.asked, wrong.asked, other.asked) == (1, 0, 0)
    assert read_word(picture, word, [wrong, other]).text == "own"
    assert read_word(picture, word, [wrong, right]).exact


@needs_rapidocr
@pytest.mark.parametrize("text", ["guitar", "猫", "さくらのはな"])
def test_rapidocr_reads_gold_on_blue(word_of: WordOf, text: str):
    word = word_of(text)
    picture = in_colours(word.mask, (214, 168, 60), (60, 120, 200))
    found = read_word(picture, word, [RapidOCR()])
    assert found is not None
    assert found.exact, found
    assert read_word(picture, word_of("дом"), [RapidOCR()]) is None


@needs_tesseract
def test_tesseract_knows_the_words_language_by_its_own_name(word_of: WordOf):
    reader = Tesseract()
    if "chi_sim" in pytesseract.get_languages():
        assert reader.language_for("Han", "zh") == "chi_sim"
    assert reader.language_for("Latin", "en") == "eng"
    assert "eng" in (reader.language_for("Latin", "") or "").split("+")
    assert reader.language_for("Runic", "") is None


@needs_tesseract
def test_tesseract_reads_gold_on_blue(word_of: WordOf):
    word = word_of("guitar")
    picture = in_colours(word.mask, (214, 168, 60), (60, 120, 200))
    found = read_word(picture, word, [Tesseract()])
    assert found is not None
    assert (found.exact, found.reader) == (True, "tesseract")
