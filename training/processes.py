"""Several GPUs of one machine: a process for each, which draw their own samples and share their gradients."""

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor


def start(function: Callable[..., None], count: int, *arguments: Any) -> None:
    """Run `function(*arguments)` in this process, or in `count` new ones, with a GPU each where there are any."""
    if count <= 1:
        function(*arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        multiprocessing.spawn(_join, (count, meeting, function, arguments), nprocs=count)


def _join(
    number: int,
    count: int,
    meeting: Path,
    function: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(number)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
        init_method=f"file://{meeting}",
        rank=number,
        world_size=count,
        timeout=timedelta(minutes=10),
    )
    function(*arguments)
    dist.destroy_process_group()


def number() -> int:
    """Of this process; the first one, 0, writes files and logs."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def average(values: Tensor) -> None:
    """Over all processes, in place."""
    if count() > 1:
        dist.all_reduce(values)
        values.div_(count())


def of_first(values: Tensor) -> Tensor:
    """The first process's values, in all; in place."""
    if count() > 1:
        dist.broadcast(values, 0)
    return values


def await_first() -> None:
    """Until the first process has come as far."""
    told_by_first(0.0)


def told_by_first(value: float) -> float:
    """The first process's value, in all; waits for it, but not for the GPU."""
    if count() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.broadcast(shared, 0)
    return float(shared)
