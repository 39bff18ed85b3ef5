"""How well a word stands out of its picture, as one number: 0.5 is invisible, 1 is perfect.

Each piece of the word (`zones.py`) is compared with the ground around it. Both are clouds of colours in CIE Lab
(D65), m₁ and m₀ their means. Ink x is told from ground y by one number f, in ΔE (the CIE 1976 colour difference), and
the piece's value is the area under the ROC curve of that: the probability that f(x) lies above f(y), when an observer's
own noise of σ = 4 is added to each:

    A = mean over all pairs of Φ((f(x) - f(y)) / (σ√2))

Of three such numbers the best counts, so that it is all the same whether ink is darker, lighter, of another hue only,
of a tone between those of the ground, or of many tones:

    f(c) = w·c        w ∝ (S + σ²I)⁻¹ (m₁ - m₀), |w| = 1, S the mean of the covariances: Fisher's linear discriminant
    f(c) = -|c - m₁|  ink is of one colour, whatever the ground's are (an outline, a halo)
    f(c) = |c - m₀|   the ground is of one colour, whatever the ink's are

So a difference of 2.3, which is just noticed (Mahy, Van Eycken and Oosterlinck, 1994), gives 0.66 on flat ground, one
of 10 gives 0.96. The best value counts, too, of those that the piece has at its place and a fifth of a stroke's width
to each of four sides; and of two ways to draw it, filled (ink against ground) or as a contour (the strip along
the outline against the ground outside).

The score is the mean of two figures: the pieces' values weighted by their ink, and the lowest of them. So one
lost stroke of many shows, and every further one shows too.

Limits. It asks whether the word's shape is there, not whether it is the right word or could be read by somebody
who does not know it. What is added between the strokes counts only near them. Ink of many tones on a ground of many
counts as half seen even where an outline parts them. On a textured ground invisible pieces reach 0.6 to 0.7 by chance,
for the best of many comparisons is taken.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from writing_service.legibility.zones import Comparison, Zones, zones_of
from writing_service.types import Pixels, RenderedWord

CHANCE = 0.5
"""The value of what cannot be told from its ground."""

NOISE = 4.0
"""σ above, in ΔE."""

_BIN = 2.0
_FARTHEST = 80.0
_BINS = 81
"""Colour differences are counted in bins from -80 to 80, in ΔE; what lies farther out falls into the outermost."""

_LEVELS = _BIN * np.arange(_BINS)
_ABOVE = ndtr((_LEVELS[:, None] - _LEVELS[None, :]) / (NOISE * np.sqrt(2)))
"""[i, j]: how probably bin i is seen above bin j."""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LegibilityScore:
    """`value` is the score, 0.5 to 1; `whole` and `weakest` are what it is the mean of.

    `pieces` are the values of all pieces, NaN for those too small to be compared.
    """

    whole: float
    weakest: float
    pieces: Values

    @property
    def value(self) -> float:
        """0.5 is invisible, 1 is perfect."""
        return (self.whole + self.weakest) / 2


class LegibilityScorer:
    """Scores any number of pictures of one word, also from several threads."""

    def __init__(self, word: RenderedWord) -> None:
        self.zones: Zones = zones_of(word)

    def score(self, picture: Pixels) -> LegibilityScore:
        """Of a (height, width, 3) sRGB picture of the canvas's size."""
        zones = self.zones
        lab = zones.seen(picture)
        pieces = np.fmax(
            _values(zones.filled, lab, zones.shift, len(zones.areas)),
            _values(zones.outlined, lab, zones.shift, len(zones.areas)),
        )
        judged = np.isfinite(pieces)
        if not judged.any():
            return LegibilityScore(CHANCE, CHANCE, pieces)
        weighty = judged & zones.weighty
        return LegibilityScore(
            float(np.average(pieces[judged], weights=zones.areas[judged])),
            float(pieces[weighty if weighty.any() else judged].min()),
            pieces,
        )


def _values(comparison: Comparison, lab: NDArray[np.float32], shift: int, number: int) -> Values:
    """Of all pieces, the best over the shifts, at least chance; NaN where there is nothing to compare."""
    values = np.full(number, np.nan)
    if len(comparison.pieces):
        values[comparison.pieces] = np.max(
            [
                _areas_under_curve(
                    comparison, _colours(comparison, lab, shift + down, shift + right)
                )
                for down, right in ((0, 0), (-shift, 0), (shift, 0), (0, -shift), (0, shift))
            ],
            axis=0,
        ).clip(CHANCE, 1)
    return values


def _colours(
    comparison: Comparison, lab: NDArray[np.float32], down: int, right: int
) -> NDArray[np.float64]:
    return lab[comparison.rows + down, comparison.columns + right].astype(np.float64)


def _areas_under_curve(comparison: Comparison, colours: NDArray[np.float64]) -> Values:
    """A of each piece, from the (n, 3) Lab colours of the comparison's pixels."""
    counts, groups = comparison.counts, comparison.groups
    means = np.add.reduceat(colours, comparison.starts) / counts[:, None]
    centred = colours - means[groups]
    products = centred[:, :, None] * centred[:, None, :]
    covariances = np.add.reduceat(products, comparison.starts) / counts[:, None, None]
    directions = _discriminants(means, covariances)
    piece = groups // 2
    ink, ground = means[2 * piece], means[2 * piece + 1]
    along = ((colours - (ink + ground) / 2) * directions[piece]).sum(1)
    from_ink, from_ground = (np.linalg.norm(colours - one, axis=1) for one in (ink, ground))
    return np.max(
        [_area(comparison, x) for x in (along, _FARTHEST - from_ink, from_ground - _FARTHEST)],
        axis=0,
    )


def _area(comparison: Comparison, x: Values) -> Values:
    """A of each piece when pixels are told apart by `x`, in ΔE, of which ink has more."""
    counts = comparison.counts
    bins = np.clip(np.round((x + _FARTHEST) / _BIN), 0, _BINS - 1).astype(np.int64)
    counted = np.bincount(comparison.groups * _BINS + bins, minlength=len(counts) * _BINS)
    shares = counted.reshape(-1, _BINS) / counts[:, None]
    return ((shares[0::2] @ _ABOVE) * shares[1::2]).sum(1)


def _discriminants(means: NDArray[np.float64], covariances: NDArray[np.float64]) -> Values:
    """Fisher's direction for each piece, (pieces, 3) of length 1; 0 where the means are the same."""
    within = (covariances[0::2] + covariances[1::2]) / 2 + NOISE**2 * np.eye(3)
    apart = (means[0::2] - means[1::2])[..., None]
    directions = np.linalg.solve(within, apart)[..., 0]
    return directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
