"""Do seeds differ? Ten pictures of one word a style, beside ten of the art for the same scenes.

Two distances, each the mean over pairs, 0 is equal and 1 is as far as can be: Hellinger's between the
pictures' Lab histograms (other colours), and one less the structural similarity of the shrunk pictures'
light (other shapes in other places).
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from training.art import STYLES
from training.evaluation.bench import Bench, Progress
from training.evaluation.gallery import Picture
from training.evaluation.results import Row

WORD, MEANING = "猫", "cat"
SEEDS = 10
_BINS = 8


@dataclass(frozen=True)
class Spread:
    """Mean distances between pairs."""

    colours: float
    shapes: float


@dataclass(frozen=True)
class Diversity:
    """By style."""

    drawn: dict[str, Spread]
    art: dict[str, Spread]

    def rows(self) -> Iterable[Row]:
        """Both distances of every style."""
        for style, drawn in self.drawn.items():
            art = self.art[style]
            yield Row(
                f"seeds differ in colours, {style}", f"{drawn.colours:.2f}", f"{art.colours:.2f}"
            )
            yield Row(
                f"seeds differ in shapes, {style}", f"{drawn.shapes:.2f}", f"{art.shapes:.2f}"
            )


async def measure(bench: Bench) -> Diversity:
    """Ten seeds in every style."""
    progress = Progress("diversity", SEEDS * len(STYLES))
    rows: dict[str, list[Picture]] = {}
    art: dict[str, list[Picture]] = {}
    for style in STYLES:
        rows[style], art[style] = [], []
        for seed in range(SEEDS):
            drawing = await bench.draw(WORD, MEANING, style, seed)
            rows[style].append(drawing.picture)
            art[style].append(drawing.art())
            progress.tick()
    bench.show("seeds", list(rows.values()), 128)
    return Diversity(
        {style: spread(pictures) for style, pictures in rows.items()},
        {style: spread(pictures) for style, pictures in art.items()},
    )


def spread(pictures: Sequence[Picture]) -> Spread:
    """Of two pictures of one size or more."""
    lights = [_light(picture) for picture in pictures]
    histograms = [lab_histogram(picture) for picture in pictures]
    return Spread(
        float(np.mean([hellinger(*pair) for pair in itertools.combinations(histograms, 2)])),
        float(
            np.mean(
                [
                    (1 - structural_similarity(*pair, data_range=255)) / 2
                    for pair in itertools.combinations(lights, 2)
                ]
            )
        ),
    )


def lab_histogram(picture: Picture) -> NDArray[np.float32]:
    """(512,) float32 shares of the picture by lightness and the two colour axes."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    counts = cv2.calcHist([lab], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3).ravel()
    return counts / counts.sum()


def hellinger(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """0 for equal distributions, 1 for ones that share nothing."""
    return float(np.sqrt(max(0.0, 1 - np.sqrt(one * other).sum())))


def _light(picture: Picture) -> NDArray[np.uint8]:
    small = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
