"""A pipeline, a loader and a driver with the real ones' doors, for tests of what stands around them.

No torch, no models: the picture is the control images blended over colours drawn from the job.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from writing_service.diffusion.doors import (
    NO_GPU,
    NOTHING_DRAWN,
    GenerationParams,
    GPUStatus,
    OnProgress,
    PicturePipeline,
    Progress,
    Stage,
)
from writing_service.errors import ModelsUnavailable
from writing_service.types import ConditioningKind, DrawnImages, GeneratedImage, GenerationJob

_QUIET = (104, 152)


class FakePipeline:
    """Equal jobs give equal pictures; any other job gives others. `jobs` are those drawn so far."""

    model_used = "fake"
    scheduler_used = "DDIMScheduler"
    max_tokens = 77

    def __init__(
        self, seconds: float = 0.0, error: Exception | None = None, hides_below: float = 0.0
    ) -> None:
        """`seconds` is how long each job takes; `error` is raised in place of a picture.

        Control images do not show in pictures for which their weights add up to less than `hides_below`.
        """
        self.controlnet_models_used: Mapping[ConditioningKind, str] = MappingProxyType(
            dict.fromkeys(ConditioningKind, "fake")
        )
        self.jobs: list[GenerationJob] = []
        self.deadlines: list[float | None] = []
        self.closed = False
        self._seconds = seconds
        self._error = error
        self._hides_below = hides_below

    def count_tokens(self, text: str) -> int:
        """Words and the two marks."""
        return len(text.split()) + 2

    def status(self) -> dict[str, Any]:
        """See PicturePipeline."""
        none = {"steps": 0, "mean_pictures": None, "largest": 0, "by_size": {}}
        return {"queue_depth": 0, "batches": none}

    async def draw(
        self,
        job: GenerationJob,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
    ) -> DrawnImages:
        """See PicturePipeline. `deadlines` are those of `jobs`."""
        total = job.num_inference_steps * len(job.seeds)
        for progress in self._progress(job, total):
            if on_progress is not None:
                on_progress(progress)
            if progress.step < total:
                await asyncio.sleep(self._seconds / total)
        if self._error is not None:
            raise self._error
        self.jobs.append(job)
        self.deadlines.append(deadline)
        images = await asyncio.to_thread(_pictures, job, self._hides_below)
        times = {"queue": 0.0, "denoise": 1000 * self._seconds, "decode": 0.0}
        return DrawnImages(images, times)

    def _progress(self, job: GenerationJob, total: int) -> Iterator[Progress]:
        """As the engine tells it; a preview shows the ground alone."""
        yield Progress(Stage.QUEUE, 0, total)
        for done in range(1, total + 1):
            stage = Stage.DENOISE if done < total else Stage.DECODE
            left = self._seconds * (total - done) / total or None
            shown = job.preview_every and done % job.preview_every == 0 and done < total
            preview = _ground(job, job.seeds[0]).resize((64, 64)) if shown else None
            yield Progress(stage, done, total, left, preview=preview)

    async def generate(
        self,
        prompt: str,
        control_images: Mapping[Any, Image.Image] | None = None,
        conditioning_scales: Mapping[Any, float] | None = None,
        **generation_params: Any,
    ) -> Image.Image:
        """See PicturePipeline."""
        params = GenerationParams(**generation_params)
        drawn = await self.draw(params.job(prompt, control_images, conditioning_scales))
        return drawn.images[0].image

    def close(self) -> None:
        """See PicturePipeline."""
        self.closed = True


class FakeLoader:
    """Gives one pipeline, or says why it cannot."""

    def __init__(
        self, pipeline: PicturePipeline | None = None, reasons: Iterable[str] = ()
    ) -> None:
        """With `reasons`, the models are missing: `check` tells them and `load` fails."""
        self.pipeline: PicturePipeline = pipeline or FakePipeline()
        self.reasons = list(reasons)
        self.load_times_ms: dict[str, float] = {}

    async def load(self) -> PicturePipeline:
        """See PictureLoader."""
        if self.reasons:
            raise ModelsUnavailable(f"The models cannot be loaded: {self.reasons[0]}.")
        self.load_times_ms = {"base model": 1.0}
        return self.pipeline

    def check(self) -> list[str]:
        """See PictureLoader."""
        return list(self.reasons)

    def status(self) -> dict[str, Any]:
        """See PictureLoader."""
        return {
            "models_loaded": bool(self.load_times_ms),
            "loading": None,
            "load_times_ms": dict(self.load_times_ms),
            "load_memory_mb": dict.fromkeys(self.load_times_ms, 0.0),
            "model_cache": None,
            **(self.pipeline.status() if self.load_times_ms else NOTHING_DRAWN),
        }

    def close(self) -> None:
        """See PictureLoader."""
        self.pipeline.close()


class FakeGPU:
    """A device without anything inside; `memory_mb` is what is said to be in use."""

    def __init__(self, batch_sizes: tuple[int, ...] = (), status: GPUStatus = NO_GPU) -> None:
        """`batch_sizes` are those that the compiler is said to wait for, `status` is what the card is said to tell."""
        self.memory_mb = 1000.0
        self._status = status
        self._batch_sizes = batch_sizes

    def get_gpu_status(self) -> GPUStatus:
        """See GPUWatch."""
        return self._status

    def get_memory_usage(self) -> Mapping[str, float | None]:
        """See GPUWatch."""
        nothing = dict.fromkeys(("total_gb", "used_gb", "percent_used"))
        return {**nothing, "process_gb": self.memory_mb / 1024}

    def memory_in_use_mb(self) -> float:
        """See GPUWatch."""
        return self.memory_mb

    def fixed_batch_sizes(self, image_size: int) -> tuple[int, ...]:
        """See GPUWatch."""
        return self._batch_sizes

    def get_diagnostics(self) -> dict[str, Any]:
        """See GPUWatch."""
        return {"current_status": self.get_gpu_status().as_dict()}


class FakeNVML:
    """NVIDIA's management library on a machine of one's own making, to be given in place of pynvml."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """What the library raises for whatever it cannot tell."""

    def __init__(self, devices: Mapping[str, Mapping[str, Any]] | None) -> None:
        """By UUID: `free` (bytes), `gpu` (percent), `temperature`, `milliwatts`, each where it is told, and of a
        slice its `card`. None: there is no driver."""
        self._devices = devices
        self.opened = 0

    def nvmlInit(self) -> None:  # noqa: N802 (NVIDIA's names)
        """Raises NVMLError without a driver."""
        if self._devices is None:
            raise self.NVMLError("Driver Not Loaded")
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        """Ends what nvmlInit began."""
        self.opened -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        """Handles are the UUIDs."""
        if not self._devices or uuid not in self._devices:
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: str) -> str:  # noqa: N802
        """The card of a slice."""
        return self._told(handle, "card")

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:  # noqa: N802
        """With `free`."""
        return SimpleNamespace(free=self._told(handle, "free"))

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:  # noqa: N802
        """With `gpu`."""
        return SimpleNamespace(gpu=self._told(handle, "gpu"))

    def nvmlDeviceGetTemperature(self, handle: str, _sensor: int) -> int:  # noqa: N802
        """°C."""
        return self._told(handle, "temperature")

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:  # noqa: N802
        """Milliwatts."""
        return self._told(handle, "milliwatts")

    def _told(self, handle: str, what: str) -> Any:
        if what not in (self._devices or {})[handle]:
            raise self.NVMLError("Not Supported")
        return (self._devices or {})[handle][what]


def _pictures(job: GenerationJob, hides_below: float) -> tuple[GeneratedImage, ...]:
    shown = sum(job.conditioning_scales.values()) >= hides_below
    return tuple(
        GeneratedImage(_drawn_over(_ground(job, seed), job) if shown else _ground(job, seed), seed)
        for seed in job.seeds
    )


def _ground(job: GenerationJob, seed: int) -> Image.Image:
    """Soft colours, quiet enough for the control images to stand out."""
    random = np.random.default_rng(list(_digest(job, seed)))
    colours = random.integers(_QUIET[0], _QUIET[1], (4, 4, 3), np.uint8)
    size = (job.size.width, job.size.height)
    return Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)


def _drawn_over(picture: Image.Image, job: GenerationJob) -> Image.Image:
    for kind, image in job.control_images.items():
        share = min(1.0, job.conditioning_scales.get(kind, 0.0) / 4)
        picture = Image.blend(picture, image.convert("RGB").resize(picture.size), share)
    return picture


def _digest(job: GenerationJob, seed: int) -> bytes:
    """Of everything in the job but its other seeds."""
    images = {
        kind: hashlib.sha256(image.tobytes()).hexdigest()
        for kind, image in job.control_images.items()
    }
    told = (
        job.prompt,
        job.negative_prompt,
        sorted(images.items()),
        sorted(job.conditioning_scales.items()),
        job.num_inference_steps,
        float(job.guidance_scale),
        job.size,
        sorted((kind, one.start, one.end) for kind, one in job.control_windows.items()),
        (job.guidance_window.start, job.guidance_window.end, job.cache_interval),
        seed,
    )
    return hashlib.sha256(repr(told).encode()).digest()
