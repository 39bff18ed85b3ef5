"""Scenes to condition on."""

import pytest

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Scene, Size

COMPOSER = SceneComposer(WordRenderer(FontLibrary()))
LIBRARY = PictogramLibrary()


SIZE = Size(256, 256)


def make_scene(word: str = "学习", size: Size = SIZE, seed: int = 1) -> Scene:
    """A word before a cat."""
    return COMPOSER.compose(word, "auto", size, LIBRARY.named("cat"), seed)


def make_lone_scene(word: str = "学习", size: Size = SIZE) -> Scene:
    """A word alone."""
    return COMPOSER.compose(word, "auto", size, None, 1)


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene()


@pytest.fixture(scope="session")
def lone_scene() -> Scene:
    return make_lone_scene()
