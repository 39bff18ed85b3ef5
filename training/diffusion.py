"""Train UNet, ControlNet and text encoders together to undo noise under any mix of control images."""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, ControlNetModel
from torch import Tensor, nn
from transformers import CLIPTokenizer

from training.control import control_images
from training.models import (
    LATENT_CHANNELS,
    LATENT_FACTOR,
    build_scheduler,
    build_unet,
    encode_text,
)
from training.pool import Bucket, SamplePool
from training.progress import Stage
from training.samples import KINDS
from training.text import tokenize
from training.vae import encode, follow
from writing_service.types import Size

PEAK_RATE = 1e-3
TEXT_RATE = 0.3
NATIVE_AREA = 512 * 512
PAIRS_EACH = 3.0
"""Control images run for each picture, on average."""

WORD_WEIGHT = 1.0
"""Errors inside the word count this much more."""


class Networks(nn.Module):
    """All that the diffusion stage trains."""

    def __init__(self, controlnet: ControlNetModel, encoders: nn.ModuleList) -> None:
        super().__init__()
        self.unet = build_unet()
        self.controlnet = controlnet
        self.encoders = encoders

    def forward(self, noisy: Tensor, timesteps: Tensor, text: "Text", controls: "Controls") -> Tensor:
        """Predict the velocity of `noisy` (batch, 16, h, w)."""
        states, pooled = encode_text(tuple(self.encoders), text.tokens)
        states, pooled = states * text.kept[:, None, None], pooled * text.kept[:, None]
        added = {"text_embeds": pooled, "time_ids": text.time_ids}
        down, middle = None, None
        if len(controls.sample):
            down, middle = self._residuals(noisy, timesteps, states, added, controls)
        predicted = self.unet(
            noisy,
            timesteps,
            states,
            added_cond_kwargs=added,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )
        return predicted.sample

    def _residuals(
        self, noisy: Tensor, timesteps: Tensor, states: Tensor, added: dict[str, Tensor], controls: "Controls"
    ) -> tuple[list[Tensor], Tensor]:
        """Run every (sample, kind) pair in one batch; add the weighted results up by sample."""
        of = controls.sample
        down, middle = self.controlnet(
            noisy[of],
            timesteps[of],
            states[of],
            controlnet_cond=controls.images,
            added_cond_kwargs={key: value[of] for key, value in added.items()},
            return_dict=False,
        )

        def by_sample(residual: Tensor) -> Tensor:
            total = residual.new_zeros((len(noisy), *residual.shape[1:]))
            return total.index_add(0, of, residual * controls.scale.to(residual.dtype))

        return [by_sample(residual) for residual in down], by_sample(middle)


@dataclass(frozen=True, eq=False)
class Text:
    """`tokens` (batch, 77); `kept` (batch,) 0 where the text is dropped; `time_ids` (batch, 6)."""

    tokens: Tensor
    kept: Tensor
    time_ids: Tensor


@dataclass(frozen=True, eq=False)
class Controls:
    """(sample, kind) pairs: index of the sample, scale (pairs, 1, 1, 1), image (pairs, 3, H, W)."""

    sample: Tensor
    scale: Tensor
    images: Tensor


class LatentStore:
    """Latents of the pool's pictures, encoded once as the pool grows."""

    def __init__(self, pool: SamplePool, vae: AutoencoderKL, device: torch.device) -> None:
        self._pool, self._vae, self._device = pool, vae, device
        self._latents = [
            torch.empty(b.capacity, LATENT_CHANNELS, *_latent_shape(b.size), dtype=torch.float16)
            for b in pool.buckets
        ]
        self._encoded = [0] * len(pool.buckets)

    def update(self, chunk: int = 64) -> None:
        """Encode what has come since the last call."""
        for index, bucket in enumerate(self._pool.buckets):
            for start in range(self._encoded[index], count := bucket.count, chunk):
                end = min(count, start + chunk)
                self._latents[index][start:end] = encode(
                    self._vae, bucket.images[start:end], self._device
                ).cpu()
            self._encoded[index] = count

    def pick(self, generator: np.random.Generator, batch: int) -> tuple[Bucket, np.ndarray, Tensor]:
        """A bucket, places in it, and their latents; larger pictures come fewer at a time."""
        bucket = self._pool.pick_bucket(generator)
        index = self._pool.buckets.index(bucket)
        area = bucket.size.width * bucket.size.height
        number = max(4, int(batch * NATIVE_AREA / area))
        places = generator.integers(0, self._encoded[index], number)
        return bucket, places, self._latents[index][torch.from_numpy(places)].to(self._device).float()


def train_diffusion(
    pool: SamplePool,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    networks: Networks,
    folder: Path,
    minutes: float,
    device: torch.device,
    batch: int,
    style_weights: np.ndarray,
    negative_prompts: list[str],
) -> Networks:
    """Return the averaged networks. `style_weights` (styles, 4) are the service's ControlNet weights."""
    torch.manual_seed(4)
    networks = networks.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(networks).requires_grad_(False)
    optimizer = _optimizer(networks)
    stage = Stage(
        "diffusion", folder, minutes, {"networks": networks, "average": average, "optimizer": optimizer}
    )
    generator = np.random.default_rng(4 + stage.step)
    store = LatentStore(pool, vae, device)
    alphas = build_scheduler().alphas_cumprod.to(device)
    for step in stage.steps():
        if step % 50 == 0 or not step:
            store.update()
        for group in optimizer.param_groups:
            group["lr"] = stage.rate(PEAK_RATE, warmup=100, hold=0.5) * group["share"]
        bucket, places, clean = store.pick(generator, batch)
        timesteps = _timesteps(len(clean), device)
        noise = torch.randn_like(clean)
        alpha = alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        text = _texts(bucket, places, tokenizer, generator, negative_prompts, device)
        controls = _controls(bucket, places, generator, style_weights, device)
        with torch.autocast(device.type, torch.bfloat16):
            predicted = networks(noisy.contiguous(memory_format=torch.channels_last), timesteps, text, controls)
        emphasis = _emphasis(bucket, places, clean.shape[-2:], device)
        errors = ((predicted.float() - velocity).pow(2) * emphasis).mean((1, 2, 3))
        optimizer.zero_grad(set_to_none=True)
        errors.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        follow(average, networks, min(0.999, (step + 1) / (step + 20)))
        if step % 25 == 0:
            early = errors[timesteps > 850].mean()
            stage.report(25, loss=errors.mean(), early=early, norm=norm, batch=len(clean), pool=bucket.count)
    return average.eval()


def _optimizer(networks: Networks) -> torch.optim.AdamW:
    drawing = [*networks.unet.parameters(), *networks.controlnet.parameters()]
    groups = [
        {"params": drawing, "share": 1.0},
        {"params": list(networks.encoders.parameters()), "share": TEXT_RATE},
    ]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True)


def _timesteps(batch: int, device: torch.device) -> Tensor:
    """Half from the noisy end, where composition is decided and few-step sampling spends its steps."""
    anywhere = torch.randint(0, 1000, (batch,), device=device)
    noisy = torch.randint(600, 1000, (batch,), device=device)
    return torch.where(torch.rand(batch, device=device) < 0.5, anywhere, noisy)


def _texts(
    bucket: Bucket,
    places: np.ndarray,
    tokenizer: CLIPTokenizer,
    generator: np.random.Generator,
    negative_prompts: list[str],
    device: torch.device,
) -> Text:
    """A tenth of the texts is dropped for guidance: half of them become nothing, half the style's negative prompt."""
    draws = generator.random(len(places))
    captions = [bucket.captions[place][int(generator.integers(2))] for place in places]
    for index, place in enumerate(places):
        if draws[index] < 0.05:
            captions[index] = negative_prompts[bucket.styles[place]]
    kept = torch.from_numpy(((draws < 0.05) | (draws >= 0.1)).astype(np.float32))
    height, width = bucket.size.height, bucket.size.width
    time_ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)
    return Text(
        tokenize(tokenizer, captions).to(device),
        kept.to(device),
        time_ids.expand(len(places), 6).to(device),
    )


def _controls(
    bucket: Bucket,
    places: np.ndarray,
    generator: np.random.Generator,
    style_weights: np.ndarray,
    device: torch.device,
) -> Controls:
    """Weights as the service would send them: mostly the style's own four, some subsets, some alone, a few none."""
    styles = [bucket.styles[place] for place in places]
    weights = style_weights[styles] * generator.uniform(0.6, 1.3, (len(places), len(KINDS)))
    draws = generator.random(len(places))
    subset = generator.random(weights.shape) < 0.5
    weights[(draws < 0.45)[:, None] & subset] = 0
    for row in np.flatnonzero(draws < 0.15):
        weights[row] = 0
        weights[row, generator.integers(len(KINDS))] = generator.uniform(0.4, 2.0)
    weights[draws > 0.97] = 0
    sample, kind = _fixed_number(weights, generator)
    scale = torch.from_numpy(weights[sample, kind].astype(np.float32)).view(-1, 1, 1, 1)
    images = control_images(bucket, places[sample], kind, device)
    return Controls(torch.from_numpy(sample).to(device), scale.to(device), images)


def _fixed_number(
    weights: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(sample, kind) indices of the pairs in use, always the same number of them.

    A GPU plans its convolutions anew for every new shape; a pair left out, or one of weight 0 run for
    nothing, costs less.
    """
    wanted = round(PAIRS_EACH * len(weights))
    used, unused = np.argwhere(weights > 0), np.argwhere(weights == 0)
    pairs = np.concatenate([generator.permutation(used), unused])[:wanted]
    return pairs[:, 0], pairs[:, 1]


def _emphasis(
    bucket: Bucket, places: np.ndarray, shape: torch.Size, device: torch.device
) -> Tensor:
    """(batch, 1, h, w) weights of mean 1: the strokes are what must be right."""
    masks = bucket.controls[torch.from_numpy(places).to(bucket.controls.device), -1]
    covered = F.interpolate(masks.to(device)[:, None].float() / 255, size=shape, mode="area")
    weights = 1 + WORD_WEIGHT * covered
    return weights / weights.mean((1, 2, 3), keepdim=True)


def _latent_shape(size: Size) -> tuple[int, int]:
    return size.height // LATENT_FACTOR, size.width // LATENT_FACTOR
