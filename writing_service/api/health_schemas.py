"""What the health routes and the status answer. Names are fixed; scripts read them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

_TIMES = {"render": 41.0, "denoise": 1450.2, "decode": 201.7}


class About(BaseModel):
    """Who answers, and since when."""

    service: str = Field(description="always the same", examples=["writing_image_service"])
    timestamp: datetime = Field(description="now, UTC", examples=["2026-01-01T09:30:00+00:00"])
    uptime_seconds: float = Field(ge=0, description="since the start", examples=[3600.5])
    version: str = Field(description="of the service", examples=["0.1.0"])


class Health(About):
    """The service is alive; nothing was looked at."""

    status: Literal["healthy"] = Field(description="always healthy", examples=["healthy"])


class Ready(About):
    """A request would be served now, or after a load that is expected to work."""

    status: Literal["ready"] = Field(description="always ready", examples=["ready"])


class NotReady(About):
    """A request would not be served."""

    status: Literal["not_ready"] = Field(description="always not_ready", examples=["not_ready"])
    reasons: list[str] = Field(
        description="sentences, at least one", examples=[["the service is warming up"]]
    )


class GPUMemory(BaseModel):
    """All null without a GPU."""

    total_gb: float | None = Field(ge=0, description="GiB", examples=[79.6])
    used_gb: float | None = Field(ge=0, description="GiB, of all processes", examples=[14.2])
    percent_used: float | None = Field(ge=0, le=100, description="of all", examples=[17.8])


class GPUStatus(BaseModel):
    """The device now; null is what it does not tell."""

    available: bool = Field(description="whether there is a GPU", examples=[True])
    name: str | None = Field(description="as the driver calls it", examples=["NVIDIA H100"])
    memory: GPUMemory = Field(
        description="of the device",
        examples=[{"total_gb": 79.6, "used_gb": 14.2, "percent_used": 17.8}],
    )
    utilization_percent: float | None = Field(ge=0, le=100, description="now", examples=[93])
    temperature_celsius: float | None = Field(description="of the chip", examples=[61])
    power_usage_watts: float | None = Field(ge=0, description="now", examples=[402.5])


class OptimizationProfile(BaseModel):
    """Which memory savers and accelerators are on; docs/operations.md has the arithmetic."""

    name: str = Field(description="chosen by the device's memory", examples=["ultra_high_memory"])
    settings: dict[str, Any] = Field(
        description="by switch of ai_generation.gpu", examples=[{"enable_vae_tiling": False}]
    )
    applied: dict[str, Any] = Field(
        description="those that took effect", examples=[{"channels_last": True}]
    )
    not_applied: dict[str, str] = Field(
        description="the others, and why", examples=[{"enable_xformers": "off"}]
    )


class GPUDiagnostics(BaseModel):
    """The device at length."""

    gpu_info: dict[str, Any] = Field(
        description="what does not change: kind, name, memory, number format",
        examples=[{"kind": "cuda", "name": "NVIDIA H100", "dtype": "bfloat16"}],
    )
    optimization_profile: OptimizationProfile = Field(
        description="what is on and off",
        examples=[{"name": "cpu", "settings": {}, "applied": {}, "not_applied": {}}],
    )
    current_status: GPUStatus = Field(
        description="as gpu_status", examples=[{"available": False, "name": None}]
    )
    memory_history: list[Any] = Field(description="the last ten looks", examples=[[]])
    performance_history: list[Any] = Field(description="the last ten pictures", examples=[[]])
    recommendations: list[str] = Field(description="sentences", examples=[[]])


class AIStatus(BaseModel, extra="allow"):
    """Models and counts."""

    models_loaded: bool = Field(description="whether pictures can begin at once", examples=[True])
    loading: str | None = Field(description="what is being loaded", examples=["unet (3 of 8)"])
    total_generations: int = Field(ge=0, description="requests drawn", examples=[128])
    failed_generations: int = Field(ge=0, description="those that failed", examples=[0])
    average_generation_time_ms: float | None = Field(
        ge=0, description="of those drawn", examples=[1733.1]
    )
    queue_depth: int = Field(ge=0, description="jobs that have not begun", examples=[0])
    batches: dict[str, Any] | None = Field(
        description="steps, mean and largest number of pictures that shared one",
        examples=[{"steps": 812, "mean_pictures": 1.9, "largest": 8}],
    )
    cache: dict[str, Any] | None = Field(description="of finished pictures", examples=[None])
    load_times_ms: dict[str, float] = Field(description="by model", examples=[{"unet": 812.5}])


class ServiceState(BaseModel, extra="allow"):
    """Readiness, models and memory."""

    status: Literal["ready", "not_ready"] = Field(
        description="as /health/ready", examples=["ready"]
    )
    reasons: list[str] = Field(description="why not ready", examples=[[]])
    ai_status: AIStatus = Field(
        description="models and counts", examples=[{"models_loaded": True, "queue_depth": 0}]
    )
    memory_leak: dict[str, Any] = Field(
        description="how memory grows over generations", examples=[{"leak_detected": False}]
    )


class DetailedHealth(Health):
    """Everything about device, models and counts."""

    gpu_status: GPUStatus = Field(
        description="the device now", examples=[{"available": False, "name": None}]
    )
    gpu_diagnostics: GPUDiagnostics = Field(
        description="the device at length", examples=[{"recommendations": []}]
    )
    service_status: ServiceState = Field(
        description="the service", examples=[{"status": "ready", "reasons": []}]
    )


class WarmedWord(BaseModel, extra="allow"):
    """How one word fared."""

    success: bool = Field(description="whether it was drawn", examples=[True])
    time_ms: float = Field(ge=0, description="all stages", examples=[1622.4])
    memory: dict[str, Any] = Field(description="afterwards, in GiB", examples=[{"used_gb": 14.2}])
    stage_times_ms: dict[str, float] | None = Field(
        None, description="by stage, where it was drawn", examples=[_TIMES]
    )
    error: str | None = Field(None, description="why it was not", examples=[None])


class WarmUp(BaseModel):
    """How warming up went."""

    success: bool = Field(description="whether all were drawn", examples=[True])
    results: dict[str, WarmedWord] = Field(
        description="by word, and by batch size that is compiled",
        examples=[{"学": {"success": True, "time_ms": 1622.4, "memory": {}}}],
    )


class Sides(BaseModel):
    """Pixels."""

    width: int = Field(ge=100, le=2048, description="pixels", examples=[512])
    height: int = Field(ge=100, le=2048, description="pixels", examples=[512])


class StatusResult(BaseModel, extra="allow"):
    """What the service is, has done and can do."""

    service: str = Field(description="always the same", examples=["writing_image_service"])
    status: Literal["running", "draining"] = Field(
        description="draining when it shuts down", examples=["running"]
    )
    version: str = Field(description="of the service", examples=["0.1.0"])
    uptime_seconds: float = Field(ge=0, description="since the start", examples=[3600.5])
    total_generations: int = Field(ge=0, description="requests drawn", examples=[128])
    implementation: str = Field(
        description="always the same", examples=["stable_diffusion_xl_multi_controlnet"]
    )
    models: dict[str, Any] = Field(
        description="the pipeline's name, its base model, its ControlNets",
        examples=[{"name": "embedded", "base": "embedded", "controlnets": {}}],
    )
    styles: list[str] = Field(description="for `style`", examples=[["comic", "watercolor"]])
    presets: list[str] = Field(description="for `preset`", examples=[["quality", "fast"]])
    conditioning_methods: dict[str, list[str]] = Field(
        description="for `conditioning_methods`, by kind", examples=[{"canny": ["opencv_canny"]}]
    )
    missing_conditioning_methods: dict[str, str] = Field(
        description="those that cannot be used, and what they need", examples=[{}]
    )
    pictograms: int = Field(ge=0, description="concepts for `pictogram`", examples=[1715])
    supported_formats: list[str] = Field(
        description="for `format`", examples=[["png", "jpeg", "webp"]]
    )
    max_image_size: Sides = Field(
        description="of a picture", examples=[{"width": 2048, "height": 2048}]
    )
    default_image_size: Sides = Field(
        description="of one whose size is not asked for", examples=[{"width": 512, "height": 512}]
    )
    features: dict[str, bool] = Field(
        description="what is on", examples=[{"multi_controlnet": True}]
    )


class Status(BaseModel):
    """The answer of GET /api/writing/status."""

    success: Literal[True] = Field(description="always true", examples=[True])
    status: Literal[200] = Field(description="always 200", examples=[200])
    result: StatusResult = Field(
        description="everything", examples=[{"status": "running", "total_generations": 128}]
    )
