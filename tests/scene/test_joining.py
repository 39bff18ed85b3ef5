"""Where a subject touches the word's ink."""

import random

import numpy as np
import pytest

from writing_service.scene.joining import Join, Side, joined_box
from writing_service.types import Box, Mask

ART = np.full((30, 40), 255, np.uint8)
"""The outline of a block, a little wider than high."""


def block(box: Box) -> Mask:
    """Ink in one rectangle of an empty canvas."""
    ink = np.zeros((200, 200), np.uint8)
    ink[box.top : box.top + box.height, box.left : box.left + box.width] = 255
    return ink


def joined(ink: Mask, side: Side, most: float = 0.4) -> Box:
    return joined_box(ink, ART, Join((side,), 0.3, most, (0.5,)), random.Random(0))


@pytest.mark.parametrize(
    ("side", "ink", "gap"),
    [
        (Side.TOP, Box(40, 120, 120, 60), lambda box: box.top + box.height - 120),
        (Side.LEFT, Box(120, 40, 60, 120), lambda box: box.left + box.width - 120),
        (Side.RIGHT, Box(20, 40, 60, 120), lambda box: box.left - 80),
    ],
    ids=lambda value: str(value) if isinstance(value, Side) else "",
)
def test_art_touches_the_side_that_is_asked_for(side, ink, gap):
    box = joined(block(ink), side)
    assert abs(gap(box)) <= 5
    assert (box.width, box.height) == (80, 60)


def test_art_is_smaller_where_the_ink_leaves_less_room():
    low, high = (joined(block(Box(40, top, 120, 30)), Side.TOP, most=0.9) for top in (165, 85))
    assert low.width > 1.5 * high.width
    assert high.width >= 0.3 * 200


def test_ink_too_faint_for_the_coarse_grid_is_stood_on_too():
    ink = np.zeros((512, 512), np.uint8)
    ink[400, 100:400] = 90
    box = joined(ink, Side.TOP)
    assert 395 < box.top + box.height < 415
