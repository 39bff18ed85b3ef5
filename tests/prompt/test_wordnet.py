"""What the pack knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.prompt.wordnet import FILE, WordNet, wordnet

NET = wordnet()


def first(word: str) -> int:
    return NET.senses(word)[0].synset


def test_the_pack_is_small_and_its_licence_lies_beside_it():
    assert FILE.stat().st_size < 1_500_000
    assert "Princeton" in (FILE.parent / "LICENSE-WordNet.txt").read_text()


@pytest.mark.parametrize(
    ("word", "field", "concrete"),
    [
        ("cat", "noun.animal", True),
        ("river", "noun.object", True),
        ("book", "noun.communication", True),
        ("city", "noun.location", True),
        ("rain", "noun.phenomenon", True),
        ("study", "noun.act", False),
        ("freedom", "noun.state", False),
        ("learn", "verb.cognition", False),
        ("happy", "adjective.all", False),
        ("often", "adverb.all", False),
    ],
)
def test_the_commonest_sense_its_field_and_whether_it_can_be_seen(
    word: str, field: str, concrete: bool
):
    assert NET.field(first(word)) == field
    assert NET.is_concrete(first(word)) == concrete


def test_what_is_a_kind_of_what():
    above = [
        word
        for level in NET.levels_above(first("spaniel"))
        for one in level
        for word in NET.words(one)
    ]
    assert above.index("hunting dog") < above.index("dog") < above.index("animal")
    assert first("dog") in [up for one in NET.kinds(first("dog")) for up in NET.kind_of(one)]
    assert "automobile" in NET.words(first("car"))


def test_a_word_is_the_main_one_only_for_what_it_means_first():
    assert "dog" in NET.main_words(first("dog"))
    rare = NET.senses("dog")[-1].synset
    assert "dog" in NET.words(rare)
    assert "dog" not in NET.main_words(rare) or NET.part_of_speech(rare) == "verb"


def test_senses_come_by_their_use():
    uses = [one.uses for one in NET.senses("light")]
    assert uses == sorted(uses, reverse=True)
    assert uses[0] > 0


@pytest.mark.parametrize("word", ["", "xyzzy", "Paris", "\n", "zzzz", "0"])
def test_what_is_not_in_it(word: str):
    assert NET.senses(word) == ()


@given(st.text(max_size=30))
def test_any_text_may_be_looked_up(text: str):
    for one in NET.senses(text):
        assert text in NET.words(one.synset)


def test_hypernyms_end():
    for number in range(0, 90_000, 997):
        assert sum(1 for _ in NET.levels_above(number)) < 30


def test_it_is_read_once():
    assert wordnet() is wordnet()
    assert isinstance(WordNet(), WordNet)
