"""Clean art to train the judge on: painted scenes, shrunk, drawn by worker processes while it trains.

Control images are not drawn: the judge needs none, and they cost more than the picture.
"""

import multiprocessing
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from training.art import STYLES, paint
from training.evaluation.judge import shrunk
from training.evaluation.vocabulary import Vocabulary
from training.words import random_word
from writing_service.config import load_settings
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer, place_art
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Box, FaceKind, Pictogram, Scene, Size

_LARGE = 0.2
"""Share of pictures drawn at 512², the service's own size; the others at 256², which is three times as fast."""

_BEHIND = 0.1
"""Share of pictures with the subject behind a word that fills the canvas, as where only the prompt tells of it."""

_MIRRORED = 0.15


@dataclass(frozen=True, eq=False)
class Batch:
    """`pictures` (n, 3, 128, 128) uint8; `concepts` and `styles` (n,) int64. `number` counts the batches."""

    number: int
    pictures: NDArray[np.uint8]
    concepts: NDArray[np.int64]
    styles: NDArray[np.int64]


@dataclass(frozen=True)
class ArtMaker:
    """Draws clean art; the same number gives the same picture. All classes come equally often."""

    vocabulary: Vocabulary
    seed: int = 1

    @cached_property
    def _pictograms(self) -> PictogramLibrary:
        return PictogramLibrary()

    @cached_property
    def _composer(self) -> SceneComposer:
        return SceneComposer(WordRenderer(FontLibrary()))

    @cached_property
    def _faces(self) -> Mapping[str, FaceKind]:
        styles = load_settings().ai_generation.styles
        return {name: styles[name].face for name in STYLES}

    def batch(self, number: int, count: int) -> Batch:
        """Pictures `number * count` and the `count` - 1 that follow."""
        made = [self.make(number * count + index) for index in range(count)]
        pictures, concepts, styles = zip(*made, strict=True)
        return Batch(number, np.stack(pictures), np.array(concepts), np.array(styles))

    def make(self, number: int) -> tuple[NDArray[np.uint8], int, int]:
        """((3, 128, 128) uint8, class, style)."""
        rng = random.Random(f"judge:{self.seed}:{number}")
        concept, style = self._order[number % len(self._order)], rng.randrange(len(STYLES))
        side = 512 if rng.random() < _LARGE else 256
        name = rng.choice(self.vocabulary.classes[concept])
        pictogram = _mirrored_sometimes(self._pictograms.named(name), rng)
        scene = self._scene(pictogram, STYLES[style], Size(side, side), rng)
        return shrunk(paint(scene, STYLES[style], rng.getrandbits(31))), concept, style

    @cached_property
    def _order(self) -> list[int]:
        order = list(range(len(self.vocabulary)))
        random.Random(self.seed).shuffle(order)
        return order

    def _scene(self, pictogram: Pictogram, style: str, size: Size, rng: random.Random) -> Scene:
        word, language = random_word(rng)
        seed, face = rng.getrandbits(31), self._faces[style]
        if rng.random() >= _BEHIND:
            return self._composer.compose(word, language, size, pictogram, seed, face=face)
        alone = self._composer.compose(word, language, size, None, seed, face=face)
        side = round(rng.uniform(0.6, 0.9) * size.width)
        left, top = (rng.randint(0, size.width - side) for _ in range(2))
        backdrop = place_art(pictogram.pixels, Box(left, top, side, side), size)
        return replace(alone, pictogram=pictogram, backdrop=backdrop)


def batches(maker: ArtMaker, count: int, each: int, workers: int) -> Iterator[Batch]:
    """`count` batches of `each` pictures from worker processes, in no order; closing the iterator ends them."""
    context = multiprocessing.get_context("forkserver")
    with context.Pool(workers, _start_worker, (maker, each)) as processes:
        yield from processes.imap_unordered(_draw, range(count))


_maker: ArtMaker
_each: int


def _start_worker(maker: ArtMaker, each: int) -> None:
    cv2.setNumThreads(1)
    global _maker, _each  # each worker process has its own
    _maker, _each = maker, each


def _draw(number: int) -> Batch:
    return _maker.batch(number, _each)


def _mirrored_sometimes(pictogram: Pictogram, rng: random.Random) -> Pictogram:
    if rng.random() >= _MIRRORED:
        return pictogram
    return replace(pictogram, pixels=np.ascontiguousarray(pictogram.pixels[:, ::-1]))
