"""The readers in other processes; the words that are held out for them."""

import random

import numpy as np
import pytest

from training.evaluation.held_out import HELD_OUT, SCRIPTS
from training.evaluation.readers import Readers
from training.words import random_word
from writing_service.legibility.tesseract import Tesseract
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Meaning, RenderedWord, Size


def word_of(text: str) -> RenderedWord:
    composer = SceneComposer(WordRenderer(FontLibrary()))
    return composer.compose(text, "auto", Size(256, 256), None, 1).word


@pytest.mark.skipif(bool(Tesseract().missing()), reason="needs tesseract")
def test_print_is_read_and_another_word_is_not():
    word, other = word_of("guitar"), word_of("rocket")
    with Readers(1) as readers:
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
