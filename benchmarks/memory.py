"""Where the figures of `diffusion/device/footprint.py` come from. Run by `make bench-memory`; takes no GPU.

SDXL's networks are built and run with fake tensors in 16 bits, and the bytes that live at once are counted. A guided
picture is two rows. What CUDA adds to that (context, workspaces, fragmentation) is the reserve of `footprint.py`.
"""

import weakref
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GIB = 1024**3
SIDES = (512, 1024, 2048)
ENCODERS = {
    "in_channels": 4,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "transformer_layers_per_block": [1, 2, 10],
    "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that live at once; `peak` is the most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen = weakref.WeakKeyDictionary[Any, int]()

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = call(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: Any) -> None:
        if storage in self._seen:
            return
        size = self._seen[storage] = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size


@torch.no_grad()
def main() -> None:
    """Parameters, then GiB a picture by size."""
    torch.set_default_dtype(torch.float16)
    with FakeTensorMode():
        unet = UNet2DConditionModel(
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), **ENCODERS
        )
        controlnet = ControlNetModel(**ENCODERS)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
        for network in (unet, controlnet, vae):
            count = sum(one.numel() for one in network.parameters())
            print(f"{type(network).__name__:>22} {count / 1e6:>7.0f} M, {2 * count / 1e9:.1f} GB")
        print(f"{'GiB a picture':>22}{'UNet':>9}{'ControlNet':>12}{'residuals':>11}{'VAE':>7}")
        for side in SIDES:
            one, two = (bytes_at_once(unet, controlnet, vae, side, n) for n in (1, 2))
            # What a second picture adds, so that weights do not count.
            each = [(more - less) / GIB for less, more in zip(one, two, strict=True)]
            print(f"{side:>21}²{each[0]:>9.2f}{each[1]:>12.2f}{each[2]:>11.2f}{each[3]:>7.2f}")


def bytes_at_once(unet: Any, controlnet: Any, vae: Any, side: int, pictures: int) -> list[int]:
    """The UNet's peak, the ControlNet's, the residuals that it leaves, and the VAE's peak."""
    return [*step(unet, controlnet, side, pictures), decode(vae, side, pictures)]


def step(unet: Any, controlnet: Any, side: int, pictures: int) -> tuple[int, int, int]:
    """Bytes: the UNet's peak, the ControlNet's, and the residuals that it leaves."""
    rows = 2 * pictures
    latents = torch.empty(rows, 4, side // 8, side // 8)
    states, times = torch.empty(rows, 77, 2048), torch.empty(rows)
    given = {"text_embeds": torch.empty(rows, 1280), "time_ids": torch.empty(rows, 6)}
    control = torch.empty(rows, 3, side, side)
    with LiveBytes() as beside:
        down, mid = controlnet(
            latents, times, states, control, added_cond_kwargs=given, return_dict=False
        )
    with LiveBytes() as inside:
        unet(
            latents,
            times,
            states,
            added_cond_kwargs=given,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        )
    return inside.peak, beside.peak, beside.now


def decode(vae: Any, side: int, pictures: int) -> int:
    """Bytes: the decoder's peak."""
    with LiveBytes() as live:
        vae.decode(torch.empty(pictures, 4, side // 8, side // 8))
    return live.peak


if __name__ == "__main__":
    main()
