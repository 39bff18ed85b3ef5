"""What every part of the evaluation draws and judges with."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.art import paint
from training.evaluation.gallery import Picture, fitted, save_sheet
from training.evaluation.held_out import HELD_OUT, HeldOut
from training.evaluation.judge import SIDE, Judge
from training.evaluation.readers import Readers
from writing_service.generator import AIImageGenerator
from writing_service.types import AIGenerationResult, RenderedWord, Scene, WritingRequest

logger = logging.getLogger("training.evaluation")


@dataclass(frozen=True, eq=False)
class Drawing:
    """One drawn picture with what it was drawn from."""

    result: AIGenerationResult
    picture: Picture

    @property
    def scene(self) -> Scene:
        """Word and subject in their places."""
        return self.result.scene

    @property
    def word(self) -> RenderedWord:
        """The word in its place."""
        return self.result.scene.word

    def art(self) -> Picture:
        """The training art of the very same scene: nothing can be drawn better than what was aimed at."""
        return paint(self.scene, self.result.request.style, self.result.metadata["seed_used"])

    @property
    def seen(self) -> Picture:
        """As small as the judge sees it, to be kept."""
        return fitted(self.picture, SIDE)


@dataclass(frozen=True, eq=False)
class Bench:
    """`checkpoint` is the folder that `generator` draws with; `words` and `concepts` are how many to try."""

    generator: AIImageGenerator
    readers: Readers
    judge: Judge
    checkpoint: Path
    galleries: Path
    words: int
    concepts: int

    def held_out(self, count: int | None = None) -> Sequence[HeldOut]:
        """So many words that were never trained on, spread over the scripts; all that are wanted if None."""
        count = self.words if count is None else min(count, self.words)
        chosen = np.linspace(0, len(HELD_OUT), min(count, len(HELD_OUT)), endpoint=False)
        return [HELD_OUT[int(index)] for index in chosen]

    async def draw(self, word: str, meaning: str, style: str, seed: int, **given: Any) -> Drawing:
        """`given` are further fields of the request; 512² unless they say otherwise."""
        size = {"width": 512, "height": 512}
        request = WritingRequest(word, meaning, style=style, seed=seed, **{**size, **given})
        result = await self.generator.generate(request)
        return Drawing(result, np.asarray(result.images[0].image.convert("RGB")))

    def show(self, name: str, rows: Sequence[Sequence[Picture]], side: int) -> None:
        """Save a gallery."""
        save_sheet(self.galleries / f"{name}.webp", rows, side)


class Progress:
    """Says now and then how far a part has come."""

    def __init__(self, part: str, total: int, every: float = 20.0) -> None:
        self._part, self._total, self._every = part, total, every
        self._done, self._began = 0, time.monotonic()
        self._said = self._began

    def tick(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if now - self._said > self._every:
            self._said = now
            left = (now - self._began) / self._done * (self._total - self._done)
            logger.info("%s: %d of %d, %.0f s left", self._part, self._done, self._total, left)
