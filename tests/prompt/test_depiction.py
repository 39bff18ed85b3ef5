"""How a meaning is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.prompt.metaphors import metaphors
from writing_service.prompt.semantics import SemanticAnalyzer
from writing_service.prompt.wordnet import wordnet
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Depiction, ScriptReport

CHINESE = ScriptReport("Han", "zh")
ANALYZER = SemanticAnalyzer()


def shown(translation: str, hint: str = "") -> tuple[str, str]:
    depiction = ANALYZER.analyze("字", translation, hint, CHINESE).depiction
    assert isinstance(depiction, Depiction)
    return depiction.scene, depiction.by


@pytest.mark.parametrize(
    ("translation", "scene", "by"),
    [
        ("cat", "a cat", "noun"),
        ("eagle owl", "an eagle owl", "noun"),
        ("birds", "birds", "noun"),
        ("water", "water", "noun"),
        ("red apple", "red apple", "noun"),
        ("forest", "a forest", "noun"),
        ("to swim", "someone swimming", "action"),
        ("to eat dinner", "someone eating dinner", "action"),
        ("run", "someone running", "action"),
        ("lecture", "someone lecturing", "action"),
        ("to rain", "a landscape where it is raining", "action"),
        ("freedom", "a bird flying out of an open cage", "metaphor"),
        ("liberty", "a bird flying out of an open cage", "metaphor"),
        ("bravery", "a small knight facing a dragon", "metaphor"),
        ("study", "someone reading under a lamp among piles of books", "metaphor"),
        ("spring", "blossoming trees over fresh grass", "metaphor"),
        ("sociology", "a sociologist", "relative"),
        ("mediocre", "something mediocre", "quality"),
        ("nevertheless", "nevertheless", "words"),
        ("xyzzy", "xyzzy", "words"),
    ],
)
def test_things_acts_and_what_cannot_be_seen(translation: str, scene: str, by: str):
    assert shown(translation) == (scene, by)


def test_a_hint_is_shown_as_it_is():
    assert shown("freedom", "a kite without a string") == ("a kite without a string", "hint")
    assert shown("", "a roof over a child") == ("a roof over a child", "hint")


def test_the_table_of_metaphors_is_large_and_sound():
    concepts = PictogramLibrary().names()
    assert len({one.scene for one in metaphors().values()}) >= 150
    for word, metaphor in metaphors().items():
        assert word == word.casefold().strip()
        assert 2 <= len(metaphor.scene.split()) <= 12
        assert metaphor.shows in concepts


def test_most_words_of_the_table_reach_their_metaphor():
    """Not all: "light" is a thing as well."""
    abstract = [
        word
        for word in metaphors()
        if (senses := wordnet().senses(word)) and not wordnet().is_concrete(senses[0].synset)
    ]
    reached = [shown(word)[0] == metaphors()[word].scene for word in abstract]
    assert sum(reached) > 0.95 * len(reached)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_shown_somehow(translation: str, hint: str):
    meaning = ANALYZER.analyze("字", translation, hint, ScriptReport("Latin", ""))
    assert (meaning.depiction is None) == (meaning.subject == "")
    assert meaning.depiction is None or meaning.depiction.scene
