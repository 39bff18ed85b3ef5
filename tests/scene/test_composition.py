"""Where word and pictogram stand."""

import random

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer, layouts_for, place_art
from writing_service.scene.joining import Join
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Box, Scene, Size, TextDirection

COMPOSER = SceneComposer(WordRenderer(FontLibrary()))
LIBRARY = PictogramLibrary()
CAT = LIBRARY.named("cat")
WORDS = (
    "木", "I", "学习", "سلام", "कमल", "дом", "사랑", "flower", "さくら", "图书馆", "Schmetterlin",
)  # fmt: skip
CANVASES = (Size(256, 256), Size(512, 512), Size(512, 1024), Size(1024, 512), Size(1024, 1024))
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
    scenes = [COMPOSER.compose("学", "auto", Size(200, 200), CAT, seed) for seed in range(24)]
    assert {scene.layout for scene in scenes} == set(layouts_for(Size(200, 200)))
    again = COMPOSER.compose("学", "auto", Size(200, 200), CAT, 5)
    np.testing.assert_array_equal(again.word.mask, scenes[5].word.mask)
    np.testing.assert_array_equal(again.backdrop, scenes[5].backdrop)


def test_without_a_pictogram_the_word_stands_alone_in_the_middle():
    scene = COMPOSER.compose("学", "auto", Size(200, 200), None, 1)
    assert (scene.layout, scene.pictogram, scene.backdrop) == ("alone", None, None)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_room_leaves_a_pictograms_place_free(size: Size):
    """The word stands where it would stand before a cat, which has always the same place."""
    cats = []
    for seed in range(6):
        roomy = COMPOSER.compose("学习", "auto", size, None, seed, room=True)
        cat = COMPOSER.compose("学习", "auto", size, CAT, seed, room=True)
        assert (roomy.layout, roomy.pictogram, roomy.backdrop) == (cat.layout, None, None)
        np.testing.assert_array_equal(roomy.word.mask, cat.word.mask)
        subject, _ = bodies(cat)
        assert (subject & (roomy.word.mask > 127)).sum() < 0.35 * subject.sum()
        cats.append((cat.layout, subject.tobytes()))
    assert len(set(cats)) == len({layout for layout, _ in cats}) <= 2


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


def bodies(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Where the subject is opaque, and where the word has ink."""
    assert scene.backdrop is not None
    return scene.backdrop[..., 3] > 127, scene.word.mask > 127


def any_scene(rng: random.Random, canvas: Size, direction: TextDirection) -> Scene:
    """Any word with any subject."""
    art = LIBRARY.named(rng.choice(LIBRARY.names()))
    seed = rng.getrandbits(31)
    return COMPOSER.compose(rng.choice(WORDS), "auto", canvas, art, seed, direction=direction)


@pytest.mark.parametrize("direction", [TextDirection.AUTO, TextDirection.VERTICAL], ids=str)
@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_most_of_a_large_subject_is_seen(canvas: Size, direction: TextDirection):
    rng = random.Random(f"{canvas}{direction}")
    for _ in range(12):
        scene = any_scene(rng, canvas, direction)
        subject, ink = bodies(scene)
        assert (subject & ink).sum() < 0.35 * subject.sum(), (scene.layout, scene.word.text)
        _, _, width, height = cv2.boundingRect(subject.astype(np.uint8))
        assert max(width, height) > 0.37 * min(canvas.width, canvas.height)
        _, _, width, height = cv2.boundingRect(ink.astype(np.uint8))
        assert max(width, height) > 0.28 * min(canvas.width, canvas.height), scene.layout


@pytest.mark.parametrize("direction", [TextDirection.AUTO, TextDirection.VERTICAL], ids=str)
@pytest.mark.parametrize("canvas", CANVASES, ids=str)
def test_a_joined_subject_touches_the_word_and_is_wholly_on_the_canvas(
    canvas: Size, direction: TextDirection
):
    rng = random.Random(f"{direction}{canvas}")
    layouts = layouts_for(canvas, direction == TextDirection.VERTICAL)
    for _ in range(12):
        scene = any_scene(rng, canvas, direction)
        if not isinstance(layouts[scene.layout].pictogram, Join):
            continue
        subject, ink = bodies(scene)
        assert (subject & cv2.dilate(ink.astype(np.uint8), np.ones((5, 5)))).any(), scene.layout
        assert not subject[[0, -1]].any(), scene.layout
        assert not subject[:, [0, -1]].any(), scene.layout


def test_on_the_ground_a_subject_stands_it_does_not_lie_behind():
    rng = random.Random(4)
    scenes = [any_scene(rng, Size(256, 256), TextDirection.AUTO) for _ in range(40)]
    ground = [scene for scene in scenes if scene.layout == "ground"]
    assert len(ground) > 5
    for scene in ground:
        subject, ink = bodies(scene)
        feet, head = (np.flatnonzero(subject.any(axis=1))[end] for end in (-1, 0))
        top, bottom = (np.flatnonzero(ink.any(axis=1))[end] for end in (0, -1))
        assert head < top < feet
        assert feet < (top + bottom) / 2 + 0.15 * 256


def test_every_layout_of_a_canvas_is_reached_and_words_in_the_scene_are_common():
    for canvas in (Size(96, 96), Size(96, 192), Size(192, 96)):
        for vertical in (False, True):
            direction = TextDirection.VERTICAL if vertical else TextDirection.AUTO
            names = [
                COMPOSER.compose("木", "auto", canvas, CAT, seed, direction=direction).layout
                for seed in range(40)
            ]
            layouts = layouts_for(canvas, vertical)
            assert set(names) == set(layouts)
            joined = [name for name in names if isinstance(layouts[name].pictogram, Join)]
            assert len(joined) >= 14
