"""Bench: the clock, the time that is left, and the file that every figure goes to."""

import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from benchmarks.gpu.options import Options
from writing_service.config import GPUSettings
from writing_service.diffusion.device.devices import choose_device, detect_devices
from writing_service.diffusion.device.sensors import GIB
from writing_service.diffusion.gpu import GPUManager

PATIENCE_SECONDS = 25.0
"""After so long, what takes long is not repeated any more."""

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "triton")


class NotHere(Exception):
    """Something cannot be measured on this machine; the message says what it needs."""


class Bench:
    """Times work and records it, within `options.seconds` from now on."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self.options = options
        self._found = choose_device(options.device, detect_devices())
        self.device = torch.device(self._found.torch_name)
        self._clock = clock
        self._end = clock() + options.seconds
        self._part = ""
        self.path = options.out / "figures.jsonl"
        options.out.mkdir(parents=True, exist_ok=True)
        self._write({"run": self._told_of_run()})

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - self._clock()

    @property
    def on_gpu(self) -> bool:
        """Whether there is one to measure."""
        return self.device.type == "cuda"

    def gpu(self, **settings: Any) -> GPUManager:
        """The service's own view of the device; `settings` are fields of GPUSettings, the others as the profile."""
        unset = dict.fromkeys(GPUSettings.model_fields)
        chosen = {"device": self.device.type, "dtype": self.options.dtype, **settings}
        return GPUManager(GPUSettings(**{**unset, **chosen}))

    @contextmanager
    def part(self, name: str) -> Generator[None]:
        """Rows within are this part's."""
        self._part = name
        print(f"\n{name}", flush=True)
        started = self._clock()
        try:
            yield
        finally:
            print(f"  ({self._clock() - started:.0f} s; {self.left:.0f} s left)", flush=True)

    def row(self, name: str, **figures: Any) -> None:
        """One measured thing. It is on the disk when this returns."""
        self._write({"part": self._part, "name": name, **figures})
        told = ", ".join(f"{key} {_plain(one)}" for key, one in figures.items())
        print(f"  {name:<44}{told}", flush=True)

    def skip(self, name: str, reason: str) -> None:
        """Say what was not measured, and why."""
        self._write({"part": self._part, "name": name, "skipped": reason})
        print(f"  {name}: skipped, {reason}", flush=True)

    def fail(self, name: str, error: Exception) -> None:
        """Say what broke."""
        told = f"{type(error).__name__}: {(str(error).strip() or '–').splitlines()[0]}"
        self._write({"part": self._part, "name": name, "failed": told})
        print(f"  {name}: failed, {told}", flush=True)

    def seconds(self, work: Callable[[], Any]) -> float:
        """Of one run, from an idle device to an idle device."""
        self.wait()
        started = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - started

    def repeated(self, work: Callable[[], Any], repeats: int | None = None) -> list[float]:
        """Seconds of each run: at least one, and no more than there is time and patience for."""
        costs = [self.seconds(work)]
        while len(costs) < (repeats or self.options.repeats):
            if sum(costs) > PATIENCE_SECONDS or self.left < 2 * costs[-1]:
                break
            costs.append(self.seconds(work))
        return costs

    def median(self, work: Callable[[], Any], repeats: int | None = None) -> float:
        """Of the seconds, after one run to warm up."""
        work()
        return statistics.median(self.repeated(work, repeats))

    def wait(self) -> None:
        """Until the device has done what was asked of it."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def forget_peak(self) -> None:
        """Count the peak of memory from now on."""
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)

    @property
    def peak_gib(self) -> float | None:
        """Most that was held at once; None on a CPU."""
        return torch.cuda.max_memory_allocated(self.device) / GIB if self.on_gpu else None

    @property
    def held_gib(self) -> float | None:
        """What is held now; None on a CPU."""
        return torch.cuda.memory_allocated(self.device) / GIB if self.on_gpu else None

    def require_gpu(self, what: str) -> None:
        """Raises NotHere on a CPU."""
        if not self.on_gpu:
            raise NotHere(f"{what} needs a CUDA device")

    def _told_of_run(self) -> dict[str, Any]:
        options = {key: str(value) for key, value in asdict(self.options).items()}
        device = asdict(self._found)
        return {
            "at": time.strftime("%Y-%m-%d %H:%M:%S"),
            "device": {key: one for key, one in device.items() if key != "uuid"},
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in PACKAGES},
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "options": options,
        }

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def free_memory() -> None:
    """Let go what the last part left behind, compiled code included."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
