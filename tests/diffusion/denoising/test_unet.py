"""Step savers: what they leave out, and that nothing else changes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from tests.diffusion.conftest import Loaders, make_job, model_settings
from tests.diffusion.tiny_models import tiny_unet
from writing_service.diffusion.denoising.steering import Residuals, StepInput
from writing_service.diffusion.denoising.unet import DeepFeatures, SteppedUNet
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.types import ConditioningKind, Window

CANNY = ConditioningKind.CANNY


@pytest.fixture(scope="module", params=["plain surface", "attentive surface"])
def unet(request: pytest.FixtureRequest) -> UNet2DConditionModel:
    """As SDXL has it, and with text at the surface, too."""
    torch.manual_seed(3)
    return tiny_unet(attentive=request.param == "attentive surface").eval()


def a_step(unet: Any, rows: int) -> tuple[StepInput, Residuals]:
    torch.manual_seed(4)
    step = StepInput(
        torch.randn(rows, 4, 8, 8),
        torch.full((rows,), 400),
        torch.randn(rows, 77, 48),
        {"text_embeds": torch.randn(rows, 16), "time_ids": torch.rand(rows, 6)},
    )
    shapes = [(32, 8), (32, 8), (32, 4), (64, 4)]
    down = [torch.randn(rows, channels, side, side) for channels, side in shapes]
    return step, Residuals(down, torch.randn(rows, 64, 4, 4))


@torch.no_grad()
def test_a_shallow_pass_over_fresh_features_is_the_whole_pass(unet: Any) -> None:
    stepped, (step, residuals) = SteppedUNet(unet), a_step(unet, 3)

    for given in (residuals, None):
        whole, deep = stepped.whole_and_deep(step, given)
        assert torch.equal(whole, stepped.whole(step, given))
        torch.testing.assert_close(stepped.shallow(step, deep), whole, rtol=0, atol=1e-5)


@torch.no_grad()
def test_features_of_several_pictures_go_together(unet: Any) -> None:
    stepped, (step, residuals) = SteppedUNet(unet), a_step(unet, 3)
    whole, deep = stepped.whole_and_deep(step, residuals)
    _, bare = stepped.whole_and_deep(step.of_rows(torch.tensor([2])), None)

    again = DeepFeatures.together([deep.of_rows(0, 1), deep.of_rows(1, 3)])
    mixed = DeepFeatures.together([bare, deep.of_rows(1, 3)])

    torch.testing.assert_close(stepped.shallow(step, again), whole, rtol=0, atol=1e-5)
    alone = stepped.shallow(step.of_rows(torch.tensor([2])), bare)
    together = stepped.shallow(step.of_rows(torch.tensor([2, 1, 2])), mixed)
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together[1:], whole[1:], rtol=0, atol=1e-5)


async def rows_run(tiny: Path, make_loader: Loaders, **changes: Any) -> tuple[list[int], list[int]]:
    """Rows of each whole pass of the UNet, and of the canny ControlNet, over one job."""
    loader = make_loader(model_settings(tiny))
    base, networks = await loader.load_stable_diffusion_xl(), await loader.load_controlnet_models()
    rows: tuple[list[int], list[int]] = [], []
    base.unet.register_forward_hook(lambda *call: rows[0].append(len(call[2][0])))
    networks[CANNY].register_forward_hook(lambda *call: rows[1].append(len(call[2][1])))
    pipeline = await loader.setup_multi_controlnet_pipeline(networks, base)
    await pipeline.draw(make_job(conditioning_scales={CANNY: 1.0}, **changes))
    pipeline.close()
    return rows


async def test_after_its_window_guidance_takes_no_second_row(
    tiny: Path, make_loader: Loaders
) -> None:
    window = Window(0.0, 0.5)

    rows = await rows_run(tiny, make_loader, num_inference_steps=5, guidance_window=window)

    assert rows == ([2, 2, 1, 1, 1], [2, 2, 1, 1, 1])


async def test_networks_run_whole_once_an_interval(tiny: Path, make_loader: Loaders) -> None:
    rows = await rows_run(tiny, make_loader, num_inference_steps=7, cache_interval=3)

    assert rows == ([2, 2, 2], [2, 2, 2])


async def test_savers_that_save_nothing_change_nothing(pipeline: MultiControlNetPipeline) -> None:
    plain = await pipeline.draw(make_job())
    one_step = await pipeline.draw(make_job(num_inference_steps=1))
    unguided = await pipeline.draw(make_job(guidance_scale=1.0))
    whole = await pipeline.draw(make_job(guidance_window=Window(0.0, 1.0), cache_interval=1))
    never_again = await pipeline.draw(make_job(num_inference_steps=1, cache_interval=5))
    never = await pipeline.draw(make_job(guidance_window=Window(0.0, 0.0)))

    assert raw(whole) == raw(plain)
    assert raw(never_again) == raw(one_step)
    assert raw(never) == raw(unguided)


async def test_each_saver_changes_the_picture(pipeline: MultiControlNetPipeline) -> None:
    plain, cached, cut = [
        raw(await pipeline.draw(make_job(**changes)))
        for changes in ({}, {"cache_interval": 2}, {"guidance_window": Window(0.0, 0.4)})
    ]

    assert len({plain, cached, cut}) == 3


def raw(drawn: Any) -> bytes:
    return drawn.images[0].image.tobytes()
