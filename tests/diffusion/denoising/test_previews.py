"""Previews: latents as small pictures, without the decoder."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from tests.diffusion.tiny_models import tiny_vae
from training.art import paint
from writing_service.diffusion.checkpoints.parts import EMBEDDED
from writing_service.diffusion.denoising.previews import LatentPreview
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Size

CPU = torch.device("cpu")
STYLES = ("comic", "watercolor", "realistic", "ink", "traditional")


@pytest.fixture(scope="module")
def tiny() -> Any:
    torch.manual_seed(3)
    return tiny_vae().eval()


@pytest.fixture(scope="module")
def embedded() -> Any:
    return AutoencoderKL.from_pretrained(EMBEDDED / "vae").eval()


@pytest.fixture(scope="module")
def art() -> list[np.ndarray]:
    """(256, 256, 3) uint8: a word and its pictogram, painted in every style."""
    composer = SceneComposer(WordRenderer(FontLibrary()))
    pictogram = PictogramLibrary().named("books")
    scene = composer.compose("学习", "auto", Size(256, 256), pictogram, seed=7)
    return [paint(scene, style, seed) for seed, style in enumerate(STYLES)]


@torch.no_grad()
def encoded(vae: Any, pictures: list[np.ndarray]) -> torch.Tensor:
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return vae.encode(pixels).latent_dist.mode()


def averaged(picture: np.ndarray, factor: int) -> np.ndarray:
    height, width = (side // factor for side in picture.shape[:2])
    return picture.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("shape", "side", "size"),
    [
        ((1, 4, 8, 8), 256, (256, 256)),
        ((3, 4, 6, 12), 96, (96, 48)),
        ((2, 4, 40, 10), 20, (5, 20)),
        ((1, 4, 1, 60), 30, (30, 1)),
    ],
)
def test_pictures_have_the_latents_shape(
    tiny: Any, shape: tuple[int, ...], side: int, size: tuple[int, int]
):
    pictures = LatentPreview.fit(tiny, CPU).pictures(torch.randn(shape), side)
    assert len(pictures) == shape[0]
    assert {(one.mode, one.size) for one in pictures} == {("RGB", size)}


def test_the_same_vae_gives_the_same_map_whatever_chance_did_before(tiny: Any):
    first = LatentPreview.fit(tiny, CPU).weights
    torch.manual_seed(99)
    assert torch.equal(LatentPreview.fit(tiny, CPU).weights, first)
    assert first.shape == (5, 3)


def test_fitting_leaves_chance_and_gradients_alone(tiny: Any):
    before = torch.get_rng_state()
    preview = LatentPreview.fit(tiny, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert not preview.weights.requires_grad


def test_half_precision_and_dead_channels_do_no_harm():
    vae: Any = tiny_vae().eval().to(torch.bfloat16)
    with torch.no_grad():
        vae.quant_conv.weight[1].zero_()
        vae.quant_conv.bias[1].zero_()
    preview = LatentPreview.fit(vae, CPU)
    assert torch.isfinite(preview.weights).all()
    assert preview.pictures(torch.randn(1, 4, 8, 8, dtype=torch.bfloat16))[0].size == (256, 256)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_becomes_grey(tiny: Any, value: float):
    (picture,) = LatentPreview.fit(tiny, CPU).pictures(torch.full((1, 4, 4, 4), value), 4)
    assert set(np.asarray(picture).ravel()) == {128}


@pytest.mark.parametrize(
    "scale",
    [
        {"scaling_factor": 0.13025},
        {
            "scaling_factor": 0.5,
            "latents_mean": [0.1, -0.2, 0.3, 0.0],
            "latents_std": [2.0, 0.5, 1.0, 3.0],
        },
    ],
)
def test_latents_are_taken_as_the_unet_has_them(
    tiny: Any, art: list[np.ndarray], scale: dict[str, object]
):
    other: Any = tiny_vae(**scale)
    other.load_state_dict(tiny.state_dict())
    own = encoded(tiny, art)
    shape = (1, -1, 1, 1)
    mean = torch.tensor(scale.get("latents_mean", [0.0] * 4)).view(shape)
    deviation = torch.tensor(scale.get("latents_std", [1.0] * 4)).view(shape)
    theirs = (own - mean) / deviation * other.config.scaling_factor
    expected = LatentPreview.fit(tiny, CPU).pictures(own * tiny.config.scaling_factor)
    for one, same in zip(LatentPreview.fit(other, CPU).pictures(theirs), expected, strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(same, int)).max() <= 1


def test_the_embedded_vaes_previews_show_the_art(embedded: Any, art: list[np.ndarray]):
    previews = LatentPreview.fit(embedded, CPU).pictures(encoded(embedded, art), side=16)
    seen = np.stack([np.asarray(one, float) for one in previews])
    meant = np.stack([averaged(one, 16) for one in art])
    explained = 1 - ((seen - meant) ** 2).sum() / ((meant - meant.mean(axis=(0, 1, 2))) ** 2).sum()
    assert explained > 0.95
    assert np.abs(seen - meant).mean() < 12


def test_a_preview_is_smooth_where_it_is_enlarged(embedded: Any, art: list[np.ndarray]):
    preview = LatentPreview.fit(embedded, CPU)
    latents = encoded(embedded, art[:1])
    small, large = (preview.pictures(latents, side)[0] for side in (16, 128))
    assert np.array_equal(
        np.asarray(large), np.asarray(small.resize((128, 128), Image.Resampling.BICUBIC))
    )
