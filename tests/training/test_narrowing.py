"""A trained UNet goes over into one of the same shape, or with another width of time embedding."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from training import narrowing
from training.models import build_unet
from training.narrowing import take_over

_POOLED = torch.randn(64, 192, generator=torch.Generator().manual_seed(1))


def test_a_network_of_the_same_shape_is_copied():
    trained, unet = build_unet(), build_unet()
    take_over(unet, trained, _POOLED)
    for own, theirs in zip(unet.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(own, theirs, rtol=0, atol=0)


def test_a_narrower_time_embedding_learns_what_the_wide_one_did(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(narrowing, "STEPS", 80)
    monkeypatch.setattr(narrowing, "BATCH", 64)
    torch.manual_seed(2)
    narrow = build_unet()
    wide = UNet2DConditionModel.from_config({**narrow.config, "time_embedding_dim": 384})
    assert isinstance(wide, UNet2DConditionModel)
    _make_modulation_strong(wide)
    copied = build_unet()
    copied.load_state_dict(
        {k: v for k, v in wide.state_dict().items() if v.shape == copied.state_dict()[k].shape},
        strict=False,
    )
    take_over(narrow, wide, _POOLED)
    assert _difference(narrow, wide) < 0.5 * _difference(copied, wide)


def _make_modulation_strong(unet: UNet2DConditionModel) -> None:
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "time_emb_proj" in name:
                parameter.mul_(6)


@torch.no_grad()
def _difference(one: UNet2DConditionModel, other: UNet2DConditionModel) -> float:
    generator = torch.Generator().manual_seed(3)
    noisy = torch.randn(4, 16, 16, 16, generator=generator)
    states = torch.randn(4, 77, 192, generator=generator)
    added = {
        "text_embeds": _POOLED[:4],
        "time_ids": torch.tensor([[256.0, 256, 0, 0, 256, 256]] * 4),
    }
    times = torch.tensor([50, 350, 650, 950])
    told = [unet(noisy, times, states, added_cond_kwargs=added).sample for unet in (one, other)]
    return float((told[0] - told[1]).pow(2).mean())
