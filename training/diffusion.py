"""Train UNet, ControlNet and text encoders together to undo noise under any mix of control images."""

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel
from torch import Tensor, nn

from training import processes
from training.coupling import ColourCoupling
from training.encoded import Draw, EncodedPool
from training.models import build_scheduler, build_unet, encode_text
from training.optimizer import MatrixOptimizer, one_buffer
from training.progress import Stage
from training.recorded import Recorder
from training.samples import KINDS
from training.vae import follow

PEAK_RATE = 3e-3
TEXT_RATE = 0.3
EMBEDDING_SCALE = 0.2
"""Its training leaves it with deviations of about 5."""

ONE_ALONE = 0.68
ALL_FOUR = (0.82, 0.97)
"""Shares of a batch, one after the other: up to the first one control image, then two, then all four, then none."""

UPDATE_EVERY = 25
"""Steps between two looks at new samples."""

COLOURS_FROM = 2000
"""Samples that tell how colours are spread in each style."""

AVERAGING = 0.999
"""Of the moving average of the weights."""

WORD_WEIGHT = 1.5
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
        kept = text.kept.to(states.dtype)
        states, pooled = states * kept[:, None, None], pooled * kept[:, None]
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
            controlnet_cond=controls.sights,
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
    """(sample, kind) pairs: index of the sample, scale (pairs, 1, 1, 1), what the ControlNet sees (pairs, 96, h, w)."""

    sample: Tensor
    scale: Tensor
    sights: Tensor


@dataclass(frozen=True, eq=False)
class Serving:
    """What the service will send: ControlNet weights (styles, 4); the negative prompts' token ids (styles, 77)."""

    weights: np.ndarray
    negatives: Tensor


def train_diffusion(
    store: EncodedPool,
    networks: Networks,
    folder: Path,
    minutes: float,
    device: torch.device,
    batch: int,
    cropped: float,
    serving: Serving,
    until: float = 1.0,
) -> Networks:
    """Train until that share of the minutes; the same stage goes on at the next call, with any pool.

    Return the averaged networks. For the share `cropped` of the time, at its beginning, the batches are
    crops: strokes, colours and texture are local, and four times as many different samples fit into a step.
    """
    torch.manual_seed(4)
    networks = networks.to(device, memory_format=torch.channels_last)
    # What it would see has been computed once for each sample.
    embedding = networks.controlnet.controlnet_cond_embedding
    networks.controlnet.controlnet_cond_embedding = nn.Identity()
    average = copy.deepcopy(networks).requires_grad_(False)
    optimizer = MatrixOptimizer(
        [([networks.unet, networks.controlnet], 1.0), ([networks.encoders], TEXT_RATE)],
        weight_decay=0.01,
    )
    parts = {"networks": networks, "average": average, "optimizer": optimizer}
    stage = Stage("diffusion", folder, minutes, parts)
    store.update()  # the coupling is learnt from what there is now
    learning = _Learning(store, networks, optimizer, serving, device)
    recorder = Recorder(device)
    sizes = np.random.default_rng(4 + stage.step)
    generator = np.random.default_rng((5 + stage.step, processes.number()))
    torch.manual_seed(4 + stage.step + 10**6 * processes.number())
    for step in stage.steps(until):
        if step % UPDATE_EVERY == 0:
            store.update()
        optimizer.set_rate(stage.rate(PEAK_RATE, warmup=60, hold=0.2))
        drawn = store.draw(sizes, generator, batch, stage.progress < cropped)
        # Crops lie anywhere: none is worth recording.
        key = drawn.bucket if drawn.is_whole else None
        recorder.run(key, partial(learning.backward, drawn), *learning.inputs(drawn, generator))
        optimizer.exchange()
        norm = recorder.run("update", optimizer.step)
        follow(average, networks, min(AVERAGING, (step + 1) / (step + 20)))
        stage.report(25, missed=learning.missed, norm=norm, batch=len(drawn.places))
    for trained in (networks, average):
        trained.controlnet.controlnet_cond_embedding = embedding
    return average.eval()


class _Learning:
    """One step's forward and backward pass, on what was drawn.

    On a GPU it runs on a copy in bfloat16, as the service's own passes do: autocast keeps normalizations in
    float32, which take most of the time. On a CPU float32 is not slower.
    """

    def __init__(
        self,
        store: EncodedPool,
        networks: Networks,
        optimizer: MatrixOptimizer,
        serving: Serving,
        device: torch.device,
    ) -> None:
        self._store, self._optimizer, self._device = store, optimizer, device
        self._weights = serving.weights
        self._type = torch.bfloat16 if device.type == "cuda" else torch.float32
        self._networks, self._working = networks, copy.deepcopy(networks).to(self._type)
        parts = (self._working.unet, self._working.controlnet, self._working.encoders)
        self._gradients = one_buffer([p for part in parts for p in part.parameters()])
        self._negatives = serving.negatives.to(device)
        self._alphas = build_scheduler().alphas_cumprod.to(device)
        self._coupled = ColourCoupling(*store.some(COLOURS_FROM), len(serving.weights))
        self.missed = torch.ones((), device=device)
        """The share of the velocity that is not predicted, lately."""

    def inputs(self, drawn: Draw, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """What differs from step to step, as `backward` takes it."""
        sample, kind, scale = _controls(drawn.styles, generator, self._weights)
        arrays = (drawn.places, drawn.captions, drawn.styles, sample, kind, scale)
        return (*(torch.from_numpy(array) for array in arrays), drawn.time_ids)

    def backward(
        self,
        drawn: Draw,
        places: Tensor,
        captions: Tensor,
        styles: Tensor,
        sample: Tensor,
        kind: Tensor,
        scale: Tensor,
        time_ids: Tensor,
    ) -> None:
        """Leave the gradients in the optimizer."""
        with torch.no_grad():
            torch._foreach_copy_(
                list(self._working.parameters()), list(self._networks.parameters())
            )
        self._gradients.zero_()
        shown = self._store.batch(drawn, places, captions)
        clean = shown.latents
        timesteps = _timesteps(len(clean), self._device)
        noise = self._coupled(torch.randn_like(clean), shown, styles, timesteps)
        alpha = self._alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        text = _texts(shown.tokens, self._negatives[styles], time_ids)
        sights = self._store.sights(drawn, places[sample], kind).to(self._type)
        controls = Controls(sample, scale.view(-1, 1, 1, 1), sights)
        noisy = noisy.to(self._type).contiguous(memory_format=torch.channels_last)
        predicted = self._working(noisy, timesteps, text, controls)
        errors = ((predicted.float() - velocity).pow(2) * _emphasis(shown.words)).mean((1, 2, 3))
        errors.mean().backward()
        self._optimizer.gradients.copy_(self._gradients)
        # Pictures differ in how much there is to predict: the share that was not is comparable.
        share = errors.detach().sum() / velocity.pow(2).mean((1, 2, 3)).sum()
        self.missed.lerp_(share, 0.03)


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
    """Seven in twenty from anywhere, five from the noisy six hundred up, five from the last hundred, three the first.

    In the first steps of a picture there is nothing in the noise to see, yet a network that has mostly
    seen pictures through it takes its large blotches for colours, and paints them.
    """
    draws = torch.rand(batch, device=device)
    noisy = torch.where(draws < 0.6, 600, torch.where(draws < 0.85, 900, 999))
    start = torch.where(draws < 0.35, 0, noisy)
    return start + (torch.rand(batch, device=device) * (1000 - start)).long()


def _texts(tokens: Tensor, negatives: Tensor, time_ids: Tensor) -> Text:
    """A tenth of the texts is dropped for guidance: half of them become nothing, half the style's negative prompt."""
    number = len(tokens)
    draws = torch.rand(number, device=tokens.device)
    tokens = torch.where(draws[:, None] < 0.05, negatives, tokens)
    kept = ((draws < 0.05) | (draws >= 0.1)).float()
    return Text(tokens, kept, time_ids.expand(number, 6))


def _controls(
    styles: np.ndarray, generator: np.random.Generator, serving: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sample, kind, scale) of each pair. Weights as the service would send them: the style's own four, two of them,
    one alone, a few none."""
    number = len(styles)
    # The same number of pairs in every batch of a size: what is recorded has one shape.
    share = ((generator.permutation(number) + 0.5) / number)[:, None]
    order = generator.random((number, len(KINDS))).argsort(axis=1)
    chosen = order < np.where(share < ONE_ALONE, 1, 2)
    weights = np.where(
        share < ALL_FOUR[0],
        chosen * generator.uniform(0.4, 1.8, order.shape),
        serving[styles] * generator.uniform(0.6, 1.3, order.shape),
    )
    weights[share[:, 0] > ALL_FOUR[1]] = 0
    rows, columns = np.nonzero(weights)
    return rows, columns, weights[rows, columns].astype(np.float32)


def _emphasis(words: Tensor) -> Tensor:
    """(batch, 1, h, w) weights of mean 1: the strokes are what must be right."""
    weights = 1 + WORD_WEIGHT * words
    return weights / weights.mean((1, 2, 3), keepdim=True)
