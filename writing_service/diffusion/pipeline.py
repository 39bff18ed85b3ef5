"""MultiControlNetPipeline: jobs in, pictures out, on one thread of its own."""

import asyncio
import copy
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image

from writing_service.diffusion.denoising import Denoiser, PreparedJob
from writing_service.diffusion.doors import GenerationParams, OnStep
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.diffusion.framing import crop
from writing_service.diffusion.gpu import GPUManager
from writing_service.errors import (
    FieldError,
    GenerationFailed,
    InvalidRequest,
    ServiceUnavailable,
)
from writing_service.types import (
    ConditioningKind,
    DrawnImages,
    GeneratedImage,
    GenerationJob,
    Size,
)

__all__ = ["FakeLoader", "FakePipeline", "GenerationParams", "MultiControlNetPipeline"]


class MultiControlNetPipeline:
    """SDXL under several ControlNets.

    Sizes that are no multiple of `size_multiple` are drawn at the next larger one, with the control
    images' borders carried outwards, and cut in the middle to exactly the asked size.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        gpu: GPUManager,
        tokenizers: tuple[Any, ...],
        model_used: str,
        controlnet_models_used: Mapping[ConditioningKind, str],
    ) -> None:
        self._denoiser = denoiser
        self._gpu = gpu
        self._counter = _TokenCounter(tokenizers)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="drawing")
        self._closing = threading.Event()
        self.model_used = model_used
        self.controlnet_models_used = MappingProxyType(dict(controlnet_models_used))

    @property
    def max_tokens(self) -> int:
        """Tokens of a prompt that both text encoders read."""
        return self._counter.limit

    @property
    def size_multiple(self) -> int:
        """Sides of drawn pictures are multiples of it, in pixels."""
        return self._denoiser.size_multiple

    def count_tokens(self, text: str) -> int:
        """The more of the two tokenizers' counts, start and end marks included."""
        return self._counter.count(text)

    async def generate(
        self,
        prompt: str,
        control_images: Mapping[Any, Image.Image] | None = None,
        conditioning_scales: Mapping[Any, float] | None = None,
        **generation_params: Any,
    ) -> Image.Image:
        """One picture; `generation_params` are the fields of GenerationParams."""
        params = GenerationParams(**generation_params)
        drawn = await self.draw(params.job(prompt, control_images, conditioning_scales))
        return drawn.images[0].image

    async def draw(self, job: GenerationJob, on_step: OnStep | None = None) -> DrawnImages:
        """All pictures of the job, one after the other, each as if it were alone.

        `stage_times_ms` has queue, denoise and decode. When the awaiting task is cancelled, the
        work stops at the next step. Raises GenerationFailed, InvalidRequest, ServiceUnavailable.
        """
        self._refuse_unknown_kinds(job)
        loop = asyncio.get_running_loop()
        run = _Run(job, self._closing, _on_loop(loop, on_step))
        try:
            work = loop.run_in_executor(self._worker, self._draw, run)
        except RuntimeError:
            raise _shutting_down() from None
        try:
            return await work
        except asyncio.CancelledError:
            run.cancelled.set()
            raise
        except _Abandoned:
            raise _shutting_down() from None

    def close(self) -> None:
        """Take no more jobs; a running one ends at its next step."""
        self._closing.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _draw(self, run: "_Run") -> DrawnImages:
        """On the worker thread."""
        with run.timed("queue", since=run.asked_at):
            run.leave_if_unwanted()
        with self._gpu.memory_monitor("draw"), self._sparing_memory(run.job.size):
            with run.timed("denoise"):
                prepared = self._denoiser.prepare(run.job)
            images = tuple(self._picture(run, prepared, seed) for seed in run.job.seeds)
        return DrawnImages(images, MappingProxyType(run.times_ms))

    def _picture(self, run: "_Run", prepared: PreparedJob, seed: int) -> GeneratedImage:
        with run.timed("denoise"):
            latents = _finite(self._denoiser.denoise(prepared, seed, run.after_step))
        with run.timed("decode"):
            decoded = _finite(self._denoiser.decode(latents))
            picture = self._denoiser.to_picture(decoded)
        return GeneratedImage(crop(picture, run.job.size), seed)

    @contextmanager
    def _sparing_memory(self, size: Size) -> Generator[None]:
        """Tidy up after a job, and say in one sentence when memory did not suffice."""
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise _out_of_memory(size) from error
        except RuntimeError as error:
            # On the CPU torch has no type of its own for this.
            if "DefaultCPUAllocator" in str(error):
                raise _out_of_memory(size) from error
            raise
        finally:
            self._gpu.after_picture()

    def _refuse_unknown_kinds(self, job: GenerationJob) -> None:
        asked = {kind for kind, scale in job.conditioning_scales.items() if scale}
        if missing := sorted((asked & set(job.control_images)) - self._denoiser.controls.kinds):
            message = f"This service has no ControlNet for {', '.join(missing)}; give it weight 0."
            fields = [FieldError(f"conditioning_weights.{kind}", message) for kind in missing]
            raise InvalidRequest(message, fields)


class _Abandoned(Exception):
    """Nobody waits for the picture any more."""


class _Run:
    """One job on its way through the worker: its clock, and whether it is still wanted."""

    def __init__(self, job: GenerationJob, closing: threading.Event, report: OnStep) -> None:
        self.job = job
        self.cancelled = threading.Event()
        self.asked_at = time.perf_counter()
        self.times_ms: dict[str, float] = {}
        self._closing = closing
        self._report = report
        self._steps_done = 0

    @contextmanager
    def timed(self, stage: str, since: float | None = None) -> Generator[None]:
        """Add the block's time, or that from `since` on, to the stage."""
        started = time.perf_counter() if since is None else since
        yield
        passed = 1000 * (time.perf_counter() - started)
        self.times_ms[stage] = self.times_ms.get(stage, 0.0) + passed

    def after_step(self, _done: int, of_picture: int) -> None:
        """Report, and leave the picture if nobody wants it."""
        self.leave_if_unwanted()
        self._steps_done += 1
        self._report(self._steps_done, of_picture * len(self.job.seeds))

    def leave_if_unwanted(self) -> None:
        """Raises _Abandoned."""
        if self.cancelled.is_set() or self._closing.is_set():
            raise _Abandoned


class _TokenCounter:
    """Counts with copies of the tokenizers: encoding on another thread changes theirs."""

    def __init__(self, tokenizers: tuple[Any, ...]) -> None:
        self._tokenizers = tuple(copy.deepcopy(one) for one in tokenizers)
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        return min(one.model_max_length for one in self._tokenizers)

    def count(self, text: str) -> int:
        with self._lock:
            return max(len(one(text, verbose=False).input_ids) for one in self._tokenizers)


def _on_loop(loop: asyncio.AbstractEventLoop, on_step: OnStep | None) -> Callable[[int, int], None]:
    """`on_step`, to be called from another thread."""

    def report(done: int, total: int) -> None:
        if on_step is not None:
            loop.call_soon_threadsafe(on_step, done, total)

    return report


def _finite(values: torch.Tensor) -> torch.Tensor:
    """Overflowed numbers would become a black picture."""
    if bool(torch.isfinite(values).all()):
        return values
    raise GenerationFailed(
        "The model's numbers overflowed and gave no picture; set ai_generation.gpu.dtype to "
        "bfloat16 or float32, or use a VAE that is made for float16."
    )


def _out_of_memory(size: Size) -> GenerationFailed:
    return GenerationFailed(
        f"Memory ran out while drawing {size.width}×{size.height}; ask for a smaller picture, "
        "or set ai_generation.gpu.enable_cpu_offload=true."
    )


def _shutting_down() -> ServiceUnavailable:
    return ServiceUnavailable("The service is shutting down and draws no more pictures.")
