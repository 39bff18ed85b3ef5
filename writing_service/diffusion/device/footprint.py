"""How much GPU memory models and pictures take: arithmetic, before anything is loaded.

    weights in 16 bits    UNet 5.1 GB, each ControlNet 2.5 GB, text encoders and VAE 1.8 GB
                          with four ControlNets 16.9 GB (15.8 GiB), with the union network 9.4 GB (8.8 GiB)
    each guided picture   denoised 0.5 GiB, decoded 1.5 GiB; both for 1024² and proportional to pixels

The pictures' figures are counted with fake tensors (`make bench-memory`): torch's fused attention never holds the
whole attention matrix, so nothing grows with the square of the pixels. All sizes below are in GiB.
"""

from dataclasses import dataclass

from writing_service.config import ModelSettings
from writing_service.diffusion.checkpoints.parts import EMBEDDED
from writing_service.diffusion.device.sensors import GIB
from writing_service.types import ConditioningKind

# Parameters, by `make bench-memory`; the text encoders' are CLIP ViT-L/14's and OpenCLIP ViT-bigG/14's.
_UNET = 2.567e9
_CONTROLNET = 1.251e9
_ENCODERS = 0.818e9
_VAE = 0.084e9

_DENOISED = 0.5
_DECODED = 1.5
REFERENCE_SIDE = 1024
"""Of the pictures that these two and every `max_batch_size` count."""

RESERVE = 2.0
"""GiB kept free: CUDA's context 0.5, the rest for kernels' workspaces and fragmentation."""


@dataclass(frozen=True)
class Footprint:
    """GiB of weights, and of each guided picture of 1024²."""

    unet: float
    controlnets: float
    encoders: float
    vae: float
    denoised: float
    decoded: float

    @property
    def weights(self) -> float:
        """All on the device at once."""
        return self.unet + self.controlnets + self.encoders + self.vae

    @property
    def offloaded(self) -> float:
        """The most that is there at once where models wait in main memory for their turn.

        The ControlNets stay beside the UNet through all steps, and until the picture is decoded.
        """
        return max(self.encoders, self.unet + self.controlnets, self.vae + self.controlnets)

    @property
    def picture(self) -> float:
        """Of one picture, the larger of its two stages."""
        return max(self.denoised, self.decoded)


def footprint_of(models: ModelSettings | None, bytes_per_number: int = 2) -> Footprint:
    """Of what the settings name (None: SDXL under four ControlNets). Other models than the shipped count as SDXL's."""
    width = bytes_per_number / GIB
    pictures = (_DENOISED * bytes_per_number / 2, _DECODED * bytes_per_number / 2)
    if models and models.base_model == "embedded":
        # Stored in 16 bits. SDXL's figures for its pictures are far more than it takes.
        stored = sum(file.stat().st_size for file in EMBEDDED.rglob("*.safetensors"))
        return Footprint(stored / 2 * width, 0.0, 0.0, 0.0, *pictures)
    controlnets = _networks(models) * _CONTROLNET
    return Footprint(_UNET * width, controlnets * width, _ENCODERS * width, _VAE * width, *pictures)


def _networks(models: ModelSettings | None) -> int:
    if models is None:
        return len(ConditioningKind)
    return 1 if models.controlnet_union else len(set(models.controlnet_models.values()))


def pixels(side: int) -> float:
    """Of a square picture, in units of the reference's."""
    return (side / REFERENCE_SIDE) ** 2
