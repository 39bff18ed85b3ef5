"""The training pictures: right size, repeatable, varied, and the word stands out in every one."""

import random

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.art import STYLES, paint
from training.art.hues import SHARE, borrowed, hues_of
from training.art.shapes import motif_of
from writing_service.types import RenderedWord, Scene, Size

SIZES = (Size(256, 256), Size(512, 512), Size(640, 384))
SEEDS = range(8)


Rgb = tuple[int, int, int]
ORANGE, BLUE = (230, 120, 40), (40, 90, 200)
"""The ball's rim and middle."""


def make_scene(
    size: Size, subject: bool = True, colours: tuple[Rgb, Rgb] = (ORANGE, BLUE)
) -> Scene:
    """Strokes like a character's across a two-coloured ball."""
    unit = min(size.width, size.height) / 512
    middle = (size.width // 2, size.height // 2)
    mask = np.zeros((size.height, size.width), np.uint8)
    for offset in (-90, 0, 90):
        y = middle[1] + round(offset * unit)
        start, end = (middle[0] - round(150 * unit), y), (middle[0] + round(150 * unit), y)
        cv2.line(mask, start, end, 255, max(round(26 * unit), 1), cv2.LINE_AA)
    top, bottom = (
        (middle[0], middle[1] - round(140 * unit)),
        (middle[0], middle[1] + round(140 * unit)),
    )
    cv2.line(mask, top, bottom, 255, max(round(26 * unit), 1), cv2.LINE_AA)
    word = RenderedWord("王", "Hani", "zh", mask)
    ball = _ball(size, middle, round(190 * unit), colours) if subject else None
    return Scene(word, "ground", None, ball)


def _ball(
    size: Size, middle: tuple[int, int], radius: int, colours: tuple[Rgb, Rgb]
) -> NDArray[np.uint8]:
    backdrop = np.zeros((size.height, size.width, 4), np.uint8)
    cv2.circle(backdrop, middle, radius, (*colours[0], 255), -1, cv2.LINE_AA)
    cv2.circle(backdrop, middle, radius // 2, (*colours[1], 255), -1, cv2.LINE_AA)
    return backdrop


def ring_contrast(picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[float, float]:
    """Distance in Lab, and in lightness alone, between strokes and the ring around them."""
    unit = min(mask.shape) / 512
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((mask <= 127).astype(np.uint8), cv2.DIST_L2, 5)
    stroke = lab[inside > 4 * unit].mean(axis=0)
    ring = lab[(outside > 2 * unit) & (outside < 7 * unit)].mean(axis=0)
    return float(np.linalg.norm(stroke - ring)), float(abs(stroke[0] - ring[0]))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.width}x{size.height}")
@pytest.mark.parametrize("subject", [True, False], ids=["subject", "word alone"])
def test_paints_the_whole_canvas_and_repeats_itself(style: str, size: Size, subject: bool) -> None:
    scene = make_scene(size, subject)
    picture = paint(scene, style, 7)
    assert picture.shape == (size.height, size.width, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, paint(scene, style, 7))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.width}x{size.height}")
def test_the_word_stands_out(style: str, size: Size) -> None:
    scene = make_scene(size)
    for seed in SEEDS:
        distance, lightness = ring_contrast(paint(scene, style, seed), scene.word.mask)
        assert distance > 50, seed
        assert lightness > 38, seed


BALLS = {
    "yellow": ((250, 220, 40), (255, 240, 120)),
    "red and green": ((215, 30, 40), (60, 170, 60)),
    "blue and violet": ((40, 80, 220), (140, 60, 210)),
    "pink and orange": ((255, 150, 190), (255, 140, 50)),
    "dark brown": ((80, 45, 25), (110, 70, 40)),
    "cyan and lime": ((70, 220, 230), (170, 230, 60)),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("ball", BALLS)
def test_the_word_stands_out_in_the_subjects_colours_too(style: str, ball: str) -> None:
    scene = make_scene(SIZES[0], colours=BALLS[ball])
    for seed in range(12):
        distance, lightness = ring_contrast(paint(scene, style, seed), scene.word.mask)
        assert distance > 45, seed
        assert lightness > 38, seed


@pytest.mark.parametrize("style", ["comic", "watercolor", "realistic", "traditional"])
@pytest.mark.parametrize("hue", [(215, 40, 40), (30, 170, 60), (40, 80, 220)], ids=str)
def test_some_words_take_the_subjects_hue(style: str, hue: Rgb) -> None:
    """Of the same seeds, more words come near the subject's hue than when the subject is grey."""
    coloured, grey = (
        make_scene(SIZES[0], colours=colours)
        for colours in ((hue, hue), ((128, 128, 128), (128, 128, 128)))
    )
    wanted = _chromaticity(np.array(hue, np.uint8)[None])

    def near(scene: Scene) -> int:
        words = [paint(scene, style, seed)[scene.word.mask > 250] for seed in range(30)]
        return sum(float(_chromaticity(word) @ wanted) > 0.93 for word in words)

    assert near(coloured) >= near(grey) + 3


def _chromaticity(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The direction of the mean a* and b*: (2,) of length 1."""
    lab = cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    mean = lab.mean(axis=0)[1:]
    return mean / np.linalg.norm(mean)


def test_a_subjects_hues_are_its_main_colour_and_a_neighbour_of_it() -> None:
    def found(first: Rgb, second: Rgb) -> tuple[int, float]:
        motif = motif_of(make_scene(SIZES[0], colours=(first, second)))
        assert motif is not None
        hues = hues_of(motif)
        return len(hues), hues[0].angle if hues else 0.0

    assert found((128, 128, 128), (40, 40, 40)) == (0, 0.0)
    assert found((215, 30, 40), (215, 30, 40))[0] == 1
    assert found((215, 30, 40), (60, 170, 60))[0] == 1  # opposites turn to mud
    count, angle = found((215, 30, 40), (250, 220, 40))
    assert count == 2
    assert 0.2 < angle < 1.0


def test_the_share_of_words_in_the_subjects_colours() -> None:
    motif = motif_of(make_scene(SIZES[0]))
    rng = random.Random(0)
    count = sum(borrowed(motif, rng) is not None for _ in range(300))
    assert abs(count / 300 - SHARE) < 0.08
    assert all(borrowed(None, rng) is None for _ in range(20))


@pytest.mark.parametrize("style", STYLES)
def test_the_seed_changes_background_and_word(style: str) -> None:
    scene = make_scene(SIZES[0])
    pictures = [paint(scene, style, seed).astype(np.float32) for seed in SEEDS]
    corners = {tuple(picture[20:60, 20:60].mean(axis=(0, 1)).round()) for picture in pictures}
    words = {tuple(picture[scene.word.mask > 250].mean(axis=0).round()) for picture in pictures}
    assert len(corners) >= 5
    assert len(words) >= 3


def test_styles_differ_and_show_the_subject() -> None:
    scene, bare = make_scene(SIZES[0]), make_scene(SIZES[0], subject=False)
    pictures = [paint(scene, style, 3).astype(np.float32) for style in STYLES]
    for index, picture in enumerate(pictures):
        assert all(np.abs(picture - other).mean() > 15 for other in pictures[:index])
        assert np.abs(picture - paint(bare, STYLES[index], 3)).mean() > 8


@pytest.mark.parametrize("style", STYLES)
def test_the_scene_is_left_as_it_was(style: str) -> None:
    scene = make_scene(SIZES[0])
    assert scene.backdrop is not None
    before = scene.word.mask.copy(), scene.backdrop.copy()
    paint(scene, style, 1)
    np.testing.assert_array_equal(scene.word.mask, before[0])
    np.testing.assert_array_equal(scene.backdrop, before[1])


@pytest.mark.parametrize("style", STYLES)
def test_colours_under_the_backdrops_transparency_do_not_show(style: str) -> None:
    scene = make_scene(SIZES[0])
    assert scene.backdrop is not None
    loud = scene.backdrop.copy()
    loud[loud[..., 3] == 0] = (0, 255, 0, 0)
    other = Scene(scene.word, scene.layout, None, loud)
    np.testing.assert_array_equal(paint(scene, style, 5), paint(other, style, 5))


@pytest.mark.parametrize("style", STYLES)
def test_an_empty_word_and_an_odd_canvas_are_painted_too(style: str) -> None:
    word = RenderedWord("", "", "", np.zeros((67, 131), np.uint8))
    assert paint(Scene(word, "center"), style, 0).shape == (67, 131, 3)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(KeyError, match="cubism"):
        paint(make_scene(SIZES[0]), "cubism", 0)
