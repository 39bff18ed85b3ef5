"""TorchTracer: what torch did during a block, as a trace for Chrome or Perfetto, and the memory that a block took."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch._C._profiler import _ExperimentalConfig  # pyright: ignore[reportPrivateUsage]
from torch.profiler import ProfilerActivity, profile

from writing_service.diffusion.gpu import GPUManager

_MIB = 1024**2
_SAMPLED_EVERY_SECONDS = 0.01


@dataclass
class MemoryUse:
    """MiB: torch's tensors on a GPU, else the process's main memory. `used_mb` is what the block left taken."""

    used_mb: float = 0.0
    peak_mb: float = 0.0


@dataclass
class Operations:
    """(name, calls, milliseconds of its own), the longest first: a GPU's kernels, else torch's operations."""

    longest: tuple[tuple[str, int, float], ...] = ()


class TorchTracer:
    """Looks at all threads, for the models run on one of their own. Values are filled when the block ends."""

    def __init__(self, gpu: GPUManager) -> None:
        self._gpu = gpu
        self._on_gpu = gpu.device.kind == "cuda"

    @contextmanager
    def measured(self) -> Generator[MemoryUse]:
        """The block's memory."""
        memory, before = MemoryUse(), self._gpu.memory_in_use_mb()
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats(self._gpu.device.index)
            yield memory
            memory.peak_mb = torch.cuda.max_memory_allocated(self._gpu.device.index) / _MIB
        else:
            with _sampled(self._gpu.memory_in_use_mb) as sampled:
                yield memory
            memory.peak_mb = max(sampled)
        memory.used_mb = self._gpu.memory_in_use_mb() - before

    @contextmanager
    def traced(self, path: Path) -> Generator[Operations]:
        """Writes the block's trace to `path`, Chrome's JSON."""
        operations = Operations()
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._on_gpu else [])]
        # torch documents this option and has no public name for its type.
        every_thread = _ExperimentalConfig(profile_all_threads=True)
        with profile(
            activities=activities,
            record_shapes=True,
            profile_memory=True,
            experimental_config=every_thread,
            acc_events=True,  # one cycle here, so it changes nothing but a warning
        ) as profiler:
            yield operations
        operations.longest = _longest(profiler, self._on_gpu)
        profiler.export_chrome_trace(str(path))


@contextmanager
def _sampled(read_mb: Callable[[], float]) -> Generator[list[float]]:
    """Main memory has no peak of its own for a block: it is read again and again."""
    ended, sampled = threading.Event(), [read_mb()]

    def watch() -> None:
        while not ended.wait(_SAMPLED_EVERY_SECONDS):
            sampled.append(read_mb())

    thread = threading.Thread(target=watch, name="peak-memory")
    thread.start()
    try:
        yield sampled
    finally:
        ended.set()
        thread.join()


def _longest(profiler: Any, on_gpu: bool) -> tuple[tuple[str, int, float], ...]:
    def milliseconds(event: Any) -> float:
        return (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1000

    events = sorted(profiler.key_averages(), key=milliseconds, reverse=True)
    return tuple((one.key, one.count, milliseconds(one)) for one in events if milliseconds(one))
