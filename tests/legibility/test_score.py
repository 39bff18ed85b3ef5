"""The score on pictures whose legibility is known: painted words, from which strokes go missing."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.legibility.conftest import WordOf, in_colours
from writing_service.conditioning.parts import parts_of
from writing_service.legibility.score import LegibilityScorer
from writing_service.types import Mask, RenderedWord

GOLD, NAVY, PAPER, INK = (214, 168, 60), (20, 30, 90), (244, 238, 224), (28, 26, 30)
WORDS = ("学习", "flower", "سلام", "कमल", "ปลา")


def strokes_of(word: RenderedWord) -> np.ndarray:
    """(height, width): 1 + the number of the nearest stroke, or of the character where strokes are not known."""
    labels = parts_of(word).labels.astype(np.float32)
    large = cv2.resize(labels, word.mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return cv2.dilate(large, np.ones((5, 5))).astype(int)


def textured(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Clouds, as a picture has them where nothing is meant."""
    noise = np.random.default_rng(seed).normal(0, 1, (*shape, 3)).astype(np.float32)
    clouds = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.uint8(np.clip(128 + 40 * clouds / clouds.std(), 0, 255))


@pytest.mark.parametrize("text", WORDS)
def test_it_falls_with_every_stroke_that_is_erased(word_of: WordOf, text: str):
    word = word_of(text)
    scorer, strokes = LegibilityScorer(word), strokes_of(word)
    left, scores = word.mask.copy(), [scorer.score(in_colours(word.mask, GOLD, NAVY)).value]
    for number in range(1, strokes.max() + 1):
        left[strokes == number] = 0
        scores.append(scorer.score(in_colours(left, GOLD, NAVY)).value)
    assert scores[0] > 0.99
    assert scores[0] - scores[1] > 0.1
    assert all(after < before - 1e-6 for before, after in pairwise(scores))
    assert scores[-1] < 0.6


def test_one_lost_stroke_of_many_is_the_weakest(word_of: WordOf):
    word = word_of("春眠不觉晓处处闻啼鸟")
    strokes, left = strokes_of(word), word.mask.copy()
    left[strokes == 5] = 0
    score = LegibilityScorer(word).score(in_colours(left, INK, PAPER))
    assert score.weakest < 0.8
    assert score.whole > 0.95
    assert score.value < 0.9


@pytest.mark.parametrize("text", WORDS)
def test_nothing_to_be_seen_is_a_half(word_of: WordOf, text: str):
    word = word_of(text)
    flat = in_colours(word.mask, PAPER, PAPER)
    assert LegibilityScorer(word).score(flat).value == pytest.approx(0.5)
    clouds = textured(word.mask.shape)
    assert LegibilityScorer(word).score(clouds).value < 0.75


def test_another_words_picture_is_not_this_words(word_of: WordOf):
    rocket, guitar = word_of("rocket"), word_of("guitar")
    scorer = LegibilityScorer(rocket)
    assert scorer.score(in_colours(rocket.mask, INK, PAPER)).value > 0.99
    assert scorer.score(in_colours(guitar.mask, INK, PAPER)).value < 0.75


@pytest.mark.parametrize(
    ("ink", "ground"), [(INK, PAPER), (PAPER, INK), (GOLD, NAVY), ((200, 90, 60), (70, 140, 90))]
)
def test_darker_lighter_or_of_another_hue_is_all_the_same(word_of: WordOf, ink, ground):
    """The last two are of one luminance."""
    word = word_of("学习")
    assert LegibilityScorer(word).score(in_colours(word.mask, ink, ground)).value > 0.99


def test_the_fainter_the_lower(word_of: WordOf):
    word = word_of("学习")
    scorer, values = LegibilityScorer(word), list[float]()
    for grey in (128, 132, 140, 160, 200):
        values.append(scorer.score(in_colours(word.mask, (grey,) * 3, (128,) * 3)).value)
    assert values == sorted(values)
    assert values[0] == pytest.approx(0.5)
    assert 0.55 < values[1] < 0.8  # ΔE 1.6: hardly noticed
    assert values[-1] > 0.99


def test_the_ground_may_have_a_texture(word_of: WordOf):
    word = word_of("학교")
    clouds = textured(word.mask.shape)
    black = np.where(word.mask[..., None] > 127, np.uint8(5), clouds)
    assert LegibilityScorer(word).score(black).value > 0.9


@pytest.mark.parametrize("text", ["学习", "flower"])
def test_a_contour_alone_is_read(word_of: WordOf, text: str):
    """Letters of the ground's own colour, outlined."""
    word = word_of(text)
    solid, edge = (word.mask > 127).astype(np.uint8), np.ones((5, 5), np.uint8)
    contour = cv2.dilate(solid, edge) > cv2.erode(solid, edge)
    picture = in_colours(np.uint8(255 * contour), INK, GOLD)
    assert LegibilityScorer(word).score(picture).value > 0.85


def test_a_tone_between_its_outline_and_its_halo_is_read(word_of: WordOf):
    """As in comics: no direction in colour parts grey from black and white."""
    word = word_of("flower")
    solid = (word.mask > 127).astype(np.uint8)
    picture = np.full((*word.mask.shape, 3), 240, np.uint8)
    picture[cv2.dilate(solid, np.ones((9, 9))) > 0] = 10
    picture[solid > 0] = 125
    assert LegibilityScorer(word).score(picture).value > 0.95


@given(st.integers(-3, 3), st.integers(-3, 3))
@settings(deadline=None, max_examples=15)
def test_a_word_that_moved_a_little_is_as_readable(word_of: WordOf, down: int, right: int):
    word = word_of("学")
    picture = in_colours(np.roll(word.mask, (down, right), (0, 1)), INK, PAPER)
    assert LegibilityScorer(word).score(picture).value > 0.9


def turned(word: RenderedWord, quarters: int) -> RenderedWord:
    """Of the turned one nothing is known but its pixels."""
    return replace(word, mask=np.ascontiguousarray(np.rot90(word.mask, quarters)), characters=())


@given(st.integers(0, 3), st.booleans(), st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_turning_and_mirroring_change_nothing(
    word_of: WordOf, quarters: int, mirrored: bool, seed: int
):
    word = turned(word_of("лес"), 0)
    picture = np.uint8(
        0.6 * textured(word.mask.shape, seed) + 0.4 * in_colours(word.mask, INK, PAPER)
    )
    other, seen = turned(word, quarters), np.rot90(picture, quarters)
    if mirrored:
        other = replace(other, mask=np.ascontiguousarray(other.mask[:, ::-1]))
        seen = seen[:, ::-1]
    one = LegibilityScorer(word).score(picture).value
    two = LegibilityScorer(other).score(np.ascontiguousarray(seen)).value
    assert one == pytest.approx(two, abs=0.02)


COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


def lab(colour: tuple[int, ...]) -> np.ndarray:
    pixel = np.array(colour, np.float32).reshape(1, 1, 3) / 255
    return cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB).ravel()


@given(COLOURS, COLOURS)
@settings(deadline=None, max_examples=25)
def test_any_two_colours_that_differ_clearly_are_perfect_and_may_be_swapped(
    word_of: WordOf, ink: tuple[int, ...], ground: tuple[int, ...]
):
    assume(np.linalg.norm(lab(ink) - lab(ground)) > 20)
    word = word_of("学习")
    scorer = LegibilityScorer(word)
    one, other = (
        scorer.score(in_colours(word.mask, *pair)).value for pair in ((ink, ground), (ground, ink))
    )
    assert one > 0.97
    assert one == pytest.approx(other, abs=0.02)


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Some ink anywhere, of any darkness."""
    shape = draw(st.tuples(st.integers(8, 60), st.integers(8, 60)))
    mask = draw(arrays(np.uint8, shape, fill=st.just(np.uint8(0))))
    mask[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = 255
    return mask


@given(masks(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_any_ink_in_any_picture_has_a_score_in_bounds_and_always_the_same(mask: Mask, seed: int):
    picture = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 3), np.uint8)
    word = RenderedWord("x", "Latin", "", mask)
    score = LegibilityScorer(word).score(picture)
    again = LegibilityScorer(word).score(picture)
    assert 0.5 <= score.weakest <= 1
    assert 0.5 <= score.whole <= 1
    assert score.value == again.value


def test_what_is_seen_does_not_hang_on_the_canvass_size(word_of: WordOf):
    values = []
    for side in (192, 384, 768):
        word = word_of("学习", side)
        values.append(LegibilityScorer(word).score(in_colours(word.mask, (150,) * 3, (128,) * 3)))
    assert max(one.value for one in values) - min(one.value for one in values) < 0.03
