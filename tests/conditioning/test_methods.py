"""Every registered method of every kind: right size, repeatable, harmless, and it shows the word."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.conditioning.conftest import make_lone_scene, make_scene
from writing_service.conditioning.fan_out import build_fan_out
from writing_service.conditioning.segmentation import BACKGROUND, PALETTE, QUIET_RING, WORD_COLOURS
from writing_service.types import ConditioningKind, Scene, Size

FAN_OUT = build_fan_out()
METHODS = [(kind, name) for kind, names in FAN_OUT.methods().items() for name in names]
every_method = pytest.mark.parametrize(("kind", "method"), METHODS)


def draw(scene: Scene, kind: ConditioningKind, method: str, seed: int = 1) -> NDArray[np.uint8]:
    return np.asarray(FAN_OUT.draw(scene, kind, method, seed).image)


@every_method
@pytest.mark.parametrize("size", [Size(100, 130), Size(257, 256), Size(640, 320)], ids=str)
def test_an_rgb_picture_of_the_canvas_size(kind: ConditioningKind, method: str, size: Size):
    control = FAN_OUT.draw(make_scene(size=size), kind, method, 1)
    assert isinstance(control.image, Image.Image)
    assert (control.image.mode, control.image.size) == ("RGB", (size.width, size.height))
    assert (control.kind, control.method) == (kind, method)


@every_method
def test_the_same_seed_gives_the_same_pixels(kind: ConditioningKind, method: str, scene: Scene):
    np.testing.assert_array_equal(draw(scene, kind, method, 9), draw(scene, kind, method, 9))


@every_method
def test_the_scene_stays_as_it_was(kind: ConditioningKind, method: str, scene: Scene):
    assert scene.backdrop is not None
    mask, backdrop = scene.word.mask.copy(), scene.backdrop.copy()
    draw(scene, kind, method)
    np.testing.assert_array_equal(scene.word.mask, mask)
    np.testing.assert_array_equal(scene.backdrop, backdrop)


@every_method
def test_the_word_is_what_the_picture_shows(kind: ConditioningKind, method: str, lone_scene: Scene):
    """Without a pictogram, whatever is drawn lies on the strokes or a few pixels beside them."""
    picture = draw(lone_scene, kind, method)
    drawn = (picture != picture[0, 0]).any(-1)
    near = cv2.dilate((lone_scene.word.mask > 0).astype(np.uint8), np.ones((9, 9), np.uint8))
    assert drawn.any()
    assert not (drawn & (near == 0)).any()
    # And all of the word is told: no stroke is farther from what is drawn than strokes are wide.
    away = cv2.distanceTransform(1 - drawn.astype(np.uint8), cv2.DIST_L2, 5)
    assert away[lone_scene.word.mask > 127].max() < 24


@every_method
def test_the_pictogram_shows_behind_the_word(kind: ConditioningKind, method: str):
    scene, alone = make_scene(), make_lone_scene()
    assert scene.backdrop is not None
    behind = (scene.backdrop[..., 3] > 200) & (scene.word.mask == 0)
    colours = np.unique(draw(scene, kind, method)[behind], axis=0)
    assert len(colours) >= 2
    assert scene.size == alone.size


@every_method
@pytest.mark.parametrize("word", ["i", ".", "龘靐齉", "abcdefghijklmnopqrstuvwxyz"])
def test_thin_and_dense_words_are_drawn(kind: ConditioningKind, method: str, word: str):
    assert draw(make_lone_scene(word, Size(160, 160)), kind, method).any()


def test_every_classical_method_is_there():
    assert {kind.value: set(names) for kind, names in FAN_OUT.methods().items()} == {
        "canny": {
            "opencv_canny",
            "structured_edge_detection",
            "multi_scale_canny",
            "adaptive_canny",
        },
        "depth": {
            "black_and_white_depth",
            "stroke_thickness_depth",
            "distance_transform_depth",
            "morphological_depth",
            "multi_layer_depth",
        },
        "segmentation": {
            "black_and_white_segmentation",
            "radical_segmentation",
            "stroke_type_segmentation",
            "color_based_segmentation",
        },
        "scribble": {
            "skeletonization_scribble",
            "morphological_simplification",
            "vectorization_simplification",
            "hand_drawn_simulation",
            "multi_level_abstraction",
            "style_aware_scribble",
        },
    }


@pytest.mark.parametrize("kind", ConditioningKind)
@pytest.mark.parametrize("word", ["学习", "слово", "हिन्दी"])
def test_each_method_has_its_own_look(kind: ConditioningKind, word: str):
    """Any two methods of a kind disagree on a good part of what either draws."""
    scene = make_lone_scene(word, Size(512, 512))
    pictures = {name: draw(scene, kind, name) for name in FAN_OUT.methods()[kind]}
    for one, other in itertools.combinations(pictures, 2):
        background = pictures[one][0, 0]
        drawn = (pictures[one] != background).any(-1) | (pictures[other] != background).any(-1)
        differing = (pictures[one] != pictures[other]).any(-1)
        assert differing[drawn].mean() > 0.15, (one, other)


def test_style_aware_scribble_changes_with_the_style(lone_scene: Scene):
    styles = ("comic", "watercolor", "realistic", "ink", "traditional", "in the manner of a map")
    pictures = {
        np.asarray(
            FAN_OUT.draw(
                lone_scene, ConditioningKind.SCRIBBLE, "style_aware_scribble", 1, style
            ).image
        ).tobytes()
        for style in styles
    }
    assert len(pictures) == len(styles)


def test_the_hand_wavers_with_the_seed(lone_scene: Scene):
    kind = ConditioningKind.SCRIBBLE
    pictures = {
        draw(lone_scene, kind, "hand_drawn_simulation", seed).tobytes() for seed in range(4)
    }
    assert len(pictures) == 4


def test_the_radical_has_the_first_colour_and_later_strokes_are_nearer():
    """By stroke data: in 明 the sun is the radical, and the moon is written after it."""
    scene = make_lone_scene("明", Size(512, 512))
    (character,) = scene.word.characters
    box = character.box
    left = (slice(None), slice(box.left, box.left + int(0.35 * box.width)))
    right = (slice(None), slice(box.left + int(0.55 * box.width), box.left + box.width))
    ink = scene.word.mask > 200
    painted = draw(scene, ConditioningKind.SEGMENTATION, "radical_segmentation")
    first = (painted == WORD_COLOURS[0]).all(-1)
    assert first[left][ink[left]].mean() > 0.95
    assert first[right][ink[right]].mean() < 0.05
    depth = draw(scene, ConditioningKind.DEPTH, "multi_layer_depth")[..., 0]
    assert np.percentile(depth[right][ink[right]], 5) > np.median(depth[left][ink[left]])


def test_stroke_types_have_their_colours():
    """By stroke data: 十 is a horizontal, then a vertical."""
    scene = make_lone_scene("十", Size(512, 512))
    painted = draw(scene, ConditioningKind.SEGMENTATION, "stroke_type_segmentation")
    box = scene.word.characters[0].box
    middle = (box.top + box.height // 2, box.left + box.width // 2)
    across = painted[:, box.left + 15][scene.word.mask[:, box.left + 15] > 200]
    down = painted[box.top + 15][scene.word.mask[box.top + 15] > 200]
    assert (across == WORD_COLOURS[0]).all()
    assert (down == WORD_COLOURS[1]).all()
    assert tuple(painted[middle]) in WORD_COLOURS[:2]


def test_near_is_white_and_the_word_stands_in_front(scene: Scene):
    assert scene.backdrop is not None
    for method in FAN_OUT.methods()[ConditioningKind.DEPTH]:
        depth = draw(scene, ConditioningKind.DEPTH, method)[..., 0].astype(int)
        word = np.median(depth[scene.word.mask > 250])
        body = np.median(depth[(scene.backdrop[..., 3] > 250) & (scene.word.mask == 0)])
        far = np.median(depth[(scene.backdrop[..., 3] == 0) & (scene.word.mask == 0)])
        assert word > body >= far


def test_edges_and_scribbles_are_white_on_black_and_the_subjects_fainter(scene: Scene):
    for kind in (ConditioningKind.CANNY, ConditioningKind.SCRIBBLE):
        for method in FAN_OUT.methods()[kind]:
            values = set(np.unique(draw(scene, kind, method)).tolist())
            assert values == {0, 150, 255}


def test_segmentation_uses_its_palette_only(scene: Scene):
    for method in FAN_OUT.methods()[ConditioningKind.SEGMENTATION]:
        picture = draw(scene, ConditioningKind.SEGMENTATION, method)
        used = {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0).tolist()}
        assert used <= set(PALETTE)
        assert {BACKGROUND, QUIET_RING, WORD_COLOURS[0]} <= used


def test_the_palettes_colours_are_far_apart():
    colours = np.array(PALETTE, float)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    assert distances[~np.eye(len(colours), dtype=bool)].min() >= 55


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.sampled_from("学习aбש๑กم🙂 -"), min_size=1, max_size=5).filter(str.strip),
    st.integers(100, 400),
    st.integers(100, 400),
    st.sampled_from(METHODS),
    st.integers(0, 2**63 - 1),
)
def test_any_drawable_word_is_conditioned(word, width, height, which, seed):
    from writing_service.errors import UndrawableText

    try:
        scene = make_scene(word, Size(width, height), seed)
    except UndrawableText:
        return
    assert draw(scene, *which, seed).shape == (height, width, 3)
