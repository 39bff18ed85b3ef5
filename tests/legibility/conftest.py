"""Words in their place, and pictures of them in two colours."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.types import Mask, Pixels, RenderedWord, Size, TextDirection

WordOf = Callable[..., RenderedWord]


@pytest.fixture(scope="session")
def word_of() -> WordOf:
    """A word that fills a square canvas of so many pixels."""
    composer = SceneComposer(WordRenderer(FontLibrary()))

    @cache
    def compose(
        text: str, side: int = 256, direction: TextDirection = TextDirection.AUTO
    ) -> RenderedWord:
        size = Size(side, side)
        return composer.compose(text, "auto", size, None, 1, direction=direction).word

    return compose


def in_colours(mask: Mask, ink: tuple[int, ...], ground: tuple[int, ...]) -> Pixels:
    """(height, width, 3)."""
    cover = mask[..., None] / 255
    return np.uint8(np.round(cover * np.array(ink) + (1 - cover) * np.array(ground)))
