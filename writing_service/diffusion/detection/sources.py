"""What the learned conditioning methods are loaded from, and what keeps them from being used.

Answered from package names and files' heads: no torch, no network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from writing_service.config import CacheSettings, DetectorSettings
from writing_service.diffusion.checkpoints.hub import HubModel, HuggingFaceHub, ModelHub, model_at
from writing_service.diffusion.checkpoints.weights import family_of, model_reasons
from writing_service.errors import ModelsUnavailable
from writing_service.types import ConditioningKind

HED_FILE = "ControlNetHED.pth"
"""The network's weights, as controlnet-aux names them."""

INSTALL_EXTRA = "pip install 'writing-service[gpu]'"

_OLD_FORMAT = "pytorch_model.bin"
"""Some detectors are published only so. transformers lets torch's restricted reader read it, which
takes tensors and refuses code."""

_PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")

Check = Callable[[Path], list[str]]
"""Why a folder does not hold the network, from its files' names and heads; empty when it does."""


@dataclass(frozen=True)
class DetectorSource:
    """One learned method and where its network lies.

    `source` is a folder or a hub id; None switches the method off. `packages` are those that the
    service does not always have. `download` are the arguments of `hf download` after the id.
    """

    name: str
    kind: ConditioningKind
    source: str | None
    hub: ModelHub
    check: Check
    packages: tuple[str, ...] = ()
    download: str = ""

    @property
    def key(self) -> str:
        """The setting that names the source."""
        return f"ai_generation.detectors.{self.name}"

    def missing(self) -> str | None:
        """What the method needs, as the end of a sentence; None when everything is at hand."""
        if self.source is None:
            return f"is switched off ({self.key} is null)"
        if any(find_spec(package) is None for package in self.packages):
            return f"needs the gpu extra: {INSTALL_EXTRA}"
        place = model_at(self.source)
        return self._lacking(place) if isinstance(place, HubModel) else self._wrong(place)

    def folder(self) -> Path:
        """Where the network's files are. Raises ModelsUnavailable when they are nowhere."""
        place = model_at(self.source or "")
        found = self.hub.cached(place) if isinstance(place, HubModel) else place
        if found is None:
            raise ModelsUnavailable(f"The {self.kind} method '{self.name}' {self.missing()}.")
        return found

    def _wrong(self, folder: Path) -> str | None:
        reasons = self.check(folder)
        return f"cannot be used: {reasons[0]} ({self.key} names it)" if reasons else None

    def _lacking(self, model: HubModel) -> str | None:
        """Never fetched here: nobody expects half a gigabyte in the middle of a request."""
        cached = self.hub.cached(model)
        reasons = self.check(cached) if cached else []
        if cached and not reasons:
            return None
        found = f" (in the cache: {reasons[0]})" if reasons else ""
        return (
            f"needs the weights of {model.id}{found}: run 'hf download {model.id}{self.download}' "
            f"or set {self.key} to a folder that holds them"
        )


def detector_sources(
    settings: DetectorSettings, cache: CacheSettings, hub: ModelHub | None = None
) -> tuple[DetectorSource, DetectorSource, DetectorSource]:
    """Of edges, depth and segmentation. `hub` None is the Hugging Face hub."""
    hub = hub or HuggingFaceHub(cache.huggingface)
    into = f" --cache-dir {cache.huggingface}" if cache.huggingface else ""
    return (
        DetectorSource(
            "hed_edge_detection",
            ConditioningKind.CANNY,
            settings.hed_edge_detection,
            hub,
            _hed_reasons,
            ("controlnet_aux", "torchvision"),
            f" {HED_FILE}{into}",
        ),
        DetectorSource(
            "ai_depth_estimation",
            ConditioningKind.DEPTH,
            settings.ai_depth_estimation,
            hub,
            partial(_network_reasons, families=("dpt", "depth_anything")),
            download=into,
        ),
        DetectorSource(
            "ai_segmentation",
            ConditioningKind.SEGMENTATION,
            settings.ai_segmentation,
            hub,
            partial(_network_reasons, families=("sam",)),
            download=into,
        ),
    )


def _hed_reasons(folder: Path) -> list[str]:
    path = folder / HED_FILE
    return [] if path.is_file() else [f"there is no {path}"]


def _network_reasons(folder: Path, families: tuple[str, ...]) -> list[str]:
    """`families` are names that transformers gives to architectures."""
    family = family_of(folder)
    reasons = model_reasons(folder, None)
    if reasons and not (family and (folder / _OLD_FORMAT).is_file()):
        return reasons
    if family not in families:
        return [f"{folder} holds a model of the family '{family}', not {' or '.join(families)}"]
    if not any((folder / name).is_file() for name in _PREPROCESSORS):
        return [f"there is no {folder / _PREPROCESSORS[0]}"]
    return []
