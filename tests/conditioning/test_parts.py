"""What a word's ink consists of."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conditioning.conftest import make_lone_scene
from writing_service.conditioning.directions import pixel_types
from writing_service.conditioning.parts import middle_lines, parts_of, without_strokes
from writing_service.types import Box, DrawnCharacter, Mask, RenderedWord, Stroke, StrokeType


def cross() -> RenderedWord:
    """A plus sign of two thick bars, and a square of ink to its right."""
    mask = np.zeros((200, 200), np.uint8)
    mask[90:110, 20:120] = 255
    mask[50:150, 60:80] = 255
    mask[80:120, 150:190] = 255
    across = Stroke(line((22, 100), (118, 100)), StrokeType.HORIZONTAL, True, 0)
    down = Stroke(line((70, 52), (70, 148)), StrokeType.VERTICAL, False, 1)
    plus = DrawnCharacter("十", Box(20, 50, 100, 100), (across, down), "a data set")
    square = DrawnCharacter("■", Box(150, 80, 40, 40))
    return RenderedWord("十■", "Han", "zh", mask, (), (plus, square))


def line(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32)


def test_ink_belongs_to_the_nearest_stroke_and_the_rest_to_its_character():
    word = parts_of(cross())
    assert [part.type for part in word.parts] == [StrokeType.HORIZONTAL, StrokeType.VERTICAL, None]
    assert word.labels[100, 30] == 1
    assert word.labels[60, 70] == 2
    assert word.labels[100, 170] == 3
    np.testing.assert_array_equal(word.labels > 0, cross().mask > 127)


def test_parts_tell_their_order_their_component_and_the_radical():
    across, down, square = parts_of(cross()).parts
    assert (across.order, down.order, square.order) == (0.5, 1.0, 1.0)
    assert (across.component, down.component, square.component) == (0, 1, 2)
    assert (across.radical, down.radical, square.radical) == (True, False, False)


def test_a_word_without_strokes_has_its_characters_for_parts():
    scene = make_lone_scene("हिन्दी")
    assert len(parts_of(scene.word).parts) == len(scene.word.characters) > 1


def test_a_character_that_stands_alone_has_its_pieces_of_ink():
    mask = np.zeros((100, 100), np.uint8)
    mask[10:20, 10:90] = mask[40:90, 60:80] = mask[40:90, 20:40] = 255
    alone = DrawnCharacter("x", Box(10, 10, 80, 80))
    word = parts_of(RenderedWord("x", "Common", "", mask, (), (alone,)))
    assert len(word.parts) == 3
    # From left to right by their middles.
    assert word.labels[60, 30] < word.labels[15, 50] < word.labels[60, 70]


def test_without_ink_there_are_no_parts():
    empty = RenderedWord("x", "Common", "", np.zeros((50, 50), np.uint8))
    assert parts_of(empty).parts == ()


def test_middle_lines_are_the_strokes_and_the_other_ink_is_told_apart():
    glyph = cross()
    assert len(middle_lines(glyph)) == 2
    rest = without_strokes(glyph, (glyph.mask > 127).astype(np.uint8))
    assert rest[100, 170] == 1
    assert rest[100, 70] == 0


@pytest.mark.parametrize(
    ("angle", "type_"),
    [
        (0, StrokeType.HORIZONTAL),
        (45, StrokeType.FALLING_RIGHT),
        (90, StrokeType.VERTICAL),
        (135, StrokeType.FALLING_LEFT),
        (12, StrokeType.HORIZONTAL),
        (100, StrokeType.VERTICAL),
    ],
)
def test_a_bars_direction_is_seen(angle: float, type_: StrokeType):
    """Angles turn clockwise from the horizontal."""
    turn = np.radians(angle)
    rows, columns = np.indices((300, 300)) - 150
    along = columns * np.cos(turn) + rows * np.sin(turn)
    beside = rows * np.cos(turn) - columns * np.sin(turn)
    bar: Mask = ((abs(along) < 110) & (abs(beside) < 12)).astype(np.uint8)
    seen = np.array(list(StrokeType))[pixel_types(bar)[bar > 0]]
    assert (seen == type_).mean() > 0.85


def test_small_pieces_are_dots():
    solid = np.zeros((300, 300), np.uint8)
    solid[140:160, 40:260] = 1
    solid[60:72, 150:162] = 1
    seen = np.array(list(StrokeType))[pixel_types(solid)]
    assert (seen[60:72, 150:162] == StrokeType.DOT).all()
    assert (seen[145:155, 60:240] == StrokeType.HORIZONTAL).all()


def test_nothing_given_is_changed():
    glyph = cross()
    before = glyph.mask.copy()
    parts_of(replace(glyph, text="十"))
    pixel_types((glyph.mask > 0).astype(np.uint8))
    np.testing.assert_array_equal(glyph.mask, before)
