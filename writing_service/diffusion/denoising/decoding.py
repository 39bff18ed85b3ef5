"""From finished latents to pictures: the VAE, on a CUDA stream of its own, beside further steps."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from writing_service.diffusion.denoising.framing import Frame
from writing_service.diffusion.denoising.previews import LatentPreview
from writing_service.errors import GenerationFailed


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded picture (1, 3, height, width) from -1 to 1, float32, once the device has `ended`."""

    pixels: Tensor
    ended: torch.Event | None = None

    def finite(self) -> Tensor:
        """The pixels, waited for. Raises GenerationFailed when numbers overflowed: they would be black."""
        if self.ended is not None:
            self.ended.synchronize()
        if bool(torch.isfinite(self.pixels).all()):
            return self.pixels
        raise GenerationFailed(
            "The model's numbers overflowed and gave no picture; set ai_generation.gpu.dtype to "
            "bfloat16 or float32, or use a VAE that is made for float16."
        )


class Decoder:
    """The VAE of a diffusers pipeline. One thread at a time, but for `to_picture`."""

    def __init__(self, base: Any, device: torch.device) -> None:
        self._base = base
        self._device = device
        self._beside = torch.cuda.Stream(device) if device.type == "cuda" else None

    @cached_property
    def preview(self) -> LatentPreview:
        """Of the VAE in use, fitted at the first call."""
        return LatentPreview.fit(self._base.vae, self._device)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> list[Decoded]:
        """A picture of each of the latents (n, channels, height, width); on CUDA beside further steps."""
        if self._beside is None:
            return [Decoded(one) for one in self._decoded(latents).split(1)]
        # After the steps that are asked for by now, while those to come go on.
        self._beside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._beside):
            pixels = self._decoded(latents)
            latents.record_stream(self._beside)
            ended = self._beside.record_event()
        return [Decoded(one, ended) for one in pixels.split(1)]

    def _decoded(self, latents: Tensor) -> Tensor:
        """(n, 3, height, width) from -1 to 1, float32."""
        vae = self._base.vae
        unscaled = _unscaled(latents, vae.config).to(vae.dtype)
        return vae.decode(unscaled, return_dict=False)[0].float()

    def to_picture(self, decoded: Decoded, frame: Frame) -> Image.Image:
        """An image of the size that the frame was asked for. On any thread. Raises GenerationFailed, see Decoded."""
        (drawn,) = self._base.image_processor.postprocess(decoded.finite(), output_type="pil")
        return frame.restore(drawn)


def _unscaled(latents: Tensor, config: Any) -> Tensor:
    """What the VAE was trained on, from what the UNet was."""
    mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or deviation is None:
        return latents / config.scaling_factor
    shape = (1, -1, 1, 1)
    return latents * latents.new_tensor(deviation).view(shape) / config.scaling_factor + (
        latents.new_tensor(mean).view(shape)
    )
