"""A pipeline and a loader with the real ones' doors, for tests of what stands around them.

No torch, no models: the picture is the control images blended over colours drawn from the job.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from writing_service.diffusion.doors import (
    NOTHING_DRAWN,
    GenerationParams,
    OnProgress,
    PicturePipeline,
    Progress,
    Stage,
)
from writing_service.errors import ModelsUnavailable
from writing_service.types import ConditioningKind, DrawnImages, GeneratedImage, GenerationJob


class FakePipeline:
    """Equal jobs give equal pictures; any other job gives others. `jobs` are those drawn so far."""

    model_used = "fake"
    max_tokens = 77

    def __init__(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        """`seconds` is how long each job takes; `error` is raised in place of a picture."""
        self.controlnet_models_used: Mapping[ConditioningKind, str] = MappingProxyType(
            dict.fromkeys(ConditioningKind, "fake")
        )
        self.jobs: list[GenerationJob] = []
        self.deadlines: list[float | None] = []
        self.closed = False
        self._seconds = seconds
        self._error = error

    def count_tokens(self, text: str) -> int:
        """Words and the two marks."""
        return len(text.split()) + 2

    def status(self) -> dict[str, Any]:
        """See PicturePipeline."""
        return {"queue_depth": 0, "batches": {"steps": 0, "mean_pictures": None, "largest": 0}}

    async def draw(
        self,
        job: GenerationJob,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
    ) -> DrawnImages:
        """See PicturePipeline. `deadlines` are those of `jobs`."""
        await asyncio.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        self.jobs.append(job)
        self.deadlines.append(deadline)
        total = job.num_inference_steps * len(job.seeds)
        for done in range(1, total + 1):
            if on_progress is not None:
                on_progress(Progress(Stage.DENOISE if done < total else Stage.DECODE, done, total))
        images = await asyncio.to_thread(_pictures, job)
        times = {"queue": 0.0, "denoise": 1000 * self._seconds, "decode": 0.0}
        return DrawnImages(images, times)

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


def _pictures(job: GenerationJob) -> tuple[GeneratedImage, ...]:
    return tuple(GeneratedImage(_picture(job, seed), seed) for seed in job.seeds)


def _picture(job: GenerationJob, seed: int) -> Image.Image:
    size = (job.size.width, job.size.height)
    colours = np.random.default_rng(list(_digest(job, seed))).integers(0, 256, (4, 4, 3), np.uint8)
    picture = Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)
    for kind, image in job.control_images.items():
        share = min(1.0, job.conditioning_scales.get(kind, 0.0) / 4)
        picture = Image.blend(picture, image.convert("RGB").resize(size), share)
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
