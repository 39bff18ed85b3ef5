"""Fused blocks give what diffusers' own give, on images of any size. On a CPU their kernels run interpreted."""

from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from writing_service.diffusion.device.fusing import fuse_blocks, why_not

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

DENOISER: dict[str, Any] = {
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "transformer_layers_per_block": (1, 2),
    "attention_head_dim": (2, 4),
    "cross_attention_dim": 24,
    "norm_num_groups": 8,
    "use_linear_projection": True,
}

# The interpreter's exp is NumPy's, which says so when it gives infinity; the logistic function is 0 there.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")

needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="triton is not installed (pip install triton)"
)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(5)


def image(rows: int, channels: int, height: int, width: int) -> Tensor:
    """Far from zero, as what norms are for."""
    plain = 20 + 3 * torch.randn(rows, channels, height, width, device=DEVICE)
    return plain.to(memory_format=torch.channels_last)


def both(network: nn.Module, *given: Any, **named: Any) -> tuple[Tensor, Tensor]:
    """The answers of the network as it is, and fused."""
    network = network.to(DEVICE).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        fused = deepcopy(network)
        fuse_blocks(fused)
        answers = [one(*given, **named) for one in (network, fused)]
    plain, changed = [one if isinstance(one, Tensor) else one[0] for one in answers]
    return plain, changed


def transformer_of(blocks: int) -> Transformer2DModel:
    """As SDXL's, 32 channels wide."""
    return Transformer2DModel(
        2,
        16,
        num_layers=blocks,
        in_channels=32,
        norm_num_groups=8,
        use_linear_projection=True,
        cross_attention_dim=24,
    )


def denoised() -> tuple[Tensor, Tensor, Tensor]:
    """What DENOISER's networks are given: latents, a timestep, text."""
    text = torch.randn(2, 7, 24, device=DEVICE)
    return torch.randn(2, 4, 8, 8, device=DEVICE), torch.tensor(3, device=DEVICE), text


def test_a_cpu_has_no_kernels() -> None:
    assert why_not(torch.device("cpu")) == "it needs a CUDA device"


@needs_triton
@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize(
    ("rows", "channels", "height", "width", "groups"),
    [(1, 64, 8, 8, 32), (2, 80, 9, 13, 8), (2, 320, 5, 27, 32), (3, 8, 1, 1, 4)],
)
def test_norm_is_torchs(
    rows: int, channels: int, height: int, width: int, groups: int, silu: bool
) -> None:
    from writing_service.diffusion.device.group_norm import group_norm

    norm = nn.GroupNorm(groups, channels).to(DEVICE)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    given, shift = (
        image(rows, channels, height, width),
        torch.randn(rows, channels, device=DEVICE),
    )
    with torch.no_grad():
        wanted = norm.double()((given + shift[:, :, None, None]).double())
        wanted = nn.functional.silu(wanted) if silu else wanted
        got = group_norm(given, norm.float(), shift, silu)
    torch.testing.assert_close(got, wanted.float(), atol=2e-4, rtol=1e-4)
    assert got.is_contiguous(memory_format=torch.channels_last)


@needs_triton
@pytest.mark.parametrize(("wide", "embedding"), [(64, 32), (96, 32), (64, None)])
def test_residual_block_is_diffusers(wide: int, embedding: int | None) -> None:
    block = ResnetBlock2D(in_channels=64, out_channels=wide, temb_channels=embedding, groups=8)
    temb = None if embedding is None else torch.randn(2, embedding, device=DEVICE)
    plain, fused = both(block, image(2, 64, 12, 10), temb)
    torch.testing.assert_close(fused, plain, atol=1e-3, rtol=1e-3)


@needs_triton
@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("blocks", [1, 3])
def test_transformer_is_diffusers(rows: int, blocks: int) -> None:
    text = torch.randn(rows, 7, 24, device=DEVICE)
    given = image(rows, 32, 6, 10)
    plain, fused = both(
        transformer_of(blocks), given, encoder_hidden_states=text, return_dict=False
    )
    torch.testing.assert_close(fused, plain, atol=1e-3, rtol=1e-3)


@needs_triton
@pytest.mark.parametrize("biases", [False, True])
def test_masked_transformer_is_diffusers(biases: bool) -> None:
    of_text, of_pixels = torch.ones(2, 7, device=DEVICE), torch.ones(2, 16, device=DEVICE)
    of_text[0, 4:], of_text[1, :2], of_pixels[:, 9:] = 0, 0, 0
    masks = {"encoder_attention_mask": of_text, "attention_mask": of_pixels}
    if biases:
        masks = {name: (mask[:, None] - 1) * 10000 for name, mask in masks.items()}
    given = {
        "encoder_hidden_states": torch.randn(2, 7, 24, device=DEVICE),
        "return_dict": False,
    }
    transformer, picture = transformer_of(2), image(2, 32, 4, 4)
    plain, fused = both(transformer, picture, **given, **masks)
    torch.testing.assert_close(fused, plain, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        unmasked = transformer(picture, **given)[0]
    assert (fused - unmasked).abs().max() > 0.1


@needs_triton
def test_fusing_again_changes_nothing() -> None:
    transformer = transformer_of(2).to(DEVICE)
    given = (image(1, 32, 4, 4), torch.randn(1, 7, 24, device=DEVICE))
    answers = list[Tensor]()
    for _ in range(2):
        fuse_blocks(transformer)
        with torch.no_grad():
            answers.append(transformer(*given).sample)
    assert torch.equal(*answers)


@needs_triton
def test_whole_unet_is_diffusers() -> None:
    unet = UNet2DConditionModel(
        sample_size=8, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **DENOISER
    ).to(memory_format=torch.channels_last)
    mask = torch.ones(2, 7, device=DEVICE)
    mask[:, 5:] = 0
    for masks in ({}, {"encoder_attention_mask": mask}):
        plain, fused = both(unet, *denoised(), **masks)
        torch.testing.assert_close(fused, plain, atol=2e-3, rtol=2e-3)


@needs_triton
def test_whole_controlnet_is_diffusers() -> None:
    controlnet = ControlNetModel(conditioning_embedding_out_channels=(4, 8), **DENOISER)
    hints = torch.rand(2, 3, 16, 16, device=DEVICE)
    plain, fused = both(controlnet, *denoised(), hints, return_dict=False)
    torch.testing.assert_close(fused, plain, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_take_no_more_memory(dtype: torch.dtype) -> None:
    controlnet = ControlNetModel(**DENOISER).to(dtype)
    before = sum(one.nbytes for one in controlnet.parameters())
    fuse_blocks(controlnet)
    assert sum(one.nbytes for one in controlnet.parameters()) == before
