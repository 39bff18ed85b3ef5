"""A GPU's free memory, load, temperature and power, as NVIDIA's management library reads them.

A device is known by its UUID: its index may mean another card there (CUDA_VISIBLE_DEVICES). Nothing here raises for
a missing driver, device or sensor: what is not told is None.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

GIB = 1024**3


@dataclass(frozen=True)
class SensorReading:
    """None where the device or its driver does not tell."""

    utilization_percent: int | None = None
    temperature_celsius: int | None = None
    power_usage_watts: float | None = None


def read_sensors(uuid: str | None, nvml: Any = None) -> SensorReading:
    """Takes about a millisecond. `nvml` None is pynvml.

    A slice of a card (MIG) has no utilization of its own; temperature and power are the whole card's.
    """
    with _device(uuid, nvml) as (library, handle):
        if handle is None:
            return SensorReading()
        card = _told(library, lambda: library.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle))
        card = handle if card is None else card
        sensor = library.NVML_TEMPERATURE_GPU
        utilization = _told(library, lambda: library.nvmlDeviceGetUtilizationRates(handle).gpu)
        temperature = _told(library, lambda: library.nvmlDeviceGetTemperature(card, sensor))
        milliwatts = _told(library, lambda: library.nvmlDeviceGetPowerUsage(card))
    watts = None if milliwatts is None else milliwatts / 1000
    return SensorReading(utilization, temperature, watts)


def read_free_memory(uuid: str | None, nvml: Any = None) -> float | None:
    """GiB that no program holds. `nvml` None is pynvml."""
    with _device(uuid, nvml) as (library, handle):
        if handle is None:
            return None
        free = _told(library, lambda: library.nvmlDeviceGetMemoryInfo(handle).free)
    return None if free is None else free / GIB


@contextmanager
def _device(uuid: str | None, nvml: Any) -> Generator[tuple[Any, Any]]:
    """NVML, and the device's handle in it; None without a driver or such a device."""
    if nvml is None:
        import pynvml as nvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        yield nvml, None
        return
    try:
        yield nvml, _handle(nvml, uuid)
    finally:
        nvml.nvmlShutdown()


def _handle(nvml: Any, uuid: str | None) -> Any:
    if not uuid:
        return None
    # torch leaves out the prefix, which says whether it is a card or a slice of one.
    names = (uuid,) if uuid.startswith(("GPU-", "MIG-")) else (f"GPU-{uuid}", f"MIG-{uuid}")
    handles = (
        _told(nvml, lambda name=name: nvml.nvmlDeviceGetHandleByUUID(name)) for name in names
    )
    return next((one for one in handles if one is not None), None)


def _told(nvml: Any, ask: Callable[[], Any]) -> Any:
    """One answer, None where there is none: some cards lack one sensor but not the others."""
    try:
        return ask()
    except nvml.NVMLError:
        return None
