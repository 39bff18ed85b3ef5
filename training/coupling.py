"""Noise that tells a picture's colours, so that seeds differ in theirs.

A picture begins as noise alone. What a network can say of it then is the mean of all pictures that fit, and where the
steps are few, the colours that lie near that mean are what comes out, whatever the seed. So in training the noise of
the first steps is coupled to the pictures: its own mean is theirs, seen through a linear map that gives it the
distribution which the mean of noise has anyway. Serving draws plain noise, and its mean chooses the colours.

Pooladian et al., "Multisample Flow Matching: Straightening Flows with Minibatch Couplings", 2023, couple noise and
pictures by matching them; a map needs no batch of any size, and tells the same noise the same colours always.
"""

import torch
from torch import Tensor

from training import processes
from training.encoded import Batch

FIRST = 960
"""Timesteps from here on are coupled. Later, what a picture holds already tells its colours."""

LIKENESS = 0.95
"""Correlation of the noise's mean with the picture's."""

DIRECTIONS = 3
"""Of the latents' channels, in which pictures of a style differ in their means: they explain 96 % of it."""

_FLOOR = 1e-3
"""Variance that any mean is thought to have."""


class ColourCoupling:
    """The map of each style, learnt from samples. All processes use that of the first one's."""

    def __init__(self, samples: Batch, styles: Tensor, count: int) -> None:
        """`styles` (n,) of the samples are numbers below `count`. Raises ValueError without samples."""
        if not len(styles):
            raise ValueError("There is no sample to learn the colours from.")
        means = _means(samples)
        of_style = torch.nn.functional.one_hot(styles, count).to(means)
        number = of_style.sum(0).clamp(min=1)
        self._centres = processes.of_first(of_style.T @ means / number[:, None])
        apart = means - self._centres[styles]
        directions = torch.linalg.svd(apart, full_matrices=False).Vh[:DIRECTIONS]
        self._directions = processes.of_first(directions.contiguous())
        along = apart @ self._directions.T
        spread = torch.einsum("ns,nd,ne->sde", of_style, along, along) / number[:, None, None]
        self._whitening = processes.of_first(_inverse_root(spread))

    def __call__(self, noise: Tensor, samples: Batch, styles: Tensor, timesteps: Tensor) -> Tensor:
        """`noise` (n, 16, h, w) of unit variance, coupled to the samples where their timesteps are early."""
        pixels = noise[0, 0].numel()
        own = noise.mean((2, 3)) @ self._directions.T * pixels**0.5
        apart = (_means(samples) - self._centres[styles]) @ self._directions.T
        told = (self._whitening[styles] @ apart[..., None])[..., 0].clamp(-2.5, 2.5)
        wanted = LIKENESS * told + (1 - LIKENESS**2) ** 0.5 * own
        change = (wanted - own) * (timesteps >= FIRST)[:, None] / pixels**0.5
        return noise + (change @ self._directions)[..., None, None]


def _means(samples: Batch) -> Tensor:
    """(n, 16): of the latents around the word."""
    around = 1 - samples.words
    return (samples.latents * around).sum((2, 3)) / around.sum((2, 3)).clamp(min=1)


def _inverse_root(spread: Tensor) -> Tensor:
    """(s, d, d) → the symmetric matrices that make means of this covariance white."""
    values, vectors = torch.linalg.eigh(spread)
    return vectors @ torch.diag_embed((values + _FLOOR).rsqrt()) @ vectors.mT
