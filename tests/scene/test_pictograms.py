"""From a meaning to a picture, or to none: never to an unfitting one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.errors import UnknownPictogram
from writing_service.prompt.semantics import understand
from writing_service.scene.pictograms import PictogramLibrary


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
