"""Pretrain the ControlNet's conditioning embedding: from any control image, tell where the word and the subject are.

Without this the zero-initialised path from control image to picture wakes up far too slowly for a
short training (seen: 640 joint steps gave unreadable words; 133 after this gave readable ones).
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import ControlNetModel
from torch import Tensor, nn

from training import processes
from training.models import BLOCK_CHANNELS, build_controlnet
from training.optimizer import MatrixOptimizer
from training.pool import Bucket, SamplePool
from training.progress import Stage
from training.samples import KINDS, control_planes

_CELL = 8
"""The word's mask is told at half the picture's resolution: 8×8 cells inside each latent pixel."""


def train_control_embedding(
    pool: SamplePool, folder: Path, minutes: float, device: torch.device, batch: int
) -> ControlNetModel:
    """Return a ControlNet whose conditioning embedding sees; the rest of it is untrained."""
    torch.manual_seed(3)
    generator = np.random.default_rng((3, processes.number()))
    controlnet = build_controlnet().to(device, memory_format=torch.channels_last)
    embedding = controlnet.controlnet_cond_embedding
    _keep_signals_strong(embedding)
    head = nn.Conv2d(BLOCK_CHANNELS[0], _CELL * _CELL + 3 * 16, 1).to(device)
    head = head.to(memory_format=torch.channels_last)
    optimizer = MatrixOptimizer([([embedding, head], 1.0)], weight_decay=0.01)
    parts = {"controlnet": controlnet, "head": head, "optimizer": optimizer}
    stage = Stage("control", folder, minutes, parts)
    for _ in stage.steps():
        optimizer.set_rate(stage.rate(4e-3, warmup=20, hold=0.5))
        bucket = pool.pick_bucket(generator)
        places = generator.integers(0, bucket.count, batch)
        kinds = generator.integers(0, len(KINDS), batch)
        images = control_images(bucket, places, kinds, device)
        with torch.autocast(device.type, torch.bfloat16):
            told = head(embedding(images)).float()
        word, picture = _answers(bucket, places, device)
        mask_error = F.binary_cross_entropy_with_logits(told[:, : _CELL * _CELL], word)
        picture_error = (told[:, _CELL * _CELL :] - picture).abs().mean()
        optimizer.clear()
        (mask_error + 0.3 * picture_error).backward()
        optimizer.exchange()
        optimizer.step()
        right = ((told[:, : _CELL * _CELL] > 0) == (word > 0.5)).float().mean()
        stage.report(20, mask=mask_error, picture=picture_error, right=right)
    return controlnet


def _keep_signals_strong(embedding: nn.Module) -> None:
    """He initialization: these ten convolutions have no normalization between them, and torch's own would
    halve the signal at each; the last is even zero."""
    for layer in embedding.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def control_images(
    bucket: Bucket,
    places: np.ndarray,
    kinds: np.ndarray,
    device: torch.device,
) -> Tensor:
    """(n, 3, H, W) float in 0..1, channels last: sample `places[i]` as the kind of index `kinds[i]`."""
    planes = torch.tensor([control_planes(KINDS[kind]) for kind in kinds])
    where = torch.from_numpy(places)[:, None]
    home = bucket.controls.device
    chosen = bucket.controls[where.to(home), planes.to(home)].to(device)
    return chosen.float().div_(255).contiguous(memory_format=torch.channels_last)


def _answers(bucket: Bucket, places: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """The word's mask in cells, and the target picture at a quarter of a latent pixel."""
    home = bucket.controls.device
    where = torch.from_numpy(places).to(home)
    masks = bucket.controls[where, -1].to(device)[:, None].float().div_(255)
    pictures = bucket.images[where].to(device).float().div_(127.5).sub_(1)
    word = F.pixel_unshuffle(F.avg_pool2d(masks, 2).round(), _CELL)
    return word, F.pixel_unshuffle(F.avg_pool2d(pictures, 4), 4)
