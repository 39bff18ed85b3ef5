"""Pretrain the two text encoders: from a caption, tell what the concept's art looks like and which style is asked for.

A minute of this spares the diffusion training from learning language through noise.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPTokenizer

from training import processes
from training.art import STYLES
from training.models import POOLED_WIDTH, TEXT_WIDTHS, build_text_encoders, encode_text
from training.optimizer import MatrixOptimizer
from training.pool import SamplePool
from training.progress import Stage
from writing_service.scene.pictograms import PictogramLibrary

CODE = 128


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> Tensor:
    """(batch, 77) int64, padded and cut."""
    encoded = tokenizer(captions, padding="max_length", max_length=77, truncation=True)
    return torch.tensor(encoded["input_ids"])


def train_text(
    pool: SamplePool,
    tokenizer: CLIPTokenizer,
    folder: Path,
    minutes: float,
    device: torch.device,
    batch: int,
) -> nn.ModuleList:
    """Return the encoders, narrow one first."""
    torch.manual_seed(2)
    generator = np.random.default_rng((2, processes.number()))
    codes = concept_codes().to(device)
    encoders = nn.ModuleList(build_text_encoders(tokenizer)).to(device)
    head = nn.Linear(sum(TEXT_WIDTHS), CODE).to(device)
    optimizer = MatrixOptimizer([([encoders, head], 1.0)], weight_decay=0.01)
    stage = Stage(
        "text", folder, minutes, {"encoders": encoders, "head": head, "optimizer": optimizer}
    )
    for _ in stage.steps():
        optimizer.set_rate(stage.rate(2e-3, warmup=30, hold=0.3))
        captions, styles, concepts = _captions(pool, generator, batch)
        states, pooled = encode_text(tuple(encoders), tokenize(tokenizer, captions).to(device))
        known = torch.tensor([concept >= 0 for concept in concepts], device=device)
        wanted = codes[torch.tensor(concepts, device=device).clamp(min=0)]
        looks = F.one_hot(torch.tensor(styles, device=device), len(STYLES)).float() * 2 - 0.4
        by_pooled = (pooled[:, :CODE] - wanted).pow(2).mean(1)[known].mean()
        by_states = (head(states[:, 40]) - wanted).pow(2).mean(1)[known].mean()
        style_error = (pooled[:, CODE : CODE + len(STYLES)] - looks).pow(2).mean()
        optimizer.clear()
        (by_pooled + style_error + 0.3 * by_states).backward()
        optimizer.exchange()
        optimizer.step()
        stage.report(50, pooled=by_pooled, states=by_states, style=style_error)
    return encoders


def concept_codes() -> Tensor:
    """(concepts, 128): principal components of every pictogram at 24×24, scaled to unit deviation."""
    import cv2

    library = PictogramLibrary()
    thumbnails = []
    for name in library.names():
        pixels = library.named(name).pixels.astype(np.float32) / 255
        flat = (pixels[..., :3] - 0.5) * pixels[..., 3:]
        thumbnails.append(cv2.resize(flat, (24, 24), interpolation=cv2.INTER_AREA).ravel())
    looks = np.stack(thumbnails)
    left, values, _ = np.linalg.svd(looks - looks.mean(0), full_matrices=False)
    codes = left[:, :CODE] * np.sqrt(values[:CODE])
    return torch.from_numpy((codes / codes.std()).astype(np.float32))


def _captions(
    pool: SamplePool, generator: np.random.Generator, batch: int
) -> tuple[list[str], list[int], list[int]]:
    bucket = pool.pick_bucket(generator)
    places = generator.integers(0, bucket.count, batch)
    captions = [bucket.captions[place][int(generator.integers(2))] for place in places]
    return captions, [bucket.styles[p] for p in places], [bucket.concepts[p] for p in places]


assert CODE + len(STYLES) <= POOLED_WIDTH
