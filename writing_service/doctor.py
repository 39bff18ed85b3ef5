"""The doctor: what is installed, what it would load, and what is missing. Imports no torch: it answers at once."""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pynvml

from writing_service import __version__
from writing_service.config import FontSettings, GPUSettings, Settings, config_folder
from writing_service.diffusion.detector_sources import DetectorSource, detector_sources
from writing_service.diffusion.hub import HuggingFaceHub, ModelHub
from writing_service.diffusion.parts import Part, obstacles, parts_of
from writing_service.errors import ConfigurationError, ModelsUnavailable
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Box, Size

_PACKAGES = ("torch", "diffusers", "transformers", "fastapi", "pillow", "uharfbuzz")
_SAMPLE_WORDS = ("学习", "한글", "سلام", "हिन्दी", "ไทย")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. The service draws without what is `optional`."""

    what: str
    good: bool
    detail: str
    optional: bool = False

    @property
    def verdict(self) -> str:
        """One word."""
        return "ok" if self.good else "absent" if self.optional else "MISSING"

    @property
    def failed(self) -> bool:
        """Whether the service could not draw."""
        return not (self.good or self.optional)


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything that the service needs, one after the other."""
    drawing = settings.ai_generation
    yield Finding("service", True, f"{__version__}, settings from {config_folder()}")
    yield Finding("python", True, platform.python_version())
    for package in _PACKAGES:
        yield _try(package, version, package)
    yield _try("opencv", _opencv)
    yield _try("device", _device, drawing.gpu)
    hub = HuggingFaceHub(drawing.cache.huggingface)
    for part in parts_of(drawing.models):
        yield _try(part.name, _model, part, hub)
    for source in detector_sources(drawing.detectors, drawing.cache, hub):
        yield _detector(source)
    yield _try("fonts", _fonts, drawing.fonts)
    yield _try("pictograms", lambda: f"{len(PictogramLibrary().names())}")


def _try(what: str, check: Callable[..., str], *arguments: object) -> Finding:
    """The check's own words, or those of whatever stopped it: nothing may end the report here."""
    try:
        return Finding(what, True, check(*arguments))
    except Exception as error:
        words = str(error).partition("\n")[0] or type(error).__name__
        return Finding(what, False, words)


def _opencv() -> str:
    """Imported, for it fails where system libraries are missing."""
    import cv2

    return cv2.__version__


def _device(gpu: GPUSettings) -> str:
    """Asks the driver: torch takes seconds to import. Raises where CUDA is asked for in vain."""
    if gpu.device == "cpu":
        return f"CPU, {os.cpu_count()} cores"
    try:
        return _cuda_name(int(gpu.device.partition(":")[2] or 0))
    except pynvml.NVMLError as error:
        if gpu.device == "auto":
            return f"CPU, {os.cpu_count()} cores, no CUDA device"
        raise ConfigurationError(
            f"{gpu.device} is asked for, but there is none ({error})"
        ) from None


def _cuda_name(index: int) -> str:
    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
        return f"{pynvml.nvmlDeviceGetName(handle)}, {memory / 2**30:.0f} GiB"
    finally:
        pynvml.nvmlShutdown()


def _model(part: Part, hub: ModelHub) -> str:
    """Where it lies, looked at as the service would before it loads it. Raises ModelsUnavailable."""
    if reasons := obstacles(part, hub):
        raise ModelsUnavailable("; ".join(reasons))
    if isinstance(part.model, Path):
        return str(part.model)
    state = "in the cache" if hub.cached(part.model) else "to be fetched at first use"
    return f"{part.source}, {state}"


def _detector(source: DetectorSource) -> Finding:
    """A learned method: chance leaves it out where it cannot be used."""
    missing = source.missing()
    return Finding(source.name, missing is None, missing or str(source.source), optional=True)


def _fonts(settings: FontSettings) -> str:
    folder = Path(settings.folder) if settings.folder else None
    renderer = WordRenderer(FontLibrary(folder))
    for word in _SAMPLE_WORDS:
        renderer.render(word, "auto", Size(64, 64), Box(8, 8, 48, 48))
    return f"draw {' '.join(_SAMPLE_WORDS)}"
