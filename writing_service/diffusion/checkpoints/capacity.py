"""Do the models fit? The disk is asked before a download, the memory before a load. Imports no torch."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

GIB = 2**30


def _free_disk(folder: Path) -> int:
    """Of the nearest folder above that exists, for a cache may be yet to come."""
    return shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.is_dir())).free


def _free_memory() -> int:
    """With swap: a load into it is slow, but works."""
    return psutil.virtual_memory().available + psutil.swap_memory().free


@dataclass(frozen=True)
class Machine:
    """How many bytes are free on the disk of a folder, and in main memory."""

    free_disk: Callable[[Path], int] = _free_disk
    free_memory: Callable[[], int] = _free_memory


@dataclass(frozen=True)
class Demand:
    """Bytes that weights take: together, and the largest network of them."""

    total: int
    largest: int = 0


def disk_shortage(needed: int, folder: Path, machine: Machine) -> str | None:
    """The sentence for a disk that does not take `needed` more bytes; None when it does."""
    free = machine.free_disk(folder.absolute())
    if needed <= free:
        return None
    return (
        f"The models need {gib(needed)} of disk in {folder} and {gib(free)} are free: make room for "
        f"{gib(needed - free)} more, or set HF_HOME or ai_generation.cache.huggingface to a larger disk."
    )


def memory_shortage(
    demand: Demand, machine: Machine, free_on_device: int | None, offloaded: bool
) -> str | None:
    """The sentence for weights that cannot fit; None when they may. Pictures need memory beside them.

    `free_on_device` is None where the models stay in main memory. They pass through main memory in any
    case. `offloaded`: only one network at a time is on the device.
    """
    free = machine.free_memory()
    if demand.total > free:
        return (
            f"The models need {gib(demand.total)} of main memory and {gib(free)} are free: free "
            f"{gib(demand.total - free)}, or use pipeline=sdxl_union or pipeline=embedded."
        )
    on_device = demand.largest if offloaded else demand.total
    if free_on_device is None or on_device <= free_on_device:
        return None
    way_out = "" if offloaded else "set ai_generation.gpu.enable_cpu_offload=true, or "
    return (
        f"The models need {gib(on_device)} of the GPU's memory and {gib(free_on_device)} are free: "
        f"{way_out}use pipeline=sdxl_union or pipeline=embedded."
    )


def gib(size: int) -> str:
    """Bytes for people."""
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / 2**20:.1f} MiB"
