"""Chinese words in English."""

import pytest

from writing_service.prompt.dictionary import glosses


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("学习", "to learn"), ("學習", "to learn"), ("猫", "cat"), ("貓", "cat"), ("河", "river")],
)
def test_simplified_and_traditional_words(word: str, meaning: str):
    assert glosses(word)[0] == meaning


def test_of_words_written_alike_every_meaning_is_told_names_last():
    assert glosses("好")[0] == "good"
    assert "to be fond of" in glosses("好")
    assert glosses("水")[0] == "water"
    assert glosses("中")[0] != "China"
    assert "China" in glosses("中")


def test_notes_on_the_word_itself_are_no_meaning():
    assert not any(gloss.startswith(("CL:", "surname", "variant of")) for gloss in glosses("猫"))
    assert not any(gloss.startswith("surname") for gloss in glosses("王"))


@pytest.mark.parametrize("word", ["", "龘龘龘", "cat", "ねこ", "\n"])
def test_what_is_not_in_it_has_none(word: str):
    assert glosses(word) == ()
