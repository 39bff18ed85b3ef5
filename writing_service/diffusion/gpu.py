"""GPUManager: what to draw on, how to tune the models for it, and how it fares."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import psutil
import torch

from writing_service.config import GPUSettings, ModelSettings
from writing_service.diffusion.batching import ROWS
from writing_service.diffusion.device.advice import Situation, recommendations
from writing_service.diffusion.device.compiling import BatchSizes
from writing_service.diffusion.device.devices import (
    DeviceInfo,
    choose_device,
    choose_dtype,
    detect_devices,
)
from writing_service.diffusion.device.footprint import footprint_of
from writing_service.diffusion.device.heap import Heap
from writing_service.diffusion.device.profiles import (
    COSTS,
    FOR_FIXED_SIZES,
    OptimizationProfile,
    choose_profile,
    recommended_batch_size,
)
from writing_service.diffusion.device.sensors import GIB, SensorReading, read_sensors
from writing_service.diffusion.device.tuning import Tuning, offload, tune
from writing_service.diffusion.doors import GPUMemory, GPUStatus

__all__ = ["DeviceInfo", "GPUManager", "GPUMemory", "GPUStatus", "OptimizationProfile"]

logger = logging.getLogger(__name__)

_REMEMBERED = 100
_SHOWN = 10
_MIB = 1024**2

_OFF = "off: neither the profile nor a setting asks for it"
_NOT_YET = "the models are not loaded yet"


class GPUManager:
    """Picks device, number format and profile, tunes pipelines, watches memory."""

    def __init__(
        self,
        settings: GPUSettings,
        models: ModelSettings | None = None,
        found: Sequence[DeviceInfo] | None = None,
        sensors: Callable[[str | None], SensorReading] = read_sensors,
    ) -> None:
        """`models` are those that must fit (None: SDXL under four ControlNets).

        `found` are the CUDA devices to choose from; None: all that torch sees. Raises ConfigurationError where the
        settings ask for an absent one.
        """
        self._found = detect_devices() if found is None else tuple(found)
        self.device = choose_device(settings.device, self._found)
        self.dtype = choose_dtype(settings.dtype, self.device)
        self._footprint = footprint_of(models, self.dtype.itemsize)
        self.optimization_profile = choose_profile(self.device, settings, self._footprint)
        self._models = models
        self._sensors = sensors
        self._tuning = Tuning()
        self._heap = Heap()
        self._histories = threading.Lock()
        self._memory_history: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._performance_history: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    @property
    def torch_device(self) -> torch.device:
        """Where tensors go."""
        return torch.device(self.device.torch_name)

    @property
    def gpu_info(self) -> dict[str, Any]:
        """What the device is, and which `devices` there are to choose from; does not change."""
        return {
            **asdict(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "devices": [asdict(one) for one in self._found],
        }

    def get_gpu_status(self) -> GPUStatus:
        """The present moment. A GPU that no longer answers is not available."""
        if self.device.kind != "cuda":
            return GPUStatus(available=False)
        try:
            memory = self._gpu_memory()
        except RuntimeError as error:
            logger.warning("The GPU does not answer: %s", error)
            return GPUStatus(available=False, name=self.device.name)
        return GPUStatus(True, self.device.name, memory, **asdict(self._sensors(self.device.uuid)))

    def get_memory_usage(self) -> dict[str, float | None]:
        """GiB: the device's (None without a GPU) and `process_gb`, this process's main memory."""
        memory = self._gpu_memory() if self.device.kind == "cuda" else GPUMemory()
        return {**asdict(memory), "process_gb": psutil.Process().memory_info().rss / GIB}

    def memory_in_use_mb(self) -> float:
        """MiB that torch's tensors hold on the GPU; without one, this process's main memory."""
        if self.device.kind == "cuda":
            return torch.cuda.memory_allocated(self.device.index) / _MIB
        return psutil.Process().memory_info().rss / _MIB

    def get_recommended_batch_size(self, image_size: int) -> int:
        """Guided pictures of `image_size` × `image_size` at a time, at least one."""
        profile = self.optimization_profile
        return recommended_batch_size(self.device, profile, self._footprint, image_size)

    def fixed_batch_sizes(self, image_size: int) -> tuple[int, ...]:
        """Guided pictures of `image_size`² in each batch that is compiled or recorded; none where nothing is."""
        sizes = BatchSizes(fixed=bool(FOR_FIXED_SIZES & {*self._tuning.applied}))
        most = ROWS * self.get_recommended_batch_size(image_size)
        return tuple(rows // ROWS for rows in sizes.up_to(most) if rows % ROWS == 0)

    def optimize_pipeline(
        self, pipeline: Any, networks: Sequence[Any] = (), resident: Sequence[Any] = ()
    ) -> dict[str, dict[str, str]]:
        """Tune a diffusers pipeline for the device and bring it there.

        Gives `applied` (what each option costs) and `not_applied` (why not), by option. `networks` are further models
        that run beside its UNet; `resident` are small ones that stay on the device even where the others wait in
        main memory.
        """
        profile = self.optimization_profile
        self._tuning = tune(pipeline, networks, resident, profile, self.torch_device)
        logger.info("Optimized for %s: %s", profile.name, ", ".join(self._tuning.applied))
        return self._options()

    def offload_pipeline(self, pipeline: Any, networks: Sequence[Any] = ()) -> bool:
        """Let tuned models wait in main memory from now on; False where they do, or there is none."""
        waiting = {"enable_cpu_offload", "enable_sequential_cpu_offload"} & {*self._tuning.applied}
        if waiting or self.device.kind != "cuda":
            return False
        logger.warning("Memory is short: from now on models leave the device after their turn")
        self._tuning = offload(pipeline, networks, self.torch_device, self._tuning)
        return True

    def after_picture(self) -> None:
        """Bring offloaded models back to main memory, and give memory that nobody uses back."""
        self._tuning.release()
        self._heap.trim()
        if self.optimization_profile.memory_efficient:
            self.empty_cache()

    def free_memory(self) -> None:
        """After memory ran out. A model that was on its way to the device may be there in part: bring all back."""
        self._tuning.release()
        self.empty_cache()

    def empty_cache(self) -> None:
        """Give memory that torch keeps for later back to the device."""
        if self.device.kind == "cuda":
            torch.cuda.empty_cache()

    @contextmanager
    def memory_monitor(self, operation_name: str = "operation") -> Generator[None]:
        """Record how long the block took and what memory it left taken."""
        started, clock, before = time.time(), time.perf_counter(), self.get_memory_usage()
        try:
            yield
        finally:
            seconds, after = time.perf_counter() - clock, self.get_memory_usage()
            self._remember(operation_name, started, seconds, before, after)

    def get_diagnostics(self) -> dict[str, Any]:
        """Everything about the device, ready for JSON; histories are the last ten."""
        with self._histories:
            memory = list(self._memory_history)[-_SHOWN:]
            performance = list(self._performance_history)[-_SHOWN:]
        profile = asdict(self.optimization_profile)
        return {
            "gpu_info": self.gpu_info,
            "optimization_profile": {
                "name": profile.pop("name"),
                "settings": profile,
                **self._options(),
            },
            "current_status": self.get_gpu_status().as_dict(),
            "memory_history": memory,
            "performance_history": performance,
            "recommendations": self.get_optimization_recommendations(),
        }

    def get_optimization_recommendations(self) -> list[str]:
        """Sentences that each name the setting to change; none when all is well."""
        status = self.get_gpu_status()
        return recommendations(
            Situation(
                self.device,
                self._found,
                self.optimization_profile,
                self._footprint,
                self._models,
                status.memory.percent_used,
                status.temperature_celsius,
            )
        )

    def _options(self) -> dict[str, dict[str, str]]:
        """What took effect of the profile, and what did not. Before there is a pipeline, nothing has."""
        applied = {name: COSTS[name] for name in self._tuning.applied}
        asked = self.optimization_profile.options
        missing = {name: on for name, on in asked.items() if name not in applied}
        return {
            "applied": applied,
            "not_applied": {
                name: self._tuning.refusals.get(name, _NOT_YET) if on else _OFF
                for name, on in missing.items()
            },
        }

    def _gpu_memory(self) -> GPUMemory:
        free, total = torch.cuda.mem_get_info(self.device.index)
        used = total - free
        return GPUMemory(total / GIB, used / GIB, 100 * used / total)

    def _remember(
        self,
        operation: str,
        started: float,
        seconds: float,
        before: dict[str, float | None],
        after: dict[str, float | None],
    ) -> None:
        key = "used_gb" if self.device.kind == "cuda" else "process_gb"
        with self._histories:
            self._memory_history.append({"timestamp": started, "operation": operation, **after})
            self._performance_history.append(
                {
                    "timestamp": started,
                    "operation": operation,
                    "duration_seconds": seconds,
                    "memory_diff_gb": (after[key] or 0) - (before[key] or 0),
                    "peak_memory_gb": self._peak_gb(),
                }
            )

    def _peak_gb(self) -> float | None:
        """Most that torch held at once since the process began; None without a GPU."""
        if self.device.kind != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self.device.index) / GIB
