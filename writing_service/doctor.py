"""The doctor: what is installed, what it would load, and what is missing. Imports no torch: it answers at once."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import pynvml

from writing_service import __version__
from writing_service.config import FontSettings, GPUSettings, Settings, config_folder
from writing_service.diffusion.checkpoints.capacity import (
    GIB,
    Demand,
    Machine,
    disk_shortage,
    gib,
    memory_shortage,
)
from writing_service.diffusion.checkpoints.hub import HubModel, HuggingFaceHub, ModelHub
from writing_service.diffusion.checkpoints.known_models import known_bytes
from writing_service.diffusion.checkpoints.locating import Located, at_hand, obstacles
from writing_service.diffusion.checkpoints.parts import Part, parts_of
from writing_service.diffusion.detection.sources import (
    INSTALL_EXTRA,
    DetectorSource,
    detector_sources,
)
from writing_service.errors import ConfigurationError, ModelsUnavailable
from writing_service.legibility.reading import READERS
from writing_service.rendering.fonts import font_library
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Box, Size

_PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "peft",
    "safetensors",
    "huggingface-hub",
    "fastapi",
    "pillow",
    "uharfbuzz",
)
_GPU_PACKAGES = ("xformers", "torchvision", "controlnet_aux")
_SAMPLE_WORDS = ("学习", "한글", "سلام", "हिन्दी", "ไทย")
_OF_MODELS = (
    "writing-service serve pipeline=embedded   # the shipped checkpoint, until the models are there"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. The service draws without what is `optional`.

    `remedy` is what to type where it fails.
    """

    what: str
    good: bool
    detail: str
    optional: bool = False
    remedy: str = ""

    @property
    def verdict(self) -> str:
        """One word."""
        return "ok" if self.good else "absent" if self.optional else "MISSING"

    @property
    def failed(self) -> bool:
        """Whether the service could not draw."""
        return not (self.good or self.optional)


@dataclass(frozen=True)
class Device:
    """What would be drawn on. `free` are bytes of its own memory, None on the CPU.

    `bytes_a_number` is the size of a weight in the number format that it would compute in.
    """

    told: str
    bytes_a_number: int
    free: int | None = None


def examine(settings: Settings, machine: Machine | None = None) -> Iterator[Finding]:
    """Everything that the service needs, one after the other."""
    drawing, machine = settings.ai_generation, machine or Machine()
    yield Finding("service", True, f"{__version__}, settings from {config_folder()}")
    yield Finding("python", True, platform.python_version())
    for package in _PACKAGES:
        yield _try(package, version, package, remedy=f"pip install {package}")
    yield _try("opencv", _opencv, remedy="pip install opencv-python-headless")
    yield _gpu_packages()
    automatic = "writing-service doctor ai_generation.gpu.device=auto"
    yield _try("device", lambda: _device(drawing.gpu).told, remedy=automatic)
    hub, parts = HuggingFaceHub(drawing.cache.huggingface), parts_of(drawing.models)
    for part in parts:
        yield _try(part.name, _model, part, hub, remedy=_OF_MODELS)
    yield _try("fit together", _fit, parts, hub, remedy=_OF_MODELS)
    yield _try("disk", _disk, parts, hub, machine, remedy="export HF_HOME=/a/larger/disk")
    smaller = "embedded" if drawing.models.controlnet_union else "sdxl_union"
    remedy = f"writing-service doctor pipeline={smaller}"
    yield _try("memory", _memory, parts, hub, drawing.gpu, machine, remedy=remedy)
    for source in detector_sources(drawing.detectors, drawing.cache, hub):
        yield _detector(source)
    for reader in READERS:
        missing = reader.missing()
        yield Finding(f"OCR, {reader.name}", missing is None, missing or "can read", optional=True)
    yield _try("fonts", _fonts, drawing.fonts)
    yield _try("pictograms", lambda: f"{len(PictogramLibrary().names())}")


def advice(findings: Sequence[Finding], overrides: Sequence[str]) -> list[str]:
    """What to type next: what mends each failure, else the start with the same settings."""
    failed = [one for one in findings if one.failed]
    remedies = [one.remedy for one in failed if one.remedy]
    return list(dict.fromkeys(remedies)) if failed else [_start(overrides)]


def _start(overrides: Sequence[str]) -> str:
    return " ".join(["writing-service", "serve", *overrides])


def _try(what: str, check: Callable[..., str], *arguments: object, remedy: str = "") -> Finding:
    """The check's own words, or those of whatever stopped it: nothing may end the report here."""
    try:
        return Finding(what, True, check(*arguments))
    except Exception as error:
        words = str(error).partition("\n")[0] or type(error).__name__
        return Finding(what, False, words, remedy=remedy)


def _opencv() -> str:
    """Imported, for it fails where system libraries are missing."""
    import cv2

    return cv2.__version__


def _gpu_packages() -> Finding:
    found = [name for name in _GPU_PACKAGES if find_spec(name)]
    missing = [name for name in _GPU_PACKAGES if name not in found]
    told = f"{', '.join(missing)}: only useful with CUDA ({INSTALL_EXTRA})"
    return Finding("gpu extra", not missing, told if missing else ", ".join(found), optional=True)


def _device(gpu: GPUSettings) -> Device:
    """Asks the driver: torch takes seconds to import. Raises where CUDA is asked for in vain."""
    if gpu.device == "cpu":
        return _cpu(gpu)
    try:
        return _cuda(int(gpu.device.partition(":")[2] or 0), gpu)
    except pynvml.NVMLError as error:
        if gpu.device == "auto":
            return _cpu(gpu, ", no CUDA device")
        raise ConfigurationError(
            f"{gpu.device} is asked for, but there is none ({error})"
        ) from None


def _cpu(gpu: GPUSettings, why: str = "") -> Device:
    memory = psutil.virtual_memory()
    auto = "bfloat16" if _fast_bfloat16() else "float32"
    dtype = auto if gpu.dtype == "auto" else gpu.dtype
    told = (
        f"CPU, {os.cpu_count()} cores{why}, {gib(memory.total)} of main memory, "
        f"{gib(memory.available)} free, computes in {dtype}"
    )
    return Device(told, 4 if dtype == "float32" else 2)


def _fast_bfloat16() -> bool:
    """As torch will find it; where Linux does not tell, float32 is assumed."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_tile" in flags or "avx512_bf16" in flags


def _cuda(index: int, gpu: GPUSettings) -> Device:
    """Raises NVMLError without a driver, ConfigurationError where torch cannot use the card."""
    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        capability = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        name = pynvml.nvmlDeviceGetName(handle)
    finally:
        pynvml.nvmlShutdown()
    if version("torch").endswith("+cpu"):
        raise ConfigurationError(
            f"{name} is there, but this torch is built for the CPU: "
            "pip install -r requirements_gpu.txt"
        )
    native = "bfloat16" if capability[0] >= 8 else "float16"
    told = (
        f"{name}, {int(memory.total) / GIB:.0f} GiB, {int(memory.free) / GIB:.0f} free, compute capability "
        f"{capability[0]}.{capability[1]}, computes in {native if gpu.dtype == 'auto' else gpu.dtype}"
    )
    return Device(told, 4 if gpu.dtype == "float32" else 2, int(memory.free))


def _model(part: Part, hub: ModelHub) -> str:
    """Where it lies, looked at as the service would before it loads it. Raises ModelsUnavailable."""
    if reasons := obstacles([part], hub):
        raise ModelsUnavailable("; ".join(reasons))
    where = str(part.model) if isinstance(part.model, Path) else part.source
    place = at_hand(part, hub)
    if place is None:
        return f"{where}, to be fetched at first use{_about(_download(part))}"
    return f"{where}, {_size(part, place)} of weights, heads checked"


def _size(part: Part, place: Path) -> str:
    sizes = sum(Located(part, place).sizes)
    return f"{sizes / 1e6:.1f} million" if sizes < 1e9 else f"{sizes / 1e9:.2f} billion"


def _fit(parts: Sequence[Part], hub: ModelHub) -> str:
    """Raises ModelsUnavailable where a network was made for another family of models."""
    present = [part for part in parts if at_hand(part, hub)]
    if misfits := obstacles(present, hub):
        raise ModelsUnavailable("; ".join(misfits))
    return f"{len(present)} of {len(parts)} parts are here to be compared"


def _disk(parts: Sequence[Part], hub: ModelHub, machine: Machine) -> str:
    """Raises ModelsUnavailable."""
    absent = [part for part in parts if not at_hand(part, hub) and isinstance(part.model, HubModel)]
    unknown = [part.source for part in absent if _download(part) is None]
    needed = sum(_download(part) or 0 for part in absent)
    if shortage := disk_shortage(needed, hub.folder, machine):
        raise ModelsUnavailable(shortage)
    free = f"{gib(machine.free_disk(hub.folder.absolute()))} free in {hub.folder}"
    if not absent:
        return f"nothing to fetch, {free}"
    beside = f" and {', '.join(unknown)}, of unknown size" if unknown else ""
    return f"{gib(needed)} to fetch{beside}, {free}"


def _memory(parts: Sequence[Part], hub: ModelHub, gpu: GPUSettings, machine: Machine) -> str:
    """Of the weights alone: pictures need some beside them. Raises ModelsUnavailable."""
    device = _device(gpu)
    sizes = [size for part in parts if part.role != "lora" for size in _weights(part, hub)]
    demand = Demand(sum(sizes) * device.bytes_a_number, max(sizes) * device.bytes_a_number)
    offloaded = bool(gpu.enable_cpu_offload or gpu.enable_sequential_cpu_offload)
    if shortage := memory_shortage(demand, machine, device.free, offloaded):
        raise ModelsUnavailable(shortage)
    free = f"{gib(machine.free_memory())} of main memory free"
    on_device = "" if device.free is None else f", {gib(device.free)} of the GPU's"
    return f"weights take {gib(demand.total)}; {free}{on_device}"


def _weights(part: Part, hub: ModelHub) -> list[int]:
    """Numbers in the part's networks; of what is still to be fetched by the size of its fp16 files."""
    place = at_hand(part, hub)
    return Located(part, place).sizes if place else [(_download(part) or 0) // 2]


def _download(part: Part) -> int | None:
    """Bytes, about; None where they are not known."""
    return known_bytes(part.model.id) if isinstance(part.model, HubModel) else None


def _about(size: int | None) -> str:
    return "" if size is None else f", about {gib(size)}"


def _detector(source: DetectorSource) -> Finding:
    """A learned method: chance leaves it out where it cannot be used."""
    missing = source.missing()
    return Finding(source.name, missing is None, missing or str(source.source), optional=True)


def _fonts(settings: FontSettings) -> str:
    renderer = WordRenderer(font_library(settings))
    for word in _SAMPLE_WORDS:
        renderer.render(word, "auto", Size(64, 64), Box(8, 8, 48, 48))
    return f"draw {' '.join(_SAMPLE_WORDS)}"
