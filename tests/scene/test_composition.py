"""Where word and pictogram stand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer, layouts_for, place_art
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Box, Size

COMPOSER = SceneComposer(WordRenderer(FontLibrary()))
CAT = PictogramLibrary().named("cat")
SIZES = (Size(100, 100), Size(512, 512), Size(600, 300), Size(240, 500))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_word_and_pictogram_share_the_canvas(size: Size):
    scene = COMPOSER.compose("学习", "auto", size, CAT, 3)
    assert scene.size == size
    assert scene.backdrop is not None
    assert scene.backdrop.shape == (size.height, size.width, 4)
    assert scene.backdrop[..., 3].max() > 200
    assert scene.word.mask.max() > 200
    assert scene.layout in layouts_for(size)


def test_the_seed_chooses_among_layouts_and_repeats_itself():
    scenes = [COMPOSER.compose("学", "auto", Size(200, 200), CAT, seed) for seed in range(12)]
    assert len({scene.layout for scene in scenes}) == 3
    again = COMPOSER.compose("学", "auto", Size(200, 200), CAT, 5)
    np.testing.assert_array_equal(again.word.mask, scenes[5].word.mask)
    np.testing.assert_array_equal(again.backdrop, scenes[5].backdrop)


def test_without_a_pictogram_the_word_stands_alone_in_the_middle():
    scene = COMPOSER.compose("学", "auto", Size(200, 200), None, 1)
    assert (scene.layout, scene.pictogram, scene.backdrop) == ("alone", None, None)


def test_art_keeps_its_colours_at_the_edges():
    """No dark fringe: invisible pixels are black in the file, and must not mix in."""
    art = np.zeros((64, 64, 4), np.uint8)
    art[16:48, 16:48] = (255, 0, 0, 255)
    placed = place_art(art, Box(5, 5, 23, 23), Size(40, 40))
    seen = placed[placed[..., 3] > 30]
    assert seen[:, 0].min() >= 250
    assert seen[:, 1].max() <= 3


@settings(max_examples=25, deadline=None)
@given(
    st.integers(100, 700), st.integers(100, 700), st.integers(0, 2**63 - 1), st.sampled_from("学a")
)
def test_any_size_and_seed_gives_a_scene(width: int, height: int, seed: int, word: str):
    scene = COMPOSER.compose(word, "auto", Size(width, height), CAT, seed)
    assert scene.word.mask.shape == (height, width)
    assert scene.word.mask.max() > 100
