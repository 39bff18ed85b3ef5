"""MultiControlNetPipeline: jobs in, pictures out; an engine thread draws many at once."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from PIL import Image

from writing_service.diffusion.denoising.denoiser import Denoiser
from writing_service.diffusion.denoising.engine import DenoisingEngine
from writing_service.diffusion.denoising.orders import Report
from writing_service.diffusion.denoising.texts import TokenCounter
from writing_service.diffusion.doors import GenerationParams, OnProgress, Progress, Workload
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.diffusion.gpu import GPUManager
from writing_service.errors import FieldError, InvalidRequest
from writing_service.types import ConditioningKind, DrawnImages, GenerationJob

__all__ = ["FakeLoader", "FakePipeline", "GenerationParams", "MultiControlNetPipeline"]


class MultiControlNetPipeline:
    """SDXL under several ControlNets.

    Sizes below the models' least side are drawn larger and reduced. Sizes that are no multiple of
    `size_multiple` are drawn at the next larger one, with the control images' borders carried
    outwards, and cut in the middle to exactly the asked size.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        gpu: GPUManager,
        counter: TokenCounter,
        model_used: str,
        controlnet_models_used: Mapping[ConditioningKind, str],
        deterministic: bool = False,
    ) -> None:
        """With `deterministic` a picture's bytes are the same under any load; see DenoisingEngine."""
        self._denoiser = denoiser
        self._engine = DenoisingEngine(denoiser, gpu, deterministic)
        self._counter = counter
        self.model_used = model_used
        self.controlnet_models_used = MappingProxyType(dict(controlnet_models_used))

    @property
    def scheduler_used(self) -> str:
        """The class of diffusers' that leads the steps."""
        return type(self._denoiser.base.scheduler).__name__

    @property
    def max_tokens(self) -> int:
        """Tokens of a prompt that both text encoders read, at once or chunk by chunk."""
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

    async def draw(
        self,
        job: GenerationJob,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
    ) -> DrawnImages:
        """All pictures of the job, each as if it were alone, in company of whatever else is drawn.

        `deadline` is in seconds of the monotonic clock. `stage_times_ms` has queue (until the
        job's first step), denoise (until its last) and decode. When the awaiting task is cancelled,
        the job leaves before the next step. Raises GenerationFailed, InvalidRequest,
        ServiceUnavailable, and where the deadline cannot be met, DeadlinePassed or QueueFull.
        """
        self._refuse_unknown_kinds(job)
        report = _on_loop(asyncio.get_running_loop(), on_progress)
        return await asyncio.wrap_future(self._engine.submit(job, report, deadline))

    def status(self) -> dict[str, Any]:
        """`queue_depth` (jobs that have not begun) and `batches` {steps, mean_pictures, largest, by_size}."""
        return self._engine.status()

    def workload(self) -> Workload:
        """See PicturePipeline."""
        return self._engine.workload()

    def check(self) -> list[str]:
        """Why nothing can be drawn; empty when all is well."""
        return self._engine.check()

    def close(self) -> None:
        """Take no more jobs; running ones end at their next step."""
        self._engine.close()

    def _refuse_unknown_kinds(self, job: GenerationJob) -> None:
        asked = {kind for kind, scale in job.conditioning_scales.items() if scale}
        if missing := sorted((asked & set(job.control_images)) - self._denoiser.controls.kinds):
            message = f"This service has no ControlNet for {', '.join(missing)}; give it weight 0."
            fields = [FieldError(f"conditioning_weights.{kind}", message) for kind in missing]
            raise InvalidRequest(message, fields)


def _on_loop(loop: asyncio.AbstractEventLoop, on_progress: OnProgress | None) -> Report:
    """`on_progress`, to be called from another thread."""

    def report(progress: Progress) -> None:
        # A loop that has ended has nobody left to tell.
        if on_progress is not None and not loop.is_closed():
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(on_progress, progress)

    return report
