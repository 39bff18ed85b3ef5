"""What a pipeline is loaded from: its parts, and where each lies."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from writing_service.config import ModelSettings
from writing_service.diffusion.hub import INSTEAD_OF, HubModel, ModelHub, model_at
from writing_service.diffusion.weights import FOLDERS, base_reasons, class_of, model_reasons
from writing_service.errors import ModelsUnavailable
from writing_service.types import ConditioningKind

EMBEDDED = Path(__file__).parents[1] / "embedded" / "checkpoint"
"""The checkpoint that ships with the service."""


@dataclass(frozen=True)
class Part:
    """One thing to load: the base model, a VAE in place of its own, or a ControlNet.

    `role` is base, vae, controlnet or union. `kinds` are the kinds of control image it reads.
    """

    role: str
    name: str
    source: str
    model: Path | HubModel
    variant: str | None = None
    kinds: tuple[ConditioningKind, ...] = ()
    without_vae: bool = False

    def reasons(self, folder: Path) -> list[str]:
        """Why it cannot be loaded from `folder`; empty when all looks well."""
        if self.role == "base":
            return base_reasons(folder, self.variant, ["vae"] if self.without_vae else [])
        return model_reasons(folder, self.variant) or self._wrong_class(folder)

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
    if settings.controlnet_union:
        source, kinds = settings.controlnet_union, tuple(ConditioningKind)
        return (*parts, _part(settings, "union", "union ControlNet", source, kinds))
    return (*parts, *_controlnets(settings))


def controlnet_parts(
    settings: ModelSettings, sources: dict[ConditioningKind, str]
) -> tuple[Part, ...]:
    """ControlNets by kind, from other sources than the settings name."""
    return tuple(_controlnets(settings.model_copy(update={"controlnet_models": sources})))


def base_part(settings: ModelSettings, source: str | None = None) -> Part:
    """The base model, from `source` in place of the settings'."""
    changed = {"base_model": source, "variant": None, "revision": None} if source else {}
    return _base(settings.model_copy(update=changed))


def obstacles(part: Part, hub: ModelHub) -> list[str]:
    """Why the part cannot be loaded, as far as its files and the cache tell: no network."""
    if isinstance(part.model, Path):
        hint = _alternative(part.source)
        return [f"{part.name} '{part.source}': {one}{hint}" for one in part.reasons(part.model)]
    cached = hub.cached(part.model)
    if cached and not part.reasons(cached):
        return []
    obstacle = hub.obstacle(part.model)
    return [f"{part.name}: {obstacle}"] if obstacle else []


def locate(part: Part, hub: ModelHub) -> Path:
    """The part's folder, fetched if need be. Raises ModelsUnavailable with one sentence."""
    folder = part.model if isinstance(part.model, Path) else _from_hub(part, part.model, hub)
    if reasons := part.reasons(folder):
        hint = _alternative(part.source)
        message = f"The {part.name} '{part.source}' cannot be loaded: {reasons[0]}{hint}."
        raise ModelsUnavailable(message)
    return folder


def _from_hub(part: Part, model: HubModel, hub: ModelHub) -> Path:
    cached = hub.cached(model)
    return cached if cached and not part.reasons(cached) else hub.fetch(model)


def _base(settings: ModelSettings) -> Part:
    without = settings.vae is not None
    folders = tuple(name for name in FOLDERS if not (without and name == "vae"))
    model = _where(settings.base_model, settings, settings.revision, folders)
    return Part(
        "base", "base model", settings.base_model, model, settings.variant, without_vae=without
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


def _alternative(source: str) -> str:
    instead = INSTEAD_OF.get(source)
    return f"; use '{instead}' instead" if instead else ""
