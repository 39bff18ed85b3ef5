"""Learned conditioning methods: loaded once, at their first use, on the device of everything else."""

import logging
import math
import threading
import time
from collections.abc import Callable
from functools import partial

import torch
from PIL import Image

from writing_service.config import CacheSettings, DetectorSettings
from writing_service.diffusion.cache import LoadedModel, ModelCache, memory_of
from writing_service.diffusion.checkpoints.hub import ModelHub
from writing_service.diffusion.detection.networks import (
    Draw,
    Load,
    Palette,
    load_depth,
    load_edges,
    load_parts,
)
from writing_service.diffusion.detection.sources import (
    INSTALL_EXTRA,
    DetectorSource,
    detector_sources,
)
from writing_service.diffusion.gpu import GPUManager
from writing_service.errors import GenerationFailed, ModelsUnavailable, WritingServiceError
from writing_service.types import ConditioningKind, RenderedWord

logger = logging.getLogger(__name__)

CHECKED_FOR_SECONDS = 5.0
"""So long an answer of `missing` stands before the files are looked at again."""

FAILURE_TOLD_FOR_SECONDS = 30.0
"""So long after a failed load the method counts as missing; then a request may try again."""

Clock = Callable[[], float]


class LearnedDetector:
    """One learned method: a `LearnedMethod` for the room of conditioning."""

    def __init__(
        self,
        source: DetectorSource,
        load: Load,
        gpu: GPUManager,
        clock: Clock = time.monotonic,
        models: ModelCache | None = None,
    ) -> None:
        """`models` None: a cache of its own."""
        self._source = source
        self._load = load
        self._gpu = gpu
        self._clock = clock
        self._models = models or ModelCache(gpu)
        self._key = ("detector", source.name, source.source)
        self._turn = threading.Lock()
        self._checked: tuple[float, str | None] | None = None
        self._failure: tuple[float, str] = (-math.inf, "")

    @property
    def kind(self) -> ConditioningKind:
        """What it draws."""
        return self._source.kind

    @property
    def name(self) -> str:
        """Its public name."""
        return self._source.name

    @property
    def model(self) -> str:
        """The network's id or folder; "" where the method is switched off."""
        return self._source.source or ""

    @property
    def by_chance(self) -> bool:
        """Seconds a word on a CPU: there it is only for who asks."""
        return self._gpu.torch_device.type == "cuda"

    def missing(self) -> str | None:
        """What keeps it from being used, as the end of a sentence; see DetectorSource.

        A network that is loaded needs its files no more. A failed load is told for a while, and one
        for its packages until the next start, so that chance does not choose what cannot work.
        """
        if self._key in self._models:
            return None
        now = self._clock()
        told_until, words = self._failure
        if now < told_until:
            return words
        if self._checked is None or now - self._checked[0] >= CHECKED_FOR_SECONDS:
            self._checked = (now, self._source.missing())
        return self._checked[1]

    def draw(self, glyph: RenderedWord) -> Image.Image:
        """The word as the network sees it: a picture of the word's size, mode L or RGB.

        Words wait for each other here, so that one picture's working memory is all that is ever
        taken. Raises ModelsUnavailable where loading fails, GenerationFailed where drawing does.
        """
        with self._turn:
            draw = self._network()
            try:
                with torch.inference_mode():
                    return draw(glyph)
            except WritingServiceError:
                raise
            except Exception as error:
                logger.exception("%s failed", self.name)
                raise GenerationFailed(f"{self._subject} {_why_it_failed(error)}.") from error

    def prepare(self) -> str | None:
        """Load the network now, where it can be used; what keeps it from that, as `missing` tells it."""
        if words := self.missing():
            return words
        try:
            self._network()
        except ModelsUnavailable as error:
            return self.missing() or str(error)
        return None

    def close(self) -> None:
        """Let the network go."""
        with self._turn:
            self._models.discard(self._key)

    @property
    def _subject(self) -> str:
        return f"The {self.kind} method '{self.name}'"

    def _network(self) -> Draw:
        return self._models.load(self._key, self._loaded).result()

    def _loaded(self) -> LoadedModel[Draw]:
        """On the cache's thread."""
        try:
            with self._models.journal.entry(self.name, self.model) as entry:
                place = self._source.folder()
                reader = self._load(place, self._gpu.torch_device, self._gpu.dtype)
                entry.size = memory_of(reader.networks)
        except WritingServiceError:
            raise
        except Exception as error:
            # The libraries raise anything from OSError to KeyError for files that do not fit.
            logger.exception("%s from %s failed to load", self.name, self.model)
            words = f"cannot be loaded from {self.model}: {_why_not_loaded(error)}"
            self._failure = (self._clock() + _told_for(error), words)
            raise ModelsUnavailable(f"{self._subject} {words}.") from error
        return LoadedModel(reader.draw, self.name, entry.size)


def learned_methods(
    settings: DetectorSettings,
    cache: CacheSettings,
    gpu: GPUManager,
    palette: Palette,
    hub: ModelHub | None = None,
    clock: Clock = time.monotonic,
    models: ModelCache | None = None,
) -> tuple[LearnedDetector, ...]:
    """All learned methods, whether they can be used here or not.

    `palette` has the colours of the segmentation's classes: the background's, then the word's parts'.
    """
    loads = (load_edges, load_depth, partial(load_parts, palette=palette))
    sources = detector_sources(settings, cache, hub)
    return tuple(
        LearnedDetector(source, load, gpu, clock, models)
        for source, load in zip(sources, loads, strict=True)
    )


def _told_for(error: Exception) -> float:
    return math.inf if isinstance(error, ImportError) else FAILURE_TOLD_FOR_SECONDS


def _why_not_loaded(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"its packages do not work together ({_first_line(error)}); {INSTALL_EXTRA} mends it"
    if isinstance(error, torch.OutOfMemoryError):
        return "it does not fit into the GPU's memory beside the other models"
    return f"its files do not fit together ({type(error).__name__})"


def _why_it_failed(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError):
        return "ran out of the GPU's memory; ask for a smaller picture or for another method"
    return f"failed on this word ({type(error).__name__}); ask for another method"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
