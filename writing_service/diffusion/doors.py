"""What the rest of the service sees of this room: a loader, the pipeline that it loads, the device.

The real ones and the fakes have these doors. Importing them does not import torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from writing_service.types import ConditioningKind, DrawnImages, GenerationJob, Size

OnStep = Callable[[int, int], None]
"""Called on the event loop with the number of steps done and of all, over the job's pictures."""


class PicturePipeline(Protocol):
    """Draws pictures, one at a time."""

    @property
    def model_used(self) -> str:
        """The base model, as configured."""
        ...

    @property
    def controlnet_models_used(self) -> Mapping[ConditioningKind, str]:
        """Which ControlNet reads which kind of control image."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a prompt that the text encoders read; the rest would be cut off."""
        ...

    def count_tokens(self, text: str) -> int:
        """Of the whole text, start and end marks included."""
        ...

    async def draw(self, job: GenerationJob, on_step: OnStep | None = None) -> DrawnImages:
        """All pictures of the job. Raises GenerationFailed, InvalidRequest, ServiceUnavailable."""
        ...

    async def generate(
        self,
        prompt: str,
        control_images: Mapping[Any, Image.Image] | None = None,
        conditioning_scales: Mapping[Any, float] | None = None,
        **generation_params: Any,
    ) -> Image.Image:
        """One picture; `generation_params` are the fields of GenerationParams."""
        ...

    def close(self) -> None:
        """Take no more jobs; a running one ends at its next step."""
        ...


class PictureLoader(Protocol):
    """Loads the pipeline at the first call, once."""

    @property
    def load_times_ms(self) -> Mapping[str, float]:
        """By part."""
        ...

    async def load(self) -> PicturePipeline:
        """The pipeline. Raises ModelsUnavailable; the next call tries again."""
        ...

    def check(self) -> list[str]:
        """Why `load` cannot work; empty when it is expected to."""
        ...

    def status(self) -> dict[str, Any]:
        """`models_loaded`, `loading` ("canny ControlNet 2/5" or None), `load_times_ms`."""
        ...

    def close(self) -> None:
        """Let the models go."""
        ...


class GPUWatch(Protocol):
    """Tells how the device fares."""

    def get_memory_usage(self) -> Mapping[str, float | None]:
        """`total_gb`, `used_gb`, `percent_used` of the GPU (None without one), `process_gb`."""
        ...

    def get_diagnostics(self) -> dict[str, Any]:
        """Ready for JSON; `current_status` is the contract's `gpu_status`."""
        ...


@dataclass(frozen=True)
class GenerationParams:
    """What `generate` takes besides prompt and control images.

    Without a size, the picture has the first control image's, else 1024×1024.
    """

    negative_prompt: str = ""
    num_inference_steps: int = 30
    guidance_scale: float = 7.5
    seed: int = 0
    width: int | None = None
    height: int | None = None

    def job(
        self,
        prompt: str,
        control_images: Mapping[Any, Image.Image] | None,
        conditioning_scales: Mapping[Any, float] | None,
    ) -> GenerationJob:
        """The whole job. Kinds may be given by name; one without a scale counts fully."""
        images = {ConditioningKind(kind): one for kind, one in (control_images or {}).items()}
        scales = {ConditioningKind(kind): one for kind, one in (conditioning_scales or {}).items()}
        width, height = next(iter(images.values())).size if images else (1024, 1024)
        return GenerationJob(
            prompt,
            self.negative_prompt,
            images,
            {kind: scales.get(kind, 1.0) for kind in images},
            self.num_inference_steps,
            self.guidance_scale,
            (self.seed,),
            Size(self.width or width, self.height or height),
        )
