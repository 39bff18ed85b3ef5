"""Train the judge on clean art.

Run by `python -m training.evaluation.classifier [device=cuda] [minutes=2] [workers=16] [samples=30000]`.

The pictures are drawn while it trains, and the minutes hold for both. One batch of drawn pictures in twenty is held
out, and tells at the end how often the judge is right on art that it has not seen.
"""

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.art import STYLES
from training.evaluation.clean_art import ArtMaker, Batch, batches
from training.evaluation.judge import FILE, SIDE, Judge, Network
from training.evaluation.vocabulary import Vocabulary, vocabulary_of
from writing_service.scene.pictograms import PictogramLibrary

logger = logging.getLogger("training.evaluation")

EACH = 32
"""Pictures that a worker draws at a time."""

HELD_OUT_EVERY = 20
"""One such batch in so many is held out."""

PASSES = 30
"""The training waits rather than show what has been drawn more often than this."""


@dataclass(frozen=True)
class Plan:
    """What the command line may set."""

    device: str = "cpu"
    minutes: float = 30.0
    """From the start to the end, drawing included."""
    workers: int = os.cpu_count() or 1
    samples: int = 30000
    batch: int = 1024
    rate: float = 2e-3
    """AdamW's, at its highest."""
    concepts: int = 0
    """Keep to the first so many classes, for a trial; 0 is all."""
    seed: int = 1
    output: Path = FILE


def parse(arguments: list[str]) -> Plan:
    """`key=value` each; raises SystemExit with the known keys on any other."""
    types: dict[str, Any] = {
        field.name: type(getattr(Plan(), field.name)) for field in fields(Plan)
    }
    types["output"] = Path
    given = dict(argument.partition("=")[::2] for argument in arguments)
    unknown = given.keys() - types.keys()
    if unknown:
        raise SystemExit(f"Unknown: {', '.join(unknown)}; known: {', '.join(types)}")
    return replace(Plan(), **{key: types[key](value) for key, value in given.items()})


class Store:
    """Pictures and their labels on the training's device, filled from the front."""

    def __init__(self, places: int, device: torch.device, side: int = SIDE) -> None:
        self.pictures = torch.empty((places, 3, side, side), dtype=torch.uint8, device=device)
        self.labels = torch.zeros((places, 2), dtype=torch.int64, device=device)
        self.count = 0

    def add(self, batch: Batch) -> None:
        """Store what there is a place for."""
        start, end = self.count, min(self.count + len(batch.pictures), len(self.pictures))
        self.pictures[start:end].copy_(torch.from_numpy(batch.pictures[: end - start]))
        labels = torch.stack([torch.from_numpy(batch.concepts), torch.from_numpy(batch.styles)], 1)
        self.labels[start:end].copy_(labels[: end - start])
        self.count = end  # last: the training thread reads it


def run(plan: Plan) -> Mapping[str, float]:
    """Draw, train, save; returns the accuracies on held-out art."""
    deadline = time.monotonic() + 60 * plan.minutes
    device = torch.device(plan.device)
    vocabulary = Vocabulary(vocabulary_of(PictogramLibrary()).classes[: plan.concepts or None])
    torch.manual_seed(plan.seed)
    network = Network(len(vocabulary), len(STYLES)).to(device, memory_format=torch.channels_last)
    total = math.ceil(plan.samples / EACH)
    held_out = Store(math.ceil(total / HELD_OUT_EVERY) * EACH, device)
    seen = Store(plan.samples, device)
    closed = threading.Event()

    def draw() -> None:
        maker = ArtMaker(vocabulary, plan.seed)
        with closing(batches(maker, total, EACH, plan.workers)) as drawn:
            for batch in drawn:
                (seen if batch.number % HELD_OUT_EVERY else held_out).add(batch)
                if closed.is_set():
                    return

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    wait_for(seen, min(4 * EACH, plan.samples // 2), drawing)
    trained = train(network, seen, progress_until(deadline - 0.04 * 60 * plan.minutes), plan)
    closed.set()
    drawing.join()
    Judge(trained, vocabulary, STYLES).save(plan.output)
    figures = {
        "classes": float(len(vocabulary)),
        "seen": seen.count,
        **accuracies(trained, held_out),
    }
    logger.info("held out: %s", {key: round(value, 4) for key, value in figures.items()})
    return figures


def wait_for(store: Store, count: int, drawing: threading.Thread) -> None:
    """Block until it holds so many pictures. Raises RuntimeError when the drawing ended before."""
    while store.count < count:
        if not drawing.is_alive():
            raise RuntimeError("The drawing of the art has failed.")
        time.sleep(0.1)


def progress_until(deadline: float) -> Iterator[float]:
    """From 0 to 1 with the time until a moment of `time.monotonic`; at least once."""
    began = time.monotonic()
    yield 0.0
    while (now := time.monotonic()) < deadline:
        yield (now - began) / (deadline - began)


def train(network: Network, store: Store, progress: Iterable[float], plan: Plan) -> Network:
    """Step while `progress` rises from 0 to 1, but no more often than there are pictures for; returns a running mean
    of the weights."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.05)
    mean = Mean(network)
    step = 0
    for done in progress:
        if step * plan.batch > PASSES * store.count:
            time.sleep(0.01)
            continue
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _ramp(done)
        loss, right = _step(network, store, plan.batch, optimizer)
        mean.update(network)
        if step % 100 == 0:
            logger.info(
                "%d steps, %d pictures, loss %.3f, right %.3f", step, store.count, loss, right
            )
        step += 1
    return mean.network


def _ramp(progress: float) -> float:
    """Up in the first twentieth, then half a cosine down."""
    return min(progress / 0.05, 0.5 * (1 + math.cos(math.pi * progress))) + 1e-3


def _step(
    network: Network, store: Store, batch: int, optimizer: torch.optim.Optimizer
) -> tuple[Tensor, Tensor]:
    device = store.pictures.device
    places = torch.randint(store.count, (min(batch, store.count),), device=device)
    labels = store.labels[places]
    pictures = augmented(store.pictures[places].float() / 255)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        _, concepts, styles = network.train()(pictures)
    concepts, styles = concepts.float(), styles.float()
    loss = F.cross_entropy(concepts, labels[:, 0], label_smoothing=0.1)
    loss = loss + 0.3 * F.cross_entropy(styles, labels[:, 1], label_smoothing=0.02)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 2.0)
    optimizer.step()
    return loss.detach(), (concepts.argmax(1) == labels[:, 0]).float().mean()


class Mean:
    """A running mean of a network's weights: over all of them at first, over about a thousand steps later."""

    def __init__(self, network: Network) -> None:
        self.network = Network(network.concept.out_features, network.style.out_features)
        self.network.to(network.concept.weight.device).load_state_dict(network.state_dict())
        self._steps = 0

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Move a little towards `network`."""
        self._steps += 1
        share = max(1e-3, 1 / (1 + 0.1 * self._steps))
        pairs = zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        floats = [(mine, other) for mine, other in pairs if mine.is_floating_point()]
        mine, others = zip(*floats, strict=True)
        torch._foreach_lerp_(list(mine), list(others), share)


def augmented(pictures: Tensor) -> Tensor:
    """(n, 3, h, w), 0 to 1: moved, softened, with other colours and some noise, each picture in its own way.

    Drawn pictures are softer than the art, and their colours are a little off; neither is to matter.
    """
    pictures = _softened(_moved(pictures))
    count, device = len(pictures), pictures.device
    grey = pictures.mean(1, keepdim=True)
    saturation, gain = (_between(0.5, 1.3, count, device), _between(0.8, 1.2, count, device))
    tint = _between(0.92, 1.08, (count, 3, 1, 1), device)
    pictures = (grey + saturation * (pictures - grey)) * gain * tint
    pictures = pictures + _between(-0.08, 0.08, count, device)
    return pictures + torch.randn_like(pictures) * _between(0.0, 0.04, count, device)


def _moved(pictures: Tensor) -> Tensor:
    """Shifted by up to 6 % of the picture, turned by up to 4 degrees, 0.9 to 1.12 times as large."""
    count, device = len(pictures), pictures.device
    scale = _between(0.9, 1.12, count, device).flatten()
    turn = _between(-0.07, 0.07, count, device).flatten()
    matrix = torch.zeros(count, 2, 3, device=device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = turn.cos() * scale
    matrix[:, 1, 0] = turn.sin() * scale
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, :, 2] = _between(-0.12, 0.12, (count, 2), device)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _softened(pictures: Tensor) -> Tensor:
    """Between the picture, its blur, and a coarser copy of it: as after a small decoder or much compression."""
    count, device = len(pictures), pictures.device
    blurred = F.avg_pool2d(F.pad(pictures, (2, 2, 2, 2), mode="replicate"), 5, 1)
    coarse = F.interpolate(F.avg_pool2d(pictures, 2), pictures.shape[2:], mode="bilinear")
    soft, rough = (_between(-0.5, 0.9, count, device).clamp(0), _between(-0.5, 1.0, count, device))
    pictures = pictures + soft * (blurred - pictures)
    return pictures + rough.clamp(0) * 0.8 * (coarse - pictures)


def _between(low: float, high: float, shape: int | tuple[int, ...], device: torch.device) -> Tensor:
    shape = (shape, 1, 1, 1) if isinstance(shape, int) else shape
    return low + (high - low) * torch.rand(shape, device=device)


@torch.inference_mode()
def accuracies(network: Network, store: Store) -> Mapping[str, float]:
    """Shares of held-out art that are named rightly: as it is, by style, and softened as in training."""
    network.eval()
    labels = store.labels[: store.count]
    told: dict[str, list[Tensor]] = {"concept": [], "style": [], "softened": []}
    for places in torch.arange(store.count, device=labels.device).split(256):
        pictures, wanted = store.pictures[places].float() / 255, labels[places]
        _, concepts, styles = network(pictures)
        told["concept"].append(concepts.argmax(1) == wanted[:, 0])
        told["style"].append(styles.argmax(1) == wanted[:, 1])
        told["softened"].append(network(_softened(pictures))[1].argmax(1) == wanted[:, 0])
    right = {name: torch.cat(parts).float() for name, parts in told.items()}
    by_style = {
        style: float(right["concept"][labels[:, 1] == index].mean())
        for index, style in enumerate(STYLES)
    }
    return {**{name: float(values.mean()) for name, values in right.items()}, **by_style}


def main(arguments: list[str]) -> None:
    """Train and save."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    run(parse(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
