"""Train the VAE on crops: sharp edges and true colours at sixteen-fold downsampling."""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from training import processes
from training.models import LATENT_CHANNELS, LATENT_FACTOR, build_vae
from training.optimizer import MatrixOptimizer
from training.pool import SamplePool
from training.progress import Stage

CROP = 128

PEAK_RATE = 3e-3

BOOTSTRAP = 0.12
"""Share of the time in which the latents are principal components of the patches.

A new encoder tells its decoder nothing, and learns what to tell only from a decoder that listens:
luminance comes late, colour very late. Components need no learning and hold colour first. (Seen after
80 seconds: colour error 0.49, without this 1.14.)
"""


def train_vae(
    pool: SamplePool, folder: Path, minutes: float, device: torch.device, batch: int
) -> AutoencoderKL:
    """Return the averaged weights, in evaluation mode."""
    torch.manual_seed(1)
    generator = np.random.default_rng((1, processes.number()))
    model = build_vae().to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = MatrixOptimizer([([model], 1.0)], weight_decay=0.01)
    components = PrincipalComponents.of(processes.of_first(_crops(pool, generator, 256, device)))
    stage = Stage(
        "vae", folder, minutes, {"model": model, "average": average, "optimizer": optimizer}
    )
    for step in stage.steps():
        optimizer.set_rate(stage.rate(PEAK_RATE, warmup=40, hold=0.35))
        pictures = _crops(pool, generator, batch, device)
        with torch.autocast(device.type, torch.bfloat16):
            mean, logvar = _moments(model, pictures).chunk(2, dim=1)
            logvar = logvar.clamp(-12, 4)
            latents = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
            divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
            regularity = 2e-4 * divergence
            if stage.progress < BOOTSTRAP:
                code = components.encode(pictures)
                latents = code + 0.1 * torch.randn_like(code)
                regularity = (mean - code).pow(2).mean() + 0.1 * (logvar + 4).pow(2).mean()
            drawn = model.decoder(model.post_quant_conv(latents)).float()
        loss, figures = reconstruction_loss(drawn, pictures)
        optimizer.clear()
        (loss + regularity).backward()
        optimizer.exchange()
        optimizer.step()
        follow(average, model, min(0.998, (step + 1) / (step + 20)))
        stage.report(50, loss=loss, kl=divergence, **figures)
    return average.eval()


def train_decoder(
    vae: AutoencoderKL,
    pool: SamplePool,
    folder: Path,
    minutes: float,
    device: torch.device,
    batch: int,
) -> AutoencoderKL:
    """Go on with the decoder alone, which leaves the latents as they are: may be done at any time.

    It learns from latents that are a little off, as the diffusion's are.
    """
    torch.manual_seed(5)
    model = vae.to(device, memory_format=torch.channels_last).requires_grad_(False)
    trained = [model.decoder.requires_grad_(True), model.post_quant_conv.requires_grad_(True)]
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = MatrixOptimizer([(trained, 1.0)], weight_decay=0.01)
    stage = Stage(
        "decoder", folder, minutes, {"model": model, "average": average, "optimizer": optimizer}
    )
    generator = np.random.default_rng((5 + stage.step, processes.number()))
    for step in stage.steps():
        optimizer.set_rate(stage.rate(0.4 * PEAK_RATE, warmup=20, hold=0.2))
        pictures = _crops(pool, generator, batch, device)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                latents = _moments(model, pictures)[:, :LATENT_CHANNELS]
                latents = latents + 0.08 * torch.randn_like(latents)
            drawn = model.decoder(model.post_quant_conv(latents)).float()
        loss, figures = reconstruction_loss(drawn, pictures)
        optimizer.clear()
        loss.backward()
        optimizer.exchange()
        optimizer.step()
        follow(average, model, min(0.998, (step + 1) / (step + 20)))
        stage.report(50, loss=loss, **figures)
    return average.requires_grad_(False).eval()


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """The main directions in which patches of 16×16 pixels differ, scaled to unit deviation."""

    centre: Tensor
    axes: Tensor
    spread: Tensor

    @classmethod
    def of(cls, pictures: Tensor) -> "PrincipalComponents":
        """From (batch, 3, H, W)."""
        patches = _patches(pictures).flatten(0, 2)
        centre = patches.mean(0)
        _, _, directions = torch.linalg.svd(patches - centre, full_matrices=False)
        axes = directions[:LATENT_CHANNELS]
        return cls(centre, axes, ((patches - centre) @ axes.T).std(0))

    def encode(self, pictures: Tensor) -> Tensor:
        """(batch, 3, H, W) → (batch, 16, H/16, W/16) float32."""
        code = ((_patches(pictures) - self.centre) @ self.axes.T.float()).float() / self.spread
        return code.permute(0, 3, 1, 2)


def _patches(pictures: Tensor) -> Tensor:
    """(batch, 3, H, W) → (batch, H/16, W/16, 768)."""
    return F.pixel_unshuffle(pictures, LATENT_FACTOR).permute(0, 2, 3, 1)


def reconstruction_loss(drawn: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Multi-scale absolute and gradient differences, and opponent colours.

    The opponent channels (red − green, blue − yellow) count apart because small autoencoders learn
    luminance first and colour last.
    """
    pixels = (drawn - target).abs().mean()
    gradients = torch.zeros((), device=drawn.device)
    scales = torch.zeros((), device=drawn.device)
    small_drawn, small_target = drawn, target
    for _ in range(3):
        gradients = gradients + _gradient_difference(small_drawn, small_target)
        small_drawn, small_target = F.avg_pool2d(small_drawn, 2), F.avg_pool2d(small_target, 2)
        scales = scales + (small_drawn - small_target).abs().mean()
    off = drawn - target
    opponent = torch.stack(
        [off[:, 0] - off[:, 1], off[:, 2] - 0.5 * (off[:, 0] + off[:, 1])], dim=1
    )
    colour = opponent.abs().mean() + 2 * F.avg_pool2d(opponent, 8).abs().mean()
    loss = pixels + 0.3 * scales + 0.7 * gradients + 0.6 * colour
    psnr = -10 * torch.log10(((drawn - target) / 2).pow(2).mean())
    return loss, {"pixels": pixels, "gradients": gradients, "colour": colour, "psnr": psnr}


def follow(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Exponential moving average of the weights, in place."""
    torch._foreach_lerp_(
        list(average.parameters()), [p.detach() for p in model.parameters()], 1 - decay
    )


@torch.no_grad()
def encode(vae: AutoencoderKL, images: Tensor, device: torch.device) -> Tensor:
    """(batch, 3, H, W) uint8 → latents (batch, 16, H/16, W/16) float32."""
    pictures = _as_network_input(images.to(device))
    with torch.autocast(device.type, torch.bfloat16):
        return _moments(vae, pictures)[:, :LATENT_CHANNELS]


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, pool: SamplePool, device: torch.device) -> None:
    """Give every latent channel zero mean and unit deviation, as the noise schedule supposes.

    The affine map goes into the 1×1 convolutions at both ends of the latent space, where it is exact;
    in the 3×3 ones beside them it would not be, at the borders.
    """
    bucket = pool.buckets[0]
    starts = range(0, min(bucket.count, 1024), 32)
    latents = torch.cat([encode(vae, bucket.images[s : s + 32], device).cpu() for s in starts])
    centre = processes.of_first(latents.mean((0, 2, 3)).to(device))
    spread = processes.of_first(latents.std((0, 2, 3)).to(device))
    into, out = vae.quant_conv, vae.post_quant_conv
    out.bias += torch.einsum("oihw,i->o", out.weight, centre)
    out.weight *= spread.view(1, -1, 1, 1)
    into.weight[:LATENT_CHANNELS] /= spread.view(-1, 1, 1, 1)
    into.bias[:LATENT_CHANNELS] = (into.bias[:LATENT_CHANNELS] - centre) / spread
    into.bias[LATENT_CHANNELS:] -= 2 * spread.log()


def _moments(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    return vae.quant_conv(vae.encoder(pictures)).float()


def _as_network_input(images: Tensor) -> Tensor:
    pictures = images.float().div_(127.5).sub_(1)
    return pictures.contiguous(memory_format=torch.channels_last)


def _crops(
    pool: SamplePool, generator: np.random.Generator, batch: int, device: torch.device
) -> Tensor:
    """Random crops at multiples of 16, all from one bucket."""
    bucket = pool.pick_bucket(generator)
    places = torch.from_numpy(generator.integers(0, bucket.count, batch))
    top, left = (
        16 * int(generator.integers(0, (length - CROP) // 16 + 1))
        for length in (bucket.size.height, bucket.size.width)
    )
    window = bucket.images[:, :, top : top + CROP, left : left + CROP]
    return _as_network_input(window[places.to(window.device)].to(device))


def _gradient_difference(drawn: Tensor, target: Tensor) -> Tensor:
    across = (drawn.diff(dim=-1) - target.diff(dim=-1)).abs().mean()
    down = (drawn.diff(dim=-2) - target.diff(dim=-2)).abs().mean()
    return across + down
