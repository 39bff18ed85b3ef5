"""ModelLoader: the pipeline at the first request, once, off the event loop."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import diffusers
import torch
import transformers
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import (
    StableDiffusionXLPipeline,
)

from writing_service.config import CacheSettings, ModelSettings
from writing_service.diffusion.batching import ROWS
from writing_service.diffusion.compiling import BatchSizes
from writing_service.diffusion.controls import controls_of
from writing_service.diffusion.denoising import ANY_SIZE, Denoiser
from writing_service.diffusion.doors import NOTHING_DRAWN
from writing_service.diffusion.framing import NativeSizes
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.hub import HuggingFaceHub, ModelHub
from writing_service.diffusion.parts import (
    Part,
    base_part,
    controlnet_parts,
    locate,
    obstacles,
    parts_of,
)
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.diffusion.recording import Recorder
from writing_service.diffusion.weights import LOADING, NETWORKS, has_variant
from writing_service.errors import ModelsUnavailable, WritingServiceError
from writing_service.types import ConditioningKind, Size

logger = logging.getLogger(__name__)

CHECKED_FOR_SECONDS = 5.0
"""So long an answer of `check` stands before the files are looked at again."""

FAILURE_TOLD_FOR_SECONDS = 30.0
"""So long a failed load makes the service not ready; then a request may try again."""

_CLASSES: Mapping[str, Any] = {
    "vae": AutoencoderKL,
    "controlnet": ControlNetModel,
    "union": ControlNetUnionModel,
}

_TOO_LARGE = (
    "The models do not fit into the GPU's memory; set ai_generation.gpu.enable_cpu_offload=true "
    "or use pipeline=sdxl_union."
)

COMPILED_SIZE = Size(1024, 1024)

Clock = Callable[[], float]


class ModelLoader:
    """Loads what the settings name. `hub` None is the Hugging Face hub."""

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
    ) -> None:
        """Where networks are compiled, they are for pictures of `compile_for`; others run as they are."""
        self._settings = settings
        self._gpu = gpu
        self._hub = hub or HuggingFaceHub(cache.huggingface)
        self._clock = clock
        self._deterministic = deterministic
        self._native = _native_sizes(settings) if render_at == "native" else ANY_SIZE
        self._compile_for = compile_for
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._starting = threading.Lock()
        self._load: Future[MultiControlNetPipeline] | None = None
        self._checked: tuple[float, list[str]] | None = None
        self._failure: tuple[float, str] | None = None
        self._times_ms: dict[str, float] = {}
        self.loading: str | None = None
        if cache.torch:
            torch.hub.set_dir(cache.torch)
        # Progress is told by the log, one line a part.
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()

    @property
    def load_times_ms(self) -> Mapping[str, float]:
        """By part."""
        return MappingProxyType(dict(self._times_ms))

    @property
    def loaded(self) -> bool:
        """Whether `load` answers at once."""
        load = self._load
        return load is not None and load.done() and load.exception() is None

    def status(self) -> dict[str, Any]:
        """`models_loaded`, `loading`, `load_times_ms`, and the pipeline's own; see PictureLoader."""
        load = self._load
        return {
            "models_loaded": self.loaded,
            "loading": self.loading,
            "load_times_ms": dict(self._times_ms),
            **(load.result().status() if load and self.loaded else NOTHING_DRAWN),
        }

    async def load(self) -> MultiControlNetPipeline:
        """The pipeline; all callers share one load. A failed one is tried again at the next call.

        Raises ModelsUnavailable. A caller that is cancelled does not stop the load.
        """
        return await asyncio.shield(asyncio.wrap_future(self._shared_load()))

    def check(self) -> list[str]:
        """Why `load` cannot work; empty when it is expected to. Reads a few file heads at most."""
        if self.loaded:
            return []
        now = self._clock()
        if self._checked is None or now - self._checked[0] >= CHECKED_FOR_SECONDS:
            parts = parts_of(self._settings)
            reasons = [one for part in parts for one in obstacles(part, self._hub)]
            self._checked = (now, reasons)
        failed = self._failure and now - self._failure[0] < FAILURE_TOLD_FOR_SECONDS
        return self._checked[1] or ([self._failure[1]] if self._failure and failed else [])

    async def load_stable_diffusion_xl(self, model_name: str | None = None) -> Any:
        """The diffusers pipeline of the base model, in main memory; None is the settings' own."""
        part = base_part(self._settings, model_name)
        return await asyncio.to_thread(self._load_base, part, self._vae_part(), _Progress())

    async def load_controlnet_models(
        self, model_configs: Mapping[str, str] | None = None
    ) -> dict[ConditioningKind, Any]:
        """ControlNets by kind, in main memory; None are the settings' own."""
        if model_configs is None:
            parts = [part for part in parts_of(self._settings) if part.kinds]
        else:
            sources = {ConditioningKind(kind): one for kind, one in model_configs.items()}
            parts = controlnet_parts(self._settings, sources)
        loaded = await asyncio.to_thread(self._load_networks, parts, _Progress(len(parts)))
        return {kind: network for part, network in loaded.items() for kind in part.kinds}

    async def setup_multi_controlnet_pipeline(
        self, controlnets: Mapping[ConditioningKind, Any], base: Any | None = None
    ) -> MultiControlNetPipeline:
        """A pipeline of networks loaded before, on its device; `base` None: the settings' own."""
        base = base or await self.load_stable_diffusion_xl()
        return await asyncio.to_thread(self._assemble, base, controlnets)

    def close(self) -> None:
        """Wait for a running load, and let the models go."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        load, self._load = self._load, None
        if load is not None and load.done() and not load.cancelled() and not load.exception():
            load.result().close()

    def _shared_load(self) -> Future[MultiControlNetPipeline]:
        with self._starting:
            if self._load is None or (self._load.done() and self._load.exception()):
                self._load = self._submit()
            return self._load

    def _submit(self) -> Future[MultiControlNetPipeline]:
        try:
            return self._worker.submit(self._load_all)
        except RuntimeError:
            message = "The service is shutting down and loads no models."
            raise ModelsUnavailable(message) from None

    def _load_all(self) -> MultiControlNetPipeline:
        """On the loading thread."""
        try:
            return self._load_parts(parts_of(self._settings))
        except torch.OutOfMemoryError as error:
            raise self._failed(_TOO_LARGE) from error
        except ModelsUnavailable as error:
            raise self._failed(str(error)) from error
        finally:
            self.loading = None

    def _failed(self, sentence: str) -> ModelsUnavailable:
        self._failure = (self._clock(), sentence)
        return ModelsUnavailable(sentence)

    def _load_parts(self, parts: tuple[Part, ...]) -> MultiControlNetPipeline:
        progress = _Progress(len(parts))
        vae = next((part for part in parts if part.role == "vae"), None)
        base = self._load_base(parts[0], vae, progress)
        loaded = self._load_networks([part for part in parts if part.kinds], progress)
        networks = {kind: network for part, network in loaded.items() for kind in part.kinds}
        return self._assemble(base, networks)

    def _load_base(self, part: Part, vae: Part | None, progress: "_Progress") -> Any:
        """Text encoders, UNet, VAE and scheduler."""
        given = {} if vae is None else {"vae": self._load_network(vae, progress)}
        with self._loading(part, progress):
            folder = locate(part, self._hub)
            folders = [folder / name for name in NETWORKS]
            variant = part.variant if has_variant(folders, part.variant) else None
            base = StableDiffusionXLPipeline.from_pretrained(
                folder,
                dtype=self._gpu.dtype,
                use_safetensors=True,
                variant=variant,
                add_watermarker=False,
                **given,
            )
        # Such a VAE overflows in float16; it stays in float32 rather than to and fro each picture.
        if base.vae.dtype == torch.float16 and base.vae.config.force_upcast:
            base.vae.to(torch.float32)
        return base

    def _load_networks(self, parts: Iterable[Part], progress: "_Progress") -> dict[Part, Any]:
        return {part: self._load_network(part, progress) for part in parts}

    def _load_network(self, part: Part, progress: "_Progress") -> Any:
        with self._loading(part, progress):
            folder = locate(part, self._hub)
            variant = part.variant if has_variant([folder], part.variant) else None
            return _CLASSES[part.role].from_pretrained(
                folder, dtype=self._gpu.dtype, use_safetensors=True, variant=variant
            )

    def _assemble(
        self, base: Any, networks: Mapping[ConditioningKind, Any]
    ) -> MultiControlNetPipeline:
        """Tuned, on the device and ready to draw."""
        for kind, network in networks.items():
            _refuse_misfit(kind, network, base)
        controls = controls_of(networks)
        applied = self._gpu.optimize_pipeline(base, controls.networks, controls.embedders)
        denoiser = Denoiser(
            base,
            controls,
            self._gpu.torch_device,
            self._gpu.dtype,
            self._native,
            BatchSizes(fixed=applied["use_torch_compile"] or applied["use_cuda_graphs"]),
            Recorder() if applied["use_cuda_graphs"] else None,
        )
        if applied["use_torch_compile"]:
            self._compile(denoiser)
        sources = {kind: one.source for one in parts_of(self._settings) for kind in one.kinds}
        return MultiControlNetPipeline(
            denoiser,
            self._gpu,
            (base.tokenizer, base.tokenizer_2),
            self._settings.base_model,
            {kind: sources.get(kind, type(networks[kind]).__name__) for kind in networks},
            self._deterministic,
        )

    def _compile(self, denoiser: Denoiser) -> None:
        """Once, for all batch sizes. Where there is no compiler the networks run as they are."""
        self.loading, started = "compiling", time.perf_counter()
        logger.info("Loading: compiling for pictures of %s", self._compile_for)
        side = round((self._compile_for.width * self._compile_for.height) ** 0.5)
        most = ROWS * self._gpu.get_recommended_batch_size(side)
        try:
            denoiser.compile(self._compile_for, most)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            logger.warning("Nothing is compiled, the networks run as they are: %s", error)
        self._times_ms["compiling"] = 1000 * (time.perf_counter() - started)

    def _vae_part(self) -> Part | None:
        return next((part for part in parts_of(self._settings) if part.role == "vae"), None)

    @contextmanager
    def _loading(self, part: Part, progress: "_Progress") -> Generator[None]:
        """Tell the progress, take the time, and make one sentence of any library's error."""
        self.loading = progress.next(part.name)
        logger.info("Loading %s (%s)", self.loading, part.source)
        started = time.perf_counter()
        try:
            with LOADING, self._gpu.memory_monitor(f"load {part.name}"):
                yield
        except WritingServiceError:
            raise
        except Exception as error:
            # The libraries raise anything from OSError to KeyError for files that do not fit.
            logger.exception("The %s from %s failed to load", part.name, part.source)
            raise ModelsUnavailable(
                f"The {part.name} '{part.source}' cannot be loaded: its files do not fit together "
                f"({type(error).__name__})."
            ) from error
        self._times_ms[part.name] = 1000 * (time.perf_counter() - started)
        logger.info("Loaded %s", self.loading, extra={"time_ms": self._times_ms[part.name]})


class _Progress:
    """Counts parts: "canny ControlNet 2/5"."""

    def __init__(self, total: int = 1) -> None:
        self._total = total
        self._begun = 0

    def next(self, name: str) -> str:
        self._begun += 1
        return f"{name} {self._begun}/{max(self._total, self._begun)}"


def _native_sizes(settings: ModelSettings) -> NativeSizes:
    return NativeSizes(tuple(Size(*one) for one in settings.native_sizes), settings.least_side)


def _refuse_misfit(kind: ConditioningKind, network: Any, base: Any) -> None:
    """A ControlNet for another family loads well, and would fail in the middle of a picture."""
    theirs, ours = network.config, base.unet.config
    fits = all(
        theirs[name] == ours[name]
        for name in ("in_channels", "block_out_channels", "cross_attention_dim")
    )
    shrinks = 2 ** (len(theirs.conditioning_embedding_out_channels) - 1)
    if not fits or shrinks != base.vae_scale_factor:
        raise ModelsUnavailable(
            f"The {kind} ControlNet does not fit the base model: it was made for another family of "
            "models."
        )
