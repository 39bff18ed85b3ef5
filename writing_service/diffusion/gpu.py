"""GPUManager: what to draw on, how to tune the models for it, and how it fares."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from writing_service.config import GPUSettings
from writing_service.diffusion.devices import GIB, DeviceInfo, choose_dtype, detect_device
from writing_service.diffusion.profiles import OptimizationProfile, choose_profile
from writing_service.diffusion.sensors import SensorReading, read_sensors
from writing_service.diffusion.tuning import Tuning, offload, tune

__all__ = ["DeviceInfo", "GPUManager", "GPUMemory", "GPUStatus", "OptimizationProfile"]

logger = logging.getLogger(__name__)

_REMEMBERED = 100
_SHOWN = 10
_REFERENCE_SIDE = 1024
_NEARLY_FULL = 90.0
_HOT = 85


@dataclass(frozen=True)
class GPUMemory:
    """GiB of the whole device, other programs included; all None without a GPU."""

    total_gb: float | None = None
    used_gb: float | None = None
    percent_used: float | None = None


@dataclass(frozen=True)
class GPUStatus:
    """One moment of the GPU. Without one, `available` is false and the rest is None."""

    available: bool
    name: str | None = None
    memory: GPUMemory = GPUMemory()
    utilization_percent: int | None = None
    temperature_celsius: int | None = None
    power_usage_watts: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


class GPUManager:
    """Picks device, number format and profile, tunes pipelines, watches memory."""

    def __init__(
        self,
        settings: GPUSettings,
        device: DeviceInfo | None = None,
        sensors: Callable[[DeviceInfo], SensorReading] = read_sensors,
    ) -> None:
        """`device` None: found as the settings ask. Raises ConfigurationError for an absent one."""
        self.device = device or detect_device(settings.device)
        self.dtype = choose_dtype(settings.dtype, self.device)
        self.optimization_profile = choose_profile(self.device, settings)
        self._sensors = sensors
        self._tuning = Tuning()
        self._histories = threading.Lock()
        self._memory_history: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._performance_history: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    @property
    def torch_device(self) -> torch.device:
        """Where tensors go."""
        return torch.device(self.device.torch_name)

    @property
    def gpu_info(self) -> dict[str, Any]:
        """What the device is; does not change."""
        return {**asdict(self.device), "dtype": str(self.dtype).removeprefix("torch.")}

    def get_gpu_status(self) -> GPUStatus:
        """The present moment. A GPU that no longer answers is not available."""
        if self.device.kind != "cuda":
            return GPUStatus(available=False)
        try:
            memory = self._gpu_memory()
        except RuntimeError as error:
            logger.warning("The GPU does not answer: %s", error)
            return GPUStatus(available=False, name=self.device.name)
        return GPUStatus(True, self.device.name, memory, **asdict(self._sensors(self.device)))

    def get_memory_usage(self) -> dict[str, float | None]:
        """GiB: the device's (None without a GPU) and `process_gb`, this process's main memory."""
        memory = self._gpu_memory() if self.device.kind == "cuda" else GPUMemory()
        return {**asdict(memory), "process_gb": psutil.Process().memory_info().rss / GIB}

    def get_recommended_batch_size(self, image_size: int) -> int:
        """Pictures of `image_size` × `image_size` at a time, at least one."""
        share = (_REFERENCE_SIDE / image_size) ** 2
        return max(1, int(self.optimization_profile.max_batch_size * share))

    def optimize_pipeline(
        self, pipeline: Any, networks: Sequence[Any] = (), resident: Sequence[Any] = ()
    ) -> dict[str, bool]:
        """Tune a diffusers pipeline for the device and bring it there; say what took effect.

        `networks` are further models that run beside its UNet; `resident` are small ones that stay
        on the device even where the others wait in main memory.
        """
        profile = self.optimization_profile
        self._tuning = tune(pipeline, networks, resident, profile, self.torch_device)
        logger.info("Optimized for %s: %s", profile.name, ", ".join(self._tuning.applied))
        names = [name for name in asdict(profile) if name not in ("name", "max_batch_size")]
        return {name: name in self._tuning.applied for name in names}

    def offload_pipeline(self, pipeline: Any, networks: Sequence[Any] = ()) -> bool:
        """Let tuned models wait in main memory from now on; False where they do, or there is none."""
        waiting = {"enable_cpu_offload", "enable_sequential_cpu_offload"} & {*self._tuning.applied}
        if waiting or self.device.kind != "cuda":
            return False
        logger.warning("Memory is short: from now on models leave the device after their turn")
        self._tuning = offload(pipeline, networks, self.torch_device, self._tuning)
        return True

    def after_picture(self) -> None:
        """Bring offloaded models back to main memory, and give cached memory back if asked to."""
        self._tuning.release()
        if self.optimization_profile.memory_efficient:
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
            "optimization_profile": {"name": profile.pop("name"), "settings": profile},
            "current_status": self.get_gpu_status().as_dict(),
            "memory_history": memory,
            "performance_history": performance,
            "recommendations": self.get_optimization_recommendations(),
        }

    def get_optimization_recommendations(self) -> list[str]:
        """Sentences that a person can act on; none when all is well."""
        if self.device.kind != "cuda":
            return ["There is no GPU in use: keep to pipeline=embedded; SDXL takes minutes here."]
        status, found = self.get_gpu_status(), list[str]()
        if (status.memory.percent_used or 0) >= _NEARLY_FULL:
            found.append(
                "GPU memory is nearly full: set ai_generation.gpu.enable_cpu_offload=true "
                "or a smaller ai_generation.gpu.max_batch_size."
            )
        if (status.temperature_celsius or 0) >= _HOT:
            found.append(f"The GPU is at {status.temperature_celsius} °C: check its cooling.")
        if self.optimization_profile.enable_sequential_cpu_offload:
            found.append(
                "Layers move to the GPU one by one, which is slow: pipeline=sdxl_union needs a "
                "quarter of the ControlNets' memory."
            )
        return found

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
