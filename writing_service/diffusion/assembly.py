"""PipelineAssembly: from settings to a pipeline that draws. Read `build` first."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from writing_service.config import ModelSettings
from writing_service.diffusion.batching import ROWS
from writing_service.diffusion.cache import LoadedModel, ModelCache, memory_of
from writing_service.diffusion.checkpoints.capacity import GIB, Demand, Machine, memory_shortage
from writing_service.diffusion.checkpoints.hub import ModelHub
from writing_service.diffusion.checkpoints.locating import Located, locate, repair
from writing_service.diffusion.checkpoints.parts import Part, parts_of
from writing_service.diffusion.checkpoints.reading import (
    add_lora,
    networks_of,
    read_base,
    read_network,
)
from writing_service.diffusion.checkpoints.schedulers import with_scheduler
from writing_service.diffusion.denoising.controls import controls_of
from writing_service.diffusion.denoising.denoiser import ANY_SIZE, Denoiser
from writing_service.diffusion.denoising.framing import NativeSizes
from writing_service.diffusion.denoising.texts import TokenCounter
from writing_service.diffusion.device.compiling import BatchSizes
from writing_service.diffusion.device.profiles import FOR_FIXED_SIZES
from writing_service.diffusion.device.recording import Recorder
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.errors import ModelsUnavailable, WritingServiceError
from writing_service.types import ConditioningKind, Size

logger = logging.getLogger(__name__)

COMPILED_SIZE = Size(1024, 1024)

Networks = Mapping[ConditioningKind, Any]


@dataclass(frozen=True)
class Drawing:
    """How pipelines draw; see GenerationSettings, and of `long_prompts` PromptSettings.

    Where networks are compiled, they are for pictures of `compile_for`; others run as they are.
    """

    deterministic: bool = False
    render_at: str = "native"
    compile_for: Size = COMPILED_SIZE
    long_prompts: str = "shortened"

    def sizes(self, settings: ModelSettings) -> NativeSizes:
        """Those at which the models draw."""
        if self.render_at != "native":
            return ANY_SIZE
        return NativeSizes(tuple(Size(*one) for one in settings.native_sizes), settings.least_side)


class PipelineAssembly:
    """Finds parts, sees whether they fit, reads them and puts them together, all on the calling thread."""

    def __init__(
        self,
        gpu: GPUManager,
        hub: ModelHub,
        models: ModelCache,
        machine: Machine,
        drawing: Drawing,
    ) -> None:
        self._gpu = gpu
        self._hub = hub
        self._models = models
        self._machine = machine
        self._drawing = drawing

    def build(self, settings: ModelSettings) -> LoadedModel[MultiControlNetPipeline]:
        """The settings' pipeline, on its device. Raises ModelsUnavailable."""
        parts = self.locate(parts_of(settings))
        steps = _Steps(len(parts))
        base = self.read_base(parts, settings, steps)
        networks = self.read_networks(parts, steps)
        pipeline = self.assemble(base, networks, settings)
        size = memory_of([*networks_of(base), *networks.values()])
        return LoadedModel(pipeline, f"pipeline {settings.name}", size)

    def locate(self, parts: Sequence[Part]) -> list[Located]:
        """Where they are, fetched if need be, with room made for them. Raises ModelsUnavailable."""
        with self._models.journal.telling() as tell:
            located = locate(parts, self._hub, self._machine, tell)
        self._make_room(_demand(located, self._gpu.dtype))
        return located

    def read_base(
        self, parts: Sequence[Located], settings: ModelSettings, steps: "_Steps | None" = None
    ) -> Any:
        """Base model, VAE, LoRAs and scheduler of `parts`, as a diffusers pipeline in main memory."""
        steps = steps or _Steps(len(parts))
        dtype = self._gpu.dtype
        vaes = [
            self._read(one, steps, lambda one: read_network(one, dtype))
            for one in _of(parts, "vae")
        ]
        (found,) = _of(parts, "base")
        base = self._read(
            found, steps, lambda one: read_base(one, dtype, next(iter(vaes), None)), networks_of
        )
        for lora in _of(parts, "lora"):
            self._read(lora, steps, lambda one: add_lora(base, one), lambda _: [])
        with_scheduler(base, settings.scheduler)
        return base

    def read_networks(
        self, parts: Sequence[Located], steps: "_Steps | None" = None
    ) -> dict[ConditioningKind, Any]:
        """The ControlNets of `parts` by kind, in main memory."""
        steps = steps or _Steps(len(parts))
        return {
            kind: network
            for one in parts
            if one.part.kinds
            for network in [self._read(one, steps, lambda one: read_network(one, self._gpu.dtype))]
            for kind in one.part.kinds
        }

    def assemble(
        self, base: Any, networks: Networks, settings: ModelSettings
    ) -> MultiControlNetPipeline:
        """Tuned, on the device and ready to draw. Raises ModelsUnavailable for networks that do not fit."""
        for kind, network in networks.items():
            _refuse_misfit(kind, network, base)
        controls = controls_of(networks)
        tuned = self._gpu.optimize_pipeline(base, controls.networks, controls.embedders)
        applied = tuned["applied"]
        chunked = self._drawing.long_prompts == "chunked"
        counter = TokenCounter((base.tokenizer, base.tokenizer_2), chunked)
        denoiser = Denoiser(
            base,
            controls,
            self._gpu.torch_device,
            self._gpu.dtype,
            counter,
            self._drawing.sizes(settings),
            BatchSizes(fixed=bool(FOR_FIXED_SIZES & applied.keys())),
            Recorder(self._gpu.torch_device) if "use_cuda_graphs" in applied else None,
        )
        if "use_torch_compile" in applied:
            self._compile(denoiser)
        sources = {kind: one.source for one in parts_of(settings) for kind in one.kinds}
        return MultiControlNetPipeline(
            denoiser,
            self._gpu,
            counter,
            settings.base_model,
            {kind: sources.get(kind, type(networks[kind]).__name__) for kind in networks},
            self._drawing.deterministic,
        )

    def _compile(self, denoiser: Denoiser) -> None:
        """Once, for all batch sizes. Where there is no compiler the networks run as they are."""
        size = self._drawing.compile_for
        side = round((size.width * size.height) ** 0.5)
        most = ROWS * self._gpu.get_recommended_batch_size(side)
        with self._models.journal.entry("compiling", f"for pictures of {size}"):
            try:
                denoiser.compile(size, most)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                logger.warning("Nothing is compiled, the networks run as they are: %s", error)

    def _make_room(self, demand: Demand) -> None:
        """Other models go first. Raises ModelsUnavailable where that is not enough."""
        self._models.make_room(demand.total)
        while (shortage := self._shortage(demand)) and self._models.evict():
            pass
        if shortage:
            raise ModelsUnavailable(shortage)

    def _shortage(self, demand: Demand) -> str | None:
        profile, memory = self._gpu.optimization_profile, self._gpu.get_memory_usage()
        total, used = memory["total_gb"], memory["used_gb"]
        free = None if total is None or used is None else int((total - used) * GIB)
        if profile.enable_sequential_cpu_offload:
            free = None
        return memory_shortage(demand, self._machine, free, profile.enable_cpu_offload)

    def _read(
        self,
        located: Located,
        steps: "_Steps",
        read: Callable[[Located], Any],
        networks: Callable[[Any], list[Any]] = lambda one: [one],
    ) -> Any:
        """One part. What the hub's cache holds damaged is fetched anew, once."""
        part, count = located.part, steps.next()
        try:
            return self._told(located, count, read, networks)
        except ModelsUnavailable:
            if not repair(part, self._hub):
                raise
        (again,) = self.locate([part])
        return self._told(again, count, read, networks)

    def _told(
        self,
        located: Located,
        count: str,
        read: Callable[[Located], Any],
        networks: Callable[[Any], list[Any]],
    ) -> Any:
        """In the journal, with one sentence of any library's error."""
        part = located.part
        try:
            with self._models.journal.entry(part.name, part.source, count) as entry:
                loaded = read(located)
                entry.size = memory_of(networks(loaded))
        except WritingServiceError:
            raise
        except Exception as error:
            # The libraries raise anything from OSError to KeyError for files that do not fit.
            logger.exception("The %s from %s failed to load", part.name, part.source)
            raise ModelsUnavailable(
                f"The {part.name} '{part.source}' cannot be loaded: {_why(error)}."
            ) from error
        return loaded


class _Steps:
    """Counts parts: "2/5"."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begun = 0

    def next(self) -> str:
        self._begun += 1
        return f"{self._begun}/{max(self._total, self._begun)}"


def _of(parts: Iterable[Located], role: str) -> list[Located]:
    return [one for one in parts if one.part.role == role]


def _demand(parts: Sequence[Located], dtype: torch.dtype) -> Demand:
    """LoRAs vanish in what they are added to."""
    sizes = [size for one in parts if one.part.role != "lora" for size in one.sizes]
    return Demand(sum(sizes) * dtype.itemsize, max(sizes, default=0) * dtype.itemsize)


def _why(error: Exception) -> str:
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "it does not fit into main memory"
    return f"its files do not fit together ({type(error).__name__})"


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
