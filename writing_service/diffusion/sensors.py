"""A GPU's load, temperature and power, as NVIDIA's management library reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from writing_service.diffusion.devices import DeviceInfo


@dataclass(frozen=True)
class SensorReading:
    """None where the device or its driver does not tell."""

    utilization_percent: int | None = None
    temperature_celsius: int | None = None
    power_usage_watts: float | None = None


def read_sensors(device: DeviceInfo) -> SensorReading:
    """Takes about a millisecond; never raises for a missing driver or sensor."""
    if device.kind != "cuda":
        return SensorReading()
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return SensorReading()
    try:
        return _read(pynvml, device)
    except pynvml.NVMLError:
        return SensorReading()
    finally:
        pynvml.nvmlShutdown()


def _read(nvml: Any, device: DeviceInfo) -> SensorReading:
    handle = (
        nvml.nvmlDeviceGetHandleByUUID(f"GPU-{device.uuid}")
        if device.uuid
        else nvml.nvmlDeviceGetHandleByIndex(device.index)
    )
    utilization = _told(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    temperature = _told(
        nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
    )
    milliwatts = _told(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    return SensorReading(
        utilization, temperature, None if milliwatts is None else milliwatts / 1000
    )


def _told(nvml: Any, ask: Callable[[], Any]) -> Any:
    """One sensor's answer, None where there is none: some cards lack one but not the others."""
    try:
        return ask()
    except nvml.NVMLError:
        return None
