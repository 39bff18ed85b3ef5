"""Which concepts count as one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.captions import COMMON
from training.evaluation.vocabulary import (
    Vocabulary,
    is_thing,
    merged,
    plain_name,
    vocabulary_of,
)
from writing_service.scene.pictograms import PictogramLibrary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return vocabulary_of(PictogramLibrary())


def test_there_are_a_thousand_things_and_no_signs(vocabulary: Vocabulary):
    assert len(vocabulary) >= 1000
    for sign in ("one o’clock", "keycap: 3", "ok button", "up arrow", "france", "black flag"):
        assert vocabulary.index_of(sign) is None
    for thing in ("bow and arrow", "carp streamer", "cat", "mantelpiece clock", *COMMON):
        assert vocabulary.index_of(thing) is not None


@pytest.mark.parametrize(
    "alike",
    [
        ("red heart", "light blue heart"),
        ("green book", "blue book"),
        ("black large square", "red square"),
        ("man: beard", "woman", "boy", "old woman"),
        ("mermaid", "merman"),
        ("family: man, boy", "family"),
        ("globe showing americas", "globe showing europe-africa"),
        ("rightwards hand", "leftwards hand"),
    ],
)
def test_colour_person_side_and_near_copies_are_one(vocabulary: Vocabulary, alike: tuple[str, ...]):
    assert len({vocabulary.index_of(name) for name in alike}) == 1


@pytest.mark.parametrize(
    "names",
    [("cat", "black cat"), ("dog", "wolf"), ("sun", "cloud"), ("teacher", "student", "cook")],
)
def test_other_things_stay_apart(vocabulary: Vocabulary, names: tuple[str, ...]):
    assert len({vocabulary.index_of(name) for name in names}) == len(names)


def test_flags_are_no_things():
    assert not is_thing("france", ("flag", "fr"))
    assert is_thing("open mailbox with raised flag", ("flag", "mail"))


def test_plain_names_are_plain(vocabulary: Vocabulary):
    for name in itertools.chain.from_iterable(vocabulary.classes):
        assert plain_name(plain_name(name)) == plain_name(name)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=20))
def test_merging_is_a_partition_that_keys_and_nearness_join(pairs: list[tuple[int, int]]):
    """Drawings are points on a line, far apart unless equal."""
    names = [f"thing {index}" for index in range(len(pairs))]
    drawings = np.array([[place / 10] for _, place in pairs], np.float32)
    found = merged(names, [str(key) for key, _ in pairs], drawings)
    assert sorted(itertools.chain.from_iterable(found.classes)) == sorted(names)
    for (name, one), (other, two) in itertools.combinations(zip(names, pairs, strict=True), 2):
        if one[0] == two[0] or one[1] == two[1]:
            assert found.index_of(name) == found.index_of(other)
