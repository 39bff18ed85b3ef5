"""Coupled noise tells its picture's colours where a picture begins, and is noise all the same."""

import pytest
import torch

from training.coupling import FIRST, LIKENESS, ColourCoupling
from training.encoded import Batch

STYLES = 2


def samples(number: int, seed: int) -> tuple[Batch, torch.Tensor]:
    """Flat grounds of three colours' worth of variety, about another centre in each style."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(16, 3, generator=torch.Generator().manual_seed(0))).Q
    styles = torch.arange(number) % STYLES
    along = torch.randn(number, 3, generator=generator) * torch.tensor([1.0, 0.6, 0.3])
    means = along @ axes.T + 4 * styles[:, None]
    latents = means[:, :, None, None] + 0.1 * torch.randn(number, 16, 8, 12, generator=generator)
    return Batch(latents, torch.zeros(number, 1, 8, 12), torch.zeros(number, 77)), styles


@pytest.fixture(scope="module")
def coupling() -> ColourCoupling:
    return ColourCoupling(*samples(600, 1), STYLES)


def coupled(coupling: ColourCoupling, timestep: int) -> tuple[torch.Tensor, torch.Tensor, Batch]:
    """Plain noise, the same coupled, and the pictures."""
    shown, styles = samples(800, 2)
    noise = torch.randn(shown.latents.shape, generator=torch.Generator().manual_seed(3))
    return noise, coupling(noise, shown, styles, torch.full((800,), timestep)), shown


def test_the_mean_tells_the_colours_within_a_style(coupling: ColourCoupling):
    _, noise, shown = coupled(coupling, FIRST)
    for style in range(STYLES):
        told, means = noise[style::2].mean((2, 3)), shown.latents[style::2].mean((2, 3))
        direction = torch.linalg.svd(means - means.mean(0), full_matrices=False).Vh[0]
        likeness = torch.corrcoef(torch.stack([told @ direction, means @ direction]))[0, 1]
        assert likeness > LIKENESS - 0.05


def test_it_is_distributed_as_noise(coupling: ColourCoupling):
    _, noise, _ = coupled(coupling, 999)
    means = noise.mean((2, 3)) * (8 * 12) ** 0.5
    torch.testing.assert_close(means.mean(0), torch.zeros(16), atol=0.15, rtol=0)
    torch.testing.assert_close(means.T.cov(), torch.eye(16), atol=0.2, rtol=0)
    torch.testing.assert_close(noise.std(), torch.tensor(1.0), atol=0.01, rtol=0)


def test_only_means_change_and_only_at_first(coupling: ColourCoupling):
    plain, noise, _ = coupled(coupling, 999)
    around = [one - one.mean((2, 3), keepdim=True) for one in (plain, noise)]
    torch.testing.assert_close(*around, atol=1e-5, rtol=0)
    plain, noise, _ = coupled(coupling, FIRST - 1)
    torch.testing.assert_close(noise, plain)


def test_a_style_without_samples_couples_nothing_astray():
    shown, _ = samples(40, 4)
    coupling = ColourCoupling(shown, torch.zeros(40, dtype=torch.long), STYLES)
    styles = torch.ones(40, dtype=torch.long)
    noise = coupling(torch.randn(shown.latents.shape), shown, styles, torch.full((40,), 999))
    assert noise.isfinite().all()
    assert noise.mean((2, 3)).abs().max() < 1


def test_without_samples_it_says_so():
    shown, styles = samples(0, 5)
    with pytest.raises(ValueError, match="no sample"):
        ColourCoupling(shown, styles, STYLES)
