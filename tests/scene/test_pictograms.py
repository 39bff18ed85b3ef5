"""From a meaning to a picture, or to none: never to an unfitting one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.errors import UnknownPictogram
from writing_service.prompt.semantics import SemanticAnalyzer, understand
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Meaning, ScriptReport


@pytest.fixture(scope="module")
def library() -> PictogramLibrary:
    return PictogramLibrary()


def found(library: PictogramLibrary, translation: str) -> str | None:
    pictogram = library.find(understand(translation, ""))
    return pictogram and pictogram.name


@pytest.mark.parametrize(
    ("translation", "name"),
    [
        ("cat", "cat face"),
        ("to study", "books"),
        ("books", "books"),
        ("the fire", "fire"),
        ("studying", "books"),
        ("a house; home", "house"),
        ("flowers", "hibiscus"),
        ("love", "red heart"),
    ],
)
def test_names_everyday_words_and_inflections(
    library: PictogramLibrary, translation: str, name: str
):
    assert found(library, translation) == name


def analyzed(translation: str) -> Meaning:
    return SemanticAnalyzer().analyze("字", translation, "", ScriptReport("Han", "zh"))


@pytest.mark.parametrize(
    ("translation", "name", "found_by"),
    [
        ("spaniel", "dog face", "dog"),
        ("aspirin", "pill", "drug"),
        ("viper", "snake", "snake"),
        ("trout", "fish", "fish"),
        ("eagle owl", "owl", "owl"),
        ("bravery", "lion", "lion"),
        ("violinist", "violin", "violin"),
    ],
)
def test_the_nearest_kin_where_there_is_no_picture(
    library: PictogramLibrary, translation: str, name: str, found_by: str
):
    assert found(library, translation) in (None, name)
    pictogram = library.find(analyzed(translation))
    assert pictogram is not None
    assert (pictogram.name, pictogram.found_by) == (name, found_by)


@pytest.mark.parametrize(
    "translation", ["nevertheless", "often", "gallop", "mediocre", "be", "pond"]
)
def test_kin_that_has_nothing_in_common_is_none(library: PictogramLibrary, translation: str):
    assert library.find(analyzed(translation)) is None


def test_a_word_of_the_vocabulary_is_not_led_astray_by_its_kin(library: PictogramLibrary):
    for name in library.names()[::11]:
        before, after = library.find(understand(name, "")), library.find(analyzed(name))
        assert before is not None
        assert after is not None
        assert after.name == before.name


@pytest.mark.parametrize("translation", ["", "nevertheless", "xyzzy"])
def test_nothing_fits_what_has_no_picture(library: PictogramLibrary, translation: str):
    assert found(library, translation) is None


def test_no_rude_gesture_is_shown_to_learners(library: PictogramLibrary):
    assert "middle finger" not in library.names()
    assert found(library, "finger") == "hand with fingers splayed"


def test_about_1500_concepts_each_with_art_and_source(library: PictogramLibrary):
    names = library.names()
    assert len(names) >= 1500
    assert len(set(names)) == len(names)
    for name in names[:: len(names) // 25]:
        pictogram = library.named(name)
        height, width, channels = pictogram.pixels.shape
        assert (height, channels) == (width, 4)
        assert pictogram.pixels.dtype == np.uint8
        assert pictogram.pixels[..., 3].max() == 255
        assert "MIT" in pictogram.source


def test_an_unknown_name_is_refused_with_similar_ones(library: PictogramLibrary):
    with pytest.raises(UnknownPictogram, match="did you mean cat"):
        library.named("catt")
    with pytest.raises(UnknownPictogram, match="'auto', 'off'"):
        library.named("qqqqqqqq")


def test_names_are_found_in_any_case(library: PictogramLibrary):
    assert library.named("  Red  HEART ").name == "red heart"


@given(st.text(max_size=200))
def test_any_translation_finds_something_or_nothing(library: PictogramLibrary, text: str):
    pictogram = library.find(understand(text, ""))
    assert pictogram is None or pictogram.name in library.names()
