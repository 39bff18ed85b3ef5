"""Small pictures of unfinished latents, without the VAE's decoder: one multiplication a latent."""

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

SEED = 0
LATENTS_A_SIDE = 8
"""Side of a picture to fit to, in latents: enough to tell, cheap on a CPU."""

GRIDS = (2, 3, 5, 8, 13, 21)
"""Random colours a side of a picture to fit to: from slow gradients to patches smaller than a latent."""


@dataclass(frozen=True, eq=False)
class LatentPreview:
    """The nearest linear map from a VAE's latents to colours.

    `weights` is (channels + 1, 3) float32 on the CPU: from a latent, as the UNet has it, and a one to RGB from -1 to 1.
    """

    weights: Tensor

    @classmethod
    @torch.no_grad()
    def fit(cls, vae: Any, device: torch.device) -> "LatentPreview":
        """By least squares on what the AutoencoderKL's encoder makes of a dozen pictures of random colours.

        The same VAE gives the same map. Runs on `device`, where the VAE works, on a thread that may use it; with the
        embedded one it takes less than half a second of a CPU.
        """
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        pictures = _pictures_to_fit(LATENTS_A_SIDE * factor)
        encoded = vae.encode(pictures.to(device, vae.dtype)).latent_dist.mode()
        latents = _scaled(encoded.cpu().double(), vae.config)
        colours = avg_pool2d(pictures.double(), factor)
        # Works for channels that never change, too, which a plain inverse does not.
        fitted = torch.linalg.lstsq(_rows(latents), _rows(colours)[:, :3], driver="gelsd")
        return cls(fitted.solution.float())

    def pictures(self, latents: Tensor, side: int = 256) -> tuple[Image.Image, ...]:
        """RGB pictures, the longer side `side` pixels, of latents (n, channels, height, width) as the UNet has them.

        Of latents in the middle of the steps only what the scheduler expects of the finished ones
        (`pred_original_sample`) gives clear colours; others show their noise. What is not finite becomes grey.
        """
        rows = _rows(latents.float().cpu()) @ self.weights
        levels = rows.nan_to_num(0, 0, 0).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        count, _, height, width = latents.shape
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grids = levels.view(count, height, width, 3).numpy()
        return tuple(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC) for one in grids)


def _pictures_to_fit(side: int) -> Tensor:
    """(n, 3, side, side) from -1 to 1: every grid of colours once smooth and once with hard edges."""
    generator = torch.Generator().manual_seed(SEED)
    pictures = [
        interpolate(
            torch.rand(1, 3, cells, cells, generator=generator) * 2 - 1, (side, side), mode=mode
        )
        for mode in ("bicubic", "nearest")
        for cells in GRIDS
    ]
    return torch.cat(pictures).clamp(-1, 1)


def _rows(values: Tensor) -> Tensor:
    """(n, channels, height, width) → (n · height · width, channels + 1): every place's values, and a one."""
    rows = values.permute(0, 2, 3, 1).flatten(0, 2)
    return torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)


def _scaled(latents: Tensor, config: Any) -> Tensor:
    """What the UNet was trained on, from what the VAE was: the way back from the denoiser's decoding."""
    mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or deviation is None:
        return latents * config.scaling_factor
    shape = (1, -1, 1, 1)
    centred = latents - latents.new_tensor(mean).view(shape)
    return centred * config.scaling_factor / latents.new_tensor(deviation).view(shape)
