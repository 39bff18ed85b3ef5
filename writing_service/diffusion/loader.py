"""ModelLoader: the pipeline at the first request, once, off the event loop."""

import asyncio
import gc
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import diffusers
import huggingface_hub
import torch
import transformers

from writing_service.config import CacheSettings, ModelSettings
from writing_service.diffusion.assembly import COMPILED_SIZE, Drawing, Networks, PipelineAssembly
from writing_service.diffusion.cache import LoadedModel, ModelCache
from writing_service.diffusion.checkpoints.capacity import Machine
from writing_service.diffusion.checkpoints.hub import HuggingFaceHub, ModelHub, create_cache_folders
from writing_service.diffusion.checkpoints.locating import at_hand, obstacles
from writing_service.diffusion.checkpoints.parts import base_parts, controlnet_parts, parts_of
from writing_service.diffusion.checkpoints.schedulers import check_scheduler
from writing_service.diffusion.detection.detectors import LearnedDetector
from writing_service.diffusion.doors import NOTHING_DRAWN, Workload
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.digests import digest_of
from writing_service.errors import ModelsUnavailable
from writing_service.types import ConditioningKind, Size

CHECKED_FOR_SECONDS = 5.0
"""So long an answer of `check` stands before the files are looked at again."""

FAILURE_TOLD_FOR_SECONDS = 30.0
"""So long a failed load makes the service not ready; then a request may try again."""

_TOO_LARGE = (
    "The models do not fit into the GPU's memory; set ai_generation.gpu.enable_cpu_offload=true "
    "or use pipeline=sdxl_union."
)

Clock = Callable[[], float]


class ModelLoader:
    """Loads what the settings name, into a ModelCache, in which several pipelines may lie."""

    def __init__(
        self,
        settings: ModelSettings,
        gpu: GPUManager,
        cache: CacheSettings,
        hub: ModelHub | None = None,
        clock: Clock = time.monotonic,
        deterministic: bool = False,
        render_at: str = "native",
        compile_for: Size = COMPILED_SIZE,
        long_prompts: str = "shortened",
        models: ModelCache | None = None,
        detectors: Sequence[LearnedDetector] = (),
        machine: Machine | None = None,
    ) -> None:
        """`hub` None is the Hugging Face hub; `models` None a cache of its own; `detectors` the auxiliary models.

        Creates the cache's folders. Raises ConfigurationError where that fails, and for unknown schedulers.
        """
        create_cache_folders(cache)
        if settings.scheduler:
            check_scheduler(settings.scheduler)
        self._settings = settings
        self._gpu = gpu
        self._hub = hub or HuggingFaceHub(cache.huggingface)
        self._clock = clock
        self._detectors = detectors
        self.models = models or ModelCache(gpu, cache.memory_gb)
        self._assembly = PipelineAssembly(
            gpu,
            self._hub,
            self.models,
            machine or Machine(),
            Drawing(deterministic, render_at, compile_for, long_prompts),
        )
        self._checked: tuple[float, list[str]] | None = None
        self._failure: tuple[float, str] | None = None
        self._identity: str | None = None
        if cache.torch:
            torch.hub.set_dir(cache.torch)
        # Progress is told by the log, one line a part.
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        huggingface_hub.utils.disable_progress_bars()

    @property
    def load_times_ms(self) -> Mapping[str, float]:
        """By model."""
        return MappingProxyType(self.models.journal.times_ms)

    @property
    def loaded(self) -> bool:
        """Whether `load` answers at once."""
        return _key(self._settings) in self.models

    def status(self) -> dict[str, Any]:
        """See PictureLoader."""
        pipeline = self.models.peek(_key(self._settings))
        return {
            "models_loaded": pipeline is not None,
            **self.models.journal.status(),
            "model_cache": self.models.status(),
            **(pipeline.status() if pipeline else NOTHING_DRAWN),
        }

    def workload(self) -> Workload:
        """See PictureLoader."""
        pipeline = self.models.peek(_key(self._settings))
        return pipeline.workload() if pipeline else Workload()

    def identity(self) -> str | None:
        """See PictureLoader. Settled once: files that change later are not those that are loaded."""
        if self._identity is None:
            places = [at_hand(part, self._hub) for part in parts_of(self._settings)]
            found = [place for place in places if place]
            self._identity = digest_of(*found) if len(found) == len(places) else None
        return self._identity

    async def load(self) -> MultiControlNetPipeline:
        """The service's own pipeline; see `load_pipeline`."""
        return await self.load_pipeline(self._settings)

    async def load_pipeline(self, settings: ModelSettings) -> MultiControlNetPipeline:
        """The pipeline of any models; all callers for the same share one load.

        A failed one is tried again at the next call. Raises ModelsUnavailable. A caller that is cancelled does
        not stop the load. Who keeps a pipeline may draw with it even after it was evicted.
        """
        return await self.models.get_or_load_model(_key(settings), lambda: self._load(settings))

    def check(self) -> list[str]:
        """Why nothing can be drawn; empty when it is expected to work. Reads a few file heads at most."""
        if pipeline := self.models.peek(_key(self._settings)):
            return pipeline.check()
        now = self._clock()
        if self._checked is None or now - self._checked[0] >= CHECKED_FOR_SECONDS:
            self._checked = (now, obstacles(parts_of(self._settings), self._hub))
        failed = self._failure and now - self._failure[0] < FAILURE_TOLD_FOR_SECONDS
        return self._checked[1] or ([self._failure[1]] if self._failure and failed else [])

    async def load_stable_diffusion_xl(self, model_name: str | None = None) -> Any:
        """The diffusers pipeline of the base model, in main memory; None is the settings' own."""

        def load() -> Any:
            parts = self._assembly.locate(base_parts(self._settings, model_name))
            return self._assembly.read_base(parts, self._settings)

        return await asyncio.to_thread(load)

    async def load_controlnet_models(
        self, model_configs: Mapping[str, str] | None = None
    ) -> dict[ConditioningKind, Any]:
        """ControlNets by kind, in main memory; None are the settings' own."""
        if model_configs is None:
            parts = tuple(part for part in parts_of(self._settings) if part.kinds)
        else:
            sources = {ConditioningKind(kind): one for kind, one in model_configs.items()}
            parts = controlnet_parts(self._settings, sources)

        def load() -> dict[ConditioningKind, Any]:
            return self._assembly.read_networks(self._assembly.locate(parts))

        return await asyncio.to_thread(load)

    async def load_auxiliary_models(self) -> dict[str, str | None]:
        """The learned conditioning methods' networks, as far as their files are here; see LearnedDetector.

        By method: None where it is loaded now, else what it needs, as the end of a sentence.
        """
        return {one.name: await asyncio.to_thread(one.prepare) for one in self._detectors}

    async def setup_multi_controlnet_pipeline(
        self, controlnets: Networks, base: Any | None = None
    ) -> MultiControlNetPipeline:
        """A pipeline of networks loaded before, on its device; `base` None: the settings' own."""
        base = base or await self.load_stable_diffusion_xl()
        return await asyncio.to_thread(self._assembly.assemble, base, controlnets, self._settings)

    def close(self) -> None:
        """Wait for a running load, and let the models go."""
        for model in self.models.close():
            if isinstance(model, MultiControlNetPipeline):
                model.close()

    def _load(self, settings: ModelSettings) -> LoadedModel[MultiControlNetPipeline]:
        """On the cache's thread."""
        try:
            return self._assembly.build(settings)
        except torch.OutOfMemoryError:
            failure = ModelsUnavailable(_TOO_LARGE)
        except ModelsUnavailable as error:
            failure = type(error)(str(error))
        # Raised out here, without the traceback that would keep what was half loaded.
        gc.collect()
        self._gpu.empty_cache()
        if settings == self._settings:
            self._failure = (self._clock(), str(failure))
        raise failure


def _key(settings: ModelSettings) -> Hashable:
    return "pipeline", settings.model_dump_json()
