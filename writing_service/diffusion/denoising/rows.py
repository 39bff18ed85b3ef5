"""From pictures to the rows of a step's batch, and from its answer back to pictures."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from writing_service.diffusion.denoising.picture import Direction, Picture
from writing_service.diffusion.denoising.steering import Steering, StepInput
from writing_service.diffusion.denoising.unet import DeepFeatures
from writing_service.diffusion.device.compiling import BatchSizes


def rows_of(pictures: Sequence[Picture]) -> list[range]:
    """Which rows of the batch are each picture's."""
    ends = list(itertools.accumulate(picture.rows for picture in pictures))
    starts = [0, *ends[:-1]]
    return [range(start, end) for start, end in zip(starts, ends, strict=True)]


def steerings_of(pictures: Sequence[Picture]) -> list[Steering]:
    """What steers each of them at the next step."""
    return [
        Steering(rows, picture.job.features, picture.scales_now)
        for picture, rows in zip(pictures, rows_of(pictures), strict=True)
    ]


def step_input_of(pictures: Sequence[Picture], dtype: torch.dtype, sizes: BatchSizes) -> StepInput:
    """All rows, picture after picture."""
    # The last rows of a job's are the wanted ones, which stay when its guidance is over.
    rows = sizes.filled([(one, row) for one in pictures for row in range(-one.rows, 0)])
    scaled = {picture: picture.scaled().to(dtype) for picture in pictures}
    embeddings = [picture.job.guidance_embedding for picture, _ in rows]
    known = [one for one in embeddings if one is not None]
    return StepInput(
        torch.cat([scaled[picture] for picture, _ in rows]),
        torch.stack([picture.timestep for picture, _ in rows]),
        torch.stack([picture.job.states[row] for picture, row in rows]),
        {
            name: torch.stack([picture.job.added[name][row] for picture, row in rows])
            for name in pictures[0].job.added
        },
        torch.cat(known) if known else None,
    )


def directions_of(
    answer: Tensor, pictures: Sequence[Picture], deep: Sequence[DeepFeatures | None] = ()
) -> list[Direction]:
    """The UNet's answer to all rows, taken apart; rows beyond the pictures' only filled the batch."""
    counts = [picture.rows for picture in pictures]
    parts = answer[: sum(counts)].float().split(counts)
    kept = deep or [None] * len(pictures)
    return [
        Direction(picture.guided(part), features)
        for picture, part, features in zip(pictures, parts, kept, strict=True)
    ]
