"""The reader: what is the same word, where it looks, and that it reads what is printed."""

import random
import shutil

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation import reading
from training.evaluation.held_out import HELD_OUT, SCRIPTS
from training.words import random_word
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Meaning, RenderedWord, Size, TextDirection

needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="needs tesseract")


def word_of(text: str, direction: TextDirection = TextDirection.AUTO) -> RenderedWord:
    composer = SceneComposer(WordRenderer(FontLibrary()))
    return composer.compose(text, "auto", Size(256, 256), None, 1, direction=direction).word


@given(st.text(max_size=12))
def test_what_is_bare_stays_bare(text: str):
    bare = reading.bare(text)
    assert reading.bare(bare) == bare
    assert reading.bare(f" {text}\n") == bare


@given(st.text(alphabet=[chr(code) for code in range(0x41, 0x5B)], max_size=6))
def test_case_and_marks_between_make_no_other_word(text: str):
    assert reading.bare("\u200e".join(text.lower()) + " .") == reading.bare(text)


def test_another_letter_makes_another_word():
    assert reading.bare("cat") != reading.bare("car")
    assert reading.bare("サ") != reading.bare("さ")
    assert reading.bare("ｃａｔ") == "cat"


def test_the_crop_holds_the_word_and_little_else():
    word = word_of("owl")
    crop = reading.crop_of(np.asarray(word.image), word)
    assert crop.shape[0] == reading.HEIGHT
    assert (crop < 128).any(0)[: crop.shape[1] // 5].any()
    assert (crop > 200).mean() < 0.9


def test_a_column_is_laid_across():
    word = word_of("望远镜", TextDirection.VERTICAL)
    crop = reading.crop_of(np.asarray(word.image), word)
    assert crop.shape == (reading.HEIGHT, 3 * reading.HEIGHT, 3)
    assert all((cell < 128).mean() > 0.1 for cell in np.hsplit(crop, 3))


def test_a_layer_shows_what_grey_hides():
    """Two colours of one luminance."""
    crop = np.full((96, 96, 3), (200, 90, 60), np.uint8)
    crop[30:60, 30:60] = (70, 140, 90)
    grey, *others = reading.layers(crop)
    assert np.ptp(grey) < 16
    assert any(np.ptp(layer) == 255 for layer in others)


@needs_tesseract
def test_a_layer_holds_what_an_outline_encloses_whatever_its_colours():
    """A ring filled with a run of colours that the ground has too, on a ground that reaches the edge."""
    run = np.linspace(120, 250, 120).astype(np.uint8)
    crop = np.dstack([np.tile(run, (100, 1))] * 2 + [np.tile(run[::-1], (100, 1))])
    filled = np.zeros((100, 120), bool)
    filled[30:70, 30:90] = True
    outlined = cv2.dilate(filled.astype(np.uint8), np.ones((9, 9))) > 0
    crop[outlined & ~filled] = 10
    assert any(((layer == 0) == filled).all() for layer in reading.layers(crop))
    crop[50:52, 26:30] = crop[0, :4]  # a gap of two pixels
    assert any(((layer == 0) == filled).all() for layer in reading.layers(crop))


def test_print_is_read_and_another_word_is_not():
    word, other = word_of("guitar"), word_of("rocket")
    with reading.Readers(1) as readers:
        right = readers.ask_plain(word, "eng")
        wrong = readers.ask(np.asarray(other.image), word, "eng")
        empty = readers.ask(np.full((256, 256, 3), 200, np.uint8), word, "eng")
        assert (right.result(), wrong.result(), empty.result()) == (True, False, False)


def test_held_out_words_are_ten_of_each_script_and_have_subjects():
    library = PictogramLibrary()
    scripts = [entry.script for entry in HELD_OUT]
    assert {scripts.count(script) for script in scripts} == {10}
    assert set(scripts) == set(SCRIPTS.values())
    assert len({entry.word for entry in HELD_OUT}) == 100
    assert all(library.find(Meaning(entry.meaning)) for entry in HELD_OUT)


def test_held_out_words_are_not_among_the_real_ones():
    rng = random.Random(0)
    trained = {random_word(rng)[0].casefold() for _ in range(20_000)}
    assert not trained & {entry.word.casefold() for entry in HELD_OUT}
