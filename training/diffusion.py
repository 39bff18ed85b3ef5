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
from training.optimizer import MatrixOptimizer
from training.pool import Bucket, SamplePool
from training.progress import Stage
from training.samples import KINDS
from training.text import tokenize
from training.vae import encode, follow
from writing_service.types import Size

PEAK_RATE = 3e-3
TEXT_RATE = 0.3
CROP = 256
CROPPED = 0.38
"""Share of the time that trains on crops of this side: strokes, colours and texture are local, and four
times as many different samples fit into a step. The rest sees whole pictures of every size."""

EMBEDDING_SCALE = 0.2
"""Its training leaves it with deviations of about 5."""

ONE_ALONE = 0.68
ALL_FOUR = (0.82, 0.97)
"""Shares of a batch, one after the other: up to the first one control image, then two, then all four, then none."""

WORD_WEIGHT = 1.0
"""Errors inside the word count this much more."""


class Networks(nn.Module):
    """All that the diffusion stage trains."""

    def __init__(self, controlnet: ControlNetModel, encoders: nn.ModuleList) -> None:
        super().__init__()
        self.unet = build_unet()
        self.controlnet = controlnet
        self.encoders = encoders

    def forward(
        self, noisy: Tensor, timesteps: Tensor, text: "Text", controls: "Controls"
    ) -> Tensor:
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
        self,
        noisy: Tensor,
        timesteps: Tensor,
        states: Tensor,
        added: dict[str, Tensor],
        controls: "Controls",
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


@dataclass(frozen=True)
class Window:
    """The part of the pictures that a batch shows, in pixels; multiples of the latent's 16."""

    top: int
    left: int
    size: Size

    def of(self, images: Tensor) -> Tensor:
        """Cut (..., H, W)."""
        return images[
            ..., self.top : self.top + self.size.height, self.left : self.left + self.size.width
        ]

    def of_latents(self, latents: Tensor) -> Tensor:
        """Cut (..., H/16, W/16)."""
        top, left = self.top // LATENT_FACTOR, self.left // LATENT_FACTOR
        height, width = _latent_shape(self.size)
        return latents[..., top : top + height, left : left + width]


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples `places` of a bucket, seen through a window; `latents` are the window's."""

    bucket: Bucket
    places: np.ndarray
    window: Window
    latents: Tensor


class LatentStore:
    """Latents of the pool's pictures, encoded once as the pool grows, and kept in `file`."""

    def __init__(
        self, pool: SamplePool, vae: AutoencoderKL, device: torch.device, file: Path
    ) -> None:
        self._pool, self._vae, self._device, self._file = pool, vae, device, file
        self._latents = [
            torch.empty(b.capacity, LATENT_CHANNELS, *_latent_shape(b.size), dtype=torch.float16)
            for b in pool.buckets
        ]
        self._encoded = [0] * len(pool.buckets)
        if file.exists():
            saved = torch.load(file, weights_only=True)
            self._latents, self._encoded = saved["latents"], saved["encoded"]

    def update(self, chunk: int = 16) -> None:
        """Encode what has come since the last call."""
        before = list(self._encoded)
        for index, bucket in enumerate(self._pool.buckets):
            for start in range(self._encoded[index], count := bucket.count, chunk):
                end = min(count, start + chunk)
                self._latents[index][start:end] = encode(
                    self._vae, bucket.images[start:end], self._device
                ).cpu()
            self._encoded[index] = count
        if before != self._encoded:
            torch.save({"latents": self._latents, "encoded": self._encoded}, self._file)

    def pick(self, generator: np.random.Generator, batch: int, cropped: bool) -> Batch:
        """A batch of about `batch` crops' area: larger pictures come fewer at a time."""
        bucket = self._pool.pick_bucket(generator)
        index = self._pool.buckets.index(bucket)
        window = _window(bucket.size, generator, cropped)
        number = max(2, round(batch * CROP * CROP / (window.size.width * window.size.height)))
        places = generator.integers(0, self._encoded[index], number)
        latents = window.of_latents(self._latents[index][torch.from_numpy(places)])
        return Batch(bucket, places, window, latents.to(self._device).float())


def _window(size: Size, generator: np.random.Generator, cropped: bool) -> Window:
    if not cropped:
        return Window(0, 0, size)
    top, left = (
        LATENT_FACTOR * int(generator.integers(0, (side - CROP) // LATENT_FACTOR + 1))
        for side in (size.height, size.width)
    )
    return Window(top, left, Size(CROP, CROP))


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
    until: float = 1.0,
) -> Networks:
    """Train until that share of the minutes; the same stage goes on at the next call, with any pool.

    Return the averaged networks. `style_weights` (styles, 4) are the service's ControlNet weights."""
    torch.manual_seed(4)
    networks = networks.to(device, memory_format=torch.channels_last)
    # Its own training is over, and it is half the cost of a step.
    networks.controlnet.controlnet_cond_embedding.requires_grad_(False)
    average = copy.deepcopy(networks).requires_grad_(False)
    optimizer = MatrixOptimizer(
        [([networks.unet, networks.controlnet], 1.0), ([networks.encoders], TEXT_RATE)],
        weight_decay=0.01,
    )
    stage = Stage(
        "diffusion",
        folder,
        minutes,
        {"networks": networks, "average": average, "optimizer": optimizer},
    )
    generator = np.random.default_rng(4 + stage.step)
    store = LatentStore(
        pool, vae.to(memory_format=torch.channels_last), device, folder / f"latents-{pool.name}.pt"
    )
    missed = torch.ones((), device=device)
    store.update()
    alphas = build_scheduler().alphas_cumprod.to(device)
    for step in stage.steps(until):
        if step % 50 == 0:
            store.update()
        optimizer.set_rate(stage.rate(PEAK_RATE, warmup=60, hold=0.2))
        shown = store.pick(generator, batch, stage.progress < CROPPED)
        clean = shown.latents
        timesteps = _timesteps(len(clean), device)
        noise = torch.randn_like(clean)
        alpha = alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        text = _texts(shown, tokenizer, generator, negative_prompts, device)
        controls = _controls(shown, generator, style_weights, device)
        with torch.autocast(device.type, torch.bfloat16):
            predicted = networks(
                noisy.contiguous(memory_format=torch.channels_last), timesteps, text, controls
            )
        errors = ((predicted.float() - velocity).pow(2) * _emphasis(shown, device)).mean((1, 2, 3))
        errors.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimizer.step()
        follow(average, networks, min(0.998, (step + 1) / (step + 20)))
        # Pictures differ in how much there is to predict: the share that was not is comparable.
        missed += (errors.detach().sum() / velocity.pow(2).mean((1, 2, 3)).sum() - missed) * 0.03
        stage.report(25, missed=missed, norm=norm, batch=len(clean))
    return average.eval()


def connect(controlnet: ControlNetModel) -> ControlNetModel:
    """Open the way from the control images to the UNet, before the optimizer looks at it.

    A ControlNet's output convolutions begin at zero so as not to disturb a trained UNet; here there is
    none, and zeros only keep the two apart. The conditioning embedding sees already (training/control.py);
    it is brought to the scale of what it is added to. Once, in the beginning: a trained one is open.
    """
    for gate in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        nn.init.orthogonal_(gate.weight, gain=0.5)
    with torch.no_grad():
        controlnet.controlnet_cond_embedding.conv_out.weight *= EMBEDDING_SCALE
        controlnet.controlnet_cond_embedding.conv_out.bias *= EMBEDDING_SCALE
    return controlnet


def _timesteps(batch: int, device: torch.device) -> Tensor:
    """Four in ten from anywhere, three from the noisy six hundred up, three from the last hundred.

    In the first steps of a picture there is nothing in the noise to see, yet a network that has mostly
    seen pictures through it takes its large blotches for colours, and paints them.
    """
    lowest = torch.tensor([0, 600, 900], device=device)
    shares = torch.tensor([0.4, 0.3, 0.3], device=device)
    start = lowest[torch.multinomial(shares, batch, replacement=True)]
    return start + (torch.rand(batch, device=device) * (1000 - start)).long()


def _texts(
    shown: Batch,
    tokenizer: CLIPTokenizer,
    generator: np.random.Generator,
    negative_prompts: list[str],
    device: torch.device,
) -> Text:
    """A tenth of the texts is dropped for guidance: half of them become nothing, half the style's negative prompt."""
    bucket, places, window = shown.bucket, shown.places, shown.window
    draws = generator.random(len(places))
    captions = [bucket.captions[place][int(generator.integers(2))] for place in places]
    for index, place in enumerate(places):
        if draws[index] < 0.05:
            captions[index] = negative_prompts[bucket.styles[place]]
    kept = torch.from_numpy(((draws < 0.05) | (draws >= 0.1)).astype(np.float32))
    whole, seen = bucket.size, window.size
    ids = [whole.height, whole.width, window.top, window.left, seen.height, seen.width]
    time_ids = torch.tensor([ids], dtype=torch.float32)
    return Text(
        tokenize(tokenizer, captions).to(device),
        kept.to(device),
        time_ids.expand(len(places), 6).to(device),
    )


def _controls(
    shown: Batch, generator: np.random.Generator, style_weights: np.ndarray, device: torch.device
) -> Controls:
    """Weights as the service would send them: the style's own four, two of them, one alone, a few none."""
    styles = [shown.bucket.styles[place] for place in shown.places]
    weights = style_weights[styles] * generator.uniform(0.6, 1.3, (len(styles), len(KINDS)))
    # The same number of pairs in every batch of a size: convolutions are planned anew for each new shape.
    ranks = (generator.permutation(len(styles)) + 0.5) / len(styles)
    for row in np.flatnonzero(ranks < ALL_FOUR[0]):
        kept = generator.permutation(len(KINDS))[: 1 if ranks[row] < ONE_ALONE else 2]
        alone = np.zeros(len(KINDS))
        alone[kept] = generator.uniform(0.4, 1.8, len(kept))
        weights[row] = alone
    weights[ranks > ALL_FOUR[1]] = 0
    sample, kind = np.nonzero(weights)
    scale = torch.from_numpy(weights[sample, kind].astype(np.float32)).view(-1, 1, 1, 1)
    images = control_images(shown.bucket, shown.places[sample], kind, device, shown.window.of)
    return Controls(torch.from_numpy(sample).to(device), scale.to(device), images)


def _emphasis(shown: Batch, device: torch.device) -> Tensor:
    """(batch, 1, h, w) weights of mean 1: the strokes are what must be right."""
    home = shown.bucket.controls.device
    masks = shown.window.of(shown.bucket.controls[torch.from_numpy(shown.places).to(home), -1])
    covered = F.avg_pool2d(masks.to(device)[:, None].float() / 255, LATENT_FACTOR)
    weights = 1 + WORD_WEIGHT * covered
    return weights / weights.mean((1, 2, 3), keepdim=True)


def _latent_shape(size: Size) -> tuple[int, int]:
    return size.height // LATENT_FACTOR, size.width // LATENT_FACTOR
