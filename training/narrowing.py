"""Take a trained UNet over into one with another width of time embedding.

All else has the same shape and is copied. The way from time, size and text to each block's scale and shift is
learnt from the trained network's own, which takes seconds: both are a few small matrices.
"""

import logging

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from training.models import TIME_ID_WIDTH

logger = logging.getLogger("training")

STEPS = 4000
BATCH = 512


def take_over(unet: UNet2DConditionModel, trained: UNet2DConditionModel, pooled: Tensor) -> None:
    """Make `unet` do as `trained` does; `pooled` (n, 192) are pooled texts to learn it with."""
    theirs, own = trained.state_dict(), unet.state_dict()
    alike = {name: weight for name, weight in theirs.items() if weight.shape == own[name].shape}
    unet.load_state_dict(alike, strict=False)
    if len(alike) < len(own):
        _learn_modulation(unet, trained, pooled)


def _learn_modulation(
    unet: UNet2DConditionModel, trained: UNet2DConditionModel, pooled: Tensor
) -> None:
    """Without it the copied blocks know neither the time nor the text: as bad as untrained ones."""
    generator = torch.Generator().manual_seed(6)
    learnt = [unet.time_embedding, unet.add_embedding, *_projections(unet)]
    parameters = [parameter for module in learnt for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, STEPS)
    missed = torch.ones(())
    for _ in range(STEPS):
        inputs = _conditions(pooled, generator)
        with torch.no_grad():
            wanted = _modulation(trained, *inputs)
        error = F.mse_loss(_modulation(unet, *inputs), wanted)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        schedule.step()
        missed.lerp_(error.detach() / wanted.var(0).mean(), 0.05)
    logger.info("Narrowed: %.4f of the modulation's variance is missed", missed)


def _conditions(pooled: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Times, texts (one in ten is dropped) and size conditions by chance."""
    times = torch.randint(1000, (BATCH,), generator=generator)
    texts = pooled[torch.randint(len(pooled), (BATCH,), generator=generator)]
    texts = texts * (torch.rand(BATCH, 1, generator=generator) > 0.1)
    sides = torch.tensor([256.0, 512.0, 768.0, 1024.0])
    sizes = sides[torch.randint(4, (BATCH, 2), generator=generator)]
    return times, texts, torch.cat([sizes, torch.zeros(BATCH, 2), sizes], dim=1)


def _modulation(unet: UNet2DConditionModel, times: Tensor, texts: Tensor, ids: Tensor) -> Tensor:
    """(batch, all blocks' scales and shifts)."""
    embedded = unet.time_embedding(unet.time_proj(times).float())
    sizes = unet.add_time_proj(ids.flatten()).view(len(ids), 6 * TIME_ID_WIDTH).float()
    added = unet.add_embedding(torch.cat([texts, sizes], dim=1))
    active = F.silu(embedded + added)
    return torch.cat([projection(active) for projection in _projections(unet)], dim=1)


def _projections(unet: UNet2DConditionModel) -> list[nn.Module]:
    return [module for name, module in unet.named_modules() if name.endswith("time_emb_proj")]
