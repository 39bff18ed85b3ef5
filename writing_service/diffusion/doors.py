"""What the rest of the service sees of this room: a loader, the pipeline that it loads, the device.

The real ones and the fakes have these doors. Importing them does not import torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from PIL import Image

from writing_service.types import (
    ALWAYS,
    ConditioningKind,
    ControlImage,
    DrawnImages,
    GenerationJob,
    Size,
    Window,
)


class Stage(StrEnum):
    """Where a request is, in order; the names are also those of its stage times.

    The pipeline tells QUEUE, DENOISE and DECODE; whoever asks it for pictures tells the others.
    """

    RENDER = "render"
    CONDITIONING = "conditioning"
    PROMPT = "prompt"
    QUEUE = "queue"
    DENOISE = "denoise"
    DECODE = "decode"
    ENCODE = "encode"


@dataclass(frozen=True)
class Progress:
    """How far a job is. Steps are counted over all of its pictures and all `attempt`s at them.

    `queue_position` is the number of jobs before it that have not begun, 0 once it has begun itself.
    `seconds_left` is None while nothing is known. `preview`, where the job asks for one, shows one of its pictures
    as it looks so far, small. `word` (the plain rendering) and `control_image` are told once each, as they appear.
    """

    stage: Stage
    step: int
    steps: int
    seconds_left: float | None = None
    queue_position: int = 0
    preview: Image.Image | None = None
    attempt: int = 1
    word: Image.Image | None = None
    control_image: ControlImage | None = None


OnProgress = Callable[[Progress], None]
"""Called on the event loop: at each stage, for each image that appears, and after each of the job's steps."""


NOTHING_DRAWN: Mapping[str, Any] = MappingProxyType({"queue_depth": 0, "batches": None})
"""What is told of a pipeline's status before there is one."""


class PicturePipeline(Protocol):
    """Draws the pictures of many jobs at once."""

    @property
    def model_used(self) -> str:
        """The base model, as configured."""
        ...

    @property
    def scheduler_used(self) -> str:
        """The class of diffusers' that leads the steps."""
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

    def status(self) -> dict[str, Any]:
        """`queue_depth` (jobs that have not begun) and `batches` {steps, mean_pictures, largest, by_size}."""
        ...

    async def draw(
        self,
        job: GenerationJob,
        on_progress: OnProgress | None = None,
        deadline: float | None = None,
    ) -> DrawnImages:
        """All pictures of the job. `deadline` is in seconds of the monotonic clock.

        Raises GenerationFailed, InvalidRequest, ServiceUnavailable, and where the deadline cannot be
        met, DeadlinePassed or QueueFull.
        """
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
        """Take no more jobs; running ones end at their next step."""
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
        """`models_loaded`; `loading` ("canny ControlNet 2/5" or None); by model `load_times_ms` and
        `load_memory_mb`; `model_cache`.

        And the pipeline's own status; without a pipeline 0 and None.
        """
        ...

    def close(self) -> None:
        """Let the models go."""
        ...


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


NO_GPU = GPUStatus(available=False)


class GPUWatch(Protocol):
    """Tells how the device fares."""

    def get_gpu_status(self) -> GPUStatus:
        """The present moment."""
        ...

    def get_memory_usage(self) -> Mapping[str, float | None]:
        """`total_gb`, `used_gb`, `percent_used` of the GPU (None without one), `process_gb`."""
        ...

    def memory_in_use_mb(self) -> float:
        """MiB that the models and pictures hold on the GPU; without one, this process's main memory."""
        ...

    def fixed_batch_sizes(self, image_size: int) -> tuple[int, ...]:
        """Guided pictures of `image_size`² in each batch that is compiled or recorded; none where nothing is."""
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
    control_windows: Mapping[Any, Window] = field(default_factory=dict)
    guidance_window: Window = ALWAYS
    cache_interval: int = 1

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
            {ConditioningKind(kind): one for kind, one in self.control_windows.items()},
            self.guidance_window,
            self.cache_interval,
        )
