"""What a pipeline is loaded from: its parts, by the settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from writing_service.config import LoRASettings, ModelSettings
from writing_service.diffusion.checkpoints.hub import HubModel, model_at
from writing_service.diffusion.checkpoints.weights import (
    FOLDERS,
    NETWORKS,
    base_file_reasons,
    base_reasons,
    class_of,
    file_reasons,
    lora_reasons,
    model_reasons,
)
from writing_service.types import ConditioningKind

EMBEDDED = Path(__file__).parents[2] / "embedded" / "checkpoint"
"""The checkpoint that ships with the service."""

LORA_FILE = "pytorch_lora_weights.safetensors"
"""As diffusers names the weights of a LoRA."""


@dataclass(frozen=True)
class Part:
    """One thing to load: the base model, a VAE in place of its own, a ControlNet, or a LoRA.

    `role` is base, vae, controlnet, union or lora. `kinds` are the kinds of control image it reads.
    `model` leads to a folder or to a single file; `config` to the configuration of the latter, None where
    it is to be looked for. `scale` is that of a LoRA.
    """

    role: str
    name: str
    source: str
    model: Path | HubModel
    variant: str | None = None
    kinds: tuple[ConditioningKind, ...] = ()
    without_vae: bool = False
    config: Path | HubModel | None = None
    scale: float = 1.0

    def reasons(self, place: Path) -> list[str]:
        """Why it cannot be loaded from `place`; empty when all looks well."""
        if self.role == "lora":
            return lora_reasons(place)
        if place.is_file() or place.suffix == ".safetensors":
            vae = not self.without_vae
            return base_file_reasons(place, vae) if self.role == "base" else file_reasons(place)
        if self.role == "base":
            return base_reasons(place, self.variant, ["vae"] if self.without_vae else [])
        return model_reasons(place, self.variant) or self._wrong_class(place)

    def networks(self, place: Path) -> list[Path]:
        """The folders, or the file, of its weights."""
        if self.role != "base" or place.is_file():
            return [place]
        return [place / name for name in NETWORKS if not (self.without_vae and name == "vae")]

    def _wrong_class(self, folder: Path) -> list[str]:
        found = class_of(folder)
        if self.role == "vae":
            fits = "Autoencoder" in found
        else:
            fits = "ControlNet" in found and ("Union" in found) == (self.role == "union")
        return [] if fits or not found else [f"{folder} holds a {found}, which is no {self.name}"]


def parts_of(settings: ModelSettings) -> tuple[Part, ...]:
    """In the order in which they are loaded."""
    parts = [_base(settings)]
    if settings.vae:
        parts.append(_part(settings, "vae", "VAE", settings.vae))
    parts += [_lora(lora, settings) for lora in settings.loras]
    if settings.controlnet_union:
        source, kinds = settings.controlnet_union, tuple(ConditioningKind)
        return (*parts, _part(settings, "union", "union ControlNet", source, kinds))
    return (*parts, *_controlnets(settings))


def controlnet_parts(
    settings: ModelSettings, sources: dict[ConditioningKind, str]
) -> tuple[Part, ...]:
    """ControlNets by kind, from other sources than the settings name."""
    return tuple(_controlnets(settings.model_copy(update={"controlnet_models": sources})))


def base_parts(settings: ModelSettings, source: str | None = None) -> tuple[Part, ...]:
    """The base model, its VAE and LoRAs; from `source` in place of the settings'."""
    changed = {"base_model": source, "variant": None, "revision": None} if source else {}
    whole = parts_of(settings.model_copy(update=changed))
    return tuple(part for part in whole if not part.kinds)


def _base(settings: ModelSettings) -> Part:
    without = settings.vae is not None
    folders = tuple(name for name in FOLDERS if not (without and name == "vae"))
    model = _where(settings.base_model, settings, settings.revision, folders)
    config = settings.base_config and model_at(settings.base_config, folders=FOLDERS)
    if isinstance(config, HubModel):
        config = HubModel(config.id, config.revision, folders=FOLDERS, weights=False)
    return Part(
        "base",
        "base model",
        settings.base_model,
        model,
        settings.variant,
        without_vae=without,
        config=config or None,
    )


def _controlnets(settings: ModelSettings) -> Iterable[Part]:
    """In the kinds' order; with `shared_controlnet`, each source once for all its kinds."""
    chosen = {
        kind: settings.controlnet_models[kind]
        for kind in ConditioningKind
        if kind in settings.controlnet_models
    }
    if not settings.shared_controlnet:
        return [
            _part(settings, "controlnet", f"{kind} ControlNet", source, (kind,))
            for kind, source in chosen.items()
        ]
    kinds_by_source = {
        source: tuple(kind for kind in chosen if chosen[kind] == source)
        for source in chosen.values()
    }
    return [
        _part(settings, "controlnet", f"{'+'.join(kinds)} ControlNet", source, kinds)
        for source, kinds in kinds_by_source.items()
    ]


def _lora(lora: LoRASettings, settings: ModelSettings) -> Part:
    model = _where(lora.source, settings)
    wanted = lora.weight_name or LORA_FILE
    if isinstance(model, HubModel):
        file = Path(model.file or wanted)
        model = HubModel(model.id, model.revision, folders=(), file=str(file))
    else:
        file = model = model if model.suffix and not model.is_dir() else model / wanted
    return Part("lora", f"LoRA {file.stem}", lora.source, model, scale=lora.scale)


def _part(
    settings: ModelSettings,
    role: str,
    name: str,
    source: str,
    kinds: tuple[ConditioningKind, ...] = (),
) -> Part:
    return Part(role, name, source, _where(source, settings), settings.variant, kinds)


def _where(
    source: str,
    settings: ModelSettings,
    revision: str | None = None,
    folders: tuple[str, ...] = ("",),
) -> Path | HubModel:
    """`model_at`, with the service's own words for places."""
    if source == "embedded":
        return EMBEDDED
    if source.startswith("./"):
        base = _where(settings.base_model, settings)
        return (base if isinstance(base, Path) else Path(settings.base_model)) / source
    return model_at(source, revision, settings.variant, folders)
