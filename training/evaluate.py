"""Draw the held-out words in every style, read them back, and save the grid.

Run by `python -m training.evaluate [checkpoint] [grid.webp]`.

The figure for the training art itself stands beside the checkpoint's, for no picture can be more
legible than what it was trained towards.
"""

import asyncio
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.art import STYLES, paint
from training.reading import is_read
from training.words import HELD_OUT
from writing_service.app import create_generator
from writing_service.config import load_settings
from writing_service.generator import AIImageGenerator
from writing_service.types import AIGenerationResult, WritingRequest

logger = logging.getLogger("training.evaluate")
CELL = 256


@dataclass(frozen=True)
class Figures:
    """How many of `pictures` words were read in the drawn pictures, in the training art, and plain."""

    pictures: int
    drawn: int
    art: int
    plain: int
    seconds_each: float


async def evaluate(
    generator: AIImageGenerator, size: int = 512
) -> tuple[Figures, NDArray[np.uint8]]:
    """Return the figures and a grid: a row a word, a column a style."""
    rows, drawn, art, plain, seconds = [], 0, 0, 0, 0.0
    for number, (word, language, meaning) in enumerate(HELD_OUT):
        row = []
        for style in STYLES:
            started = time.perf_counter()
            result = await generator.generate(
                WritingRequest(word, meaning, style=style, seed=number, width=size, height=size)
            )
            seconds += time.perf_counter() - started
            picture = np.asarray(result.images[0].image.convert("RGB"))
            drawn += is_read(picture, result.scene.word.mask, word, language)
            art += _art_is_read(result, style, number, word, language)
            row.append(cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_AREA))
        plain += is_read(
            np.asarray(result.scene.word.image), result.scene.word.mask, word, language
        )
        logger.info("%s: drawn %d, art %d so far", word, drawn, art)
        rows.append(np.hstack(row))
    count = len(HELD_OUT) * len(STYLES)
    figures = Figures(count, drawn, art, plain * len(STYLES), seconds / count)
    return figures, np.vstack(rows)


def _art_is_read(
    result: AIGenerationResult, style: str, seed: int, word: str, language: str
) -> bool:
    return is_read(paint(result.scene, style, seed), result.scene.word.mask, word, language)


def main(arguments: list[str]) -> None:
    """Evaluate a checkpoint folder, the shipped one unless named."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    overrides = [f"ai_generation.models.base_model={arguments[0]}"] if arguments else []
    grid_file = Path(arguments[1] if len(arguments) > 1 else "docs/pictures/held-out-words.webp")
    generator = create_generator(load_settings(overrides))
    figures, grid = asyncio.run(evaluate(generator))
    grid_file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).save(grid_file, quality=82)
    logger.info(figures)


if __name__ == "__main__":
    main(sys.argv[1:])
