"""Where each part lies: at hand, or fetched first; looked at before it is loaded."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from writing_service.diffusion.checkpoints.capacity import Machine, disk_shortage, gib
from writing_service.diffusion.checkpoints.hub import HubModel, ModelHub
from writing_service.diffusion.checkpoints.known_models import INSTEAD_OF, SDXL, alternatives
from writing_service.diffusion.checkpoints.parts import Part
from writing_service.diffusion.checkpoints.weights import FOLDERS, element_count, misfit, refusal
from writing_service.errors import ModelNotFound, ModelsUnavailable

Tell = Callable[[str], None]
"""Hears what is being fetched."""


@dataclass(frozen=True)
class Located:
    """A part, the folder or file that holds it, and of a single file the folder of its configuration."""

    part: Part
    place: Path
    config: Path | None = None

    @property
    def sizes(self) -> list[int]:
        """Of each of its networks, how many numbers its weights are."""
        return [element_count(one, self.part.variant) for one in self.part.networks(self.place)]


def obstacles(parts: Sequence[Part], hub: ModelHub) -> list[str]:
    """Why the parts cannot be loaded, as far as their files and the cache tell: no network."""
    found = [one for part in parts for one in _obstacles(part, hub)]
    return found or _misfits({part: place for part in parts if (place := at_hand(part, hub))})


def at_hand(part: Part, hub: ModelHub) -> Path | None:
    """Where the part lies and looks whole, without fetching anything; None when it does not."""
    place = part.model if isinstance(part.model, Path) else hub.cached(part.model)
    return place if place and not part.reasons(place) else None


def locate(
    parts: Sequence[Part], hub: ModelHub, machine: Machine, tell: Tell = lambda _: None
) -> list[Located]:
    """All parts, fetched if need be and if the disk takes them. Raises ModelsUnavailable."""
    absent = {part: size for part in parts if (size := _missing_bytes(part, hub)) is not None}
    # For all at once: a disk that fills up at the last part would be a long wait for nothing.
    needed = sum(absent.values())
    if needed and (shortage := disk_shortage(needed, hub.folder, machine)):
        raise ModelsUnavailable(shortage)
    for number, (part, size) in enumerate(absent.items(), 1):
        tell(f"{part.name}: fetching {gib(size)}, {number}/{len(absent)}")
        _fetch(part, hub)
    located = [_located(part, hub) for part in parts]
    if misfits := _misfits({one.part: one.place for one in located}):
        raise ModelsUnavailable(f"{misfits[0]}.")
    return located


def repair(part: Part, hub: ModelHub) -> bool:
    """Fetch anew what the hub's cache holds damaged; False where nothing is. A user's own files stay as they are.

    Raises ModelsUnavailable.
    """
    if isinstance(part.model, Path) or not hub.discard_damaged(part.model):
        return False
    with _advised(part):
        hub.fetch(part.model)
    return True


def known_to_work(part: Part) -> str:
    """The end of a sentence that names models for the part's place; "" where none are known."""
    others = alternatives(part.role, part.kinds, part.source)
    return f"; known to work: {', '.join(others)}" if others else ""


def _obstacles(part: Part, hub: ModelHub) -> list[str]:
    if isinstance(part.model, Path):
        hint = _instead(part)
        return [f"{part.name} '{part.source}': {one}{hint}" for one in part.reasons(part.model)]
    if at_hand(part, hub):
        return []
    obstacle = _refused(part.model) or hub.obstacle(part.model)
    return [f"{part.name}: {obstacle}"] if obstacle else []


def _misfits(places: Mapping[Part, Path]) -> list[str]:
    """Of networks and LoRAs that were made for another family than the base model's."""
    bases = [place / "unet" for part, place in places.items() if part.role == "base"]
    if not bases or not bases[0].is_dir():
        return []
    return [
        f"The {part.name} '{part.source}' {why}{known_to_work(part)}"
        for part, place in places.items()
        if part.role in ("controlnet", "union", "lora") and (why := misfit(place, bases[0]))
    ]


def _missing_bytes(part: Part, hub: ModelHub) -> int | None:
    """Of what must be fetched; None where nothing need be."""
    if isinstance(part.model, Path) or at_hand(part, hub):
        return None
    with _advised(part):
        return hub.missing_bytes(part.model)


def _fetch(part: Part, hub: ModelHub) -> None:
    assert isinstance(part.model, HubModel)
    with _advised(part):
        place = hub.fetch(part.model)
    if part.reasons(place):
        repair(part, hub)


def _located(part: Part, hub: ModelHub) -> Located:
    place = part.model if isinstance(part.model, Path) else hub.cached(part.model)
    reasons = part.reasons(place) if place else ["it is not in the cache"]
    if place is None or reasons:
        message = f"The {part.name} '{part.source}' cannot be loaded: {reasons[0]}{_instead(part)}."
        raise ModelsUnavailable(message)
    return Located(part, place, _config(part, place, hub) if _is_single(part, place) else None)


def _is_single(part: Part, place: Path) -> bool:
    return part.role != "lora" and place.is_file()


def _config(part: Part, file: Path, hub: ModelHub) -> Path:
    """The folder of a single file's configuration: as the settings say, beside it, or a known model's."""
    name = "model_index.json" if part.role == "base" else "config.json"
    if part.config is None and (file.parent / name).is_file():
        return file.parent
    model = part.config or _usual_config(part)
    if isinstance(model, Path):
        return model
    found = hub.cached(model)
    if found and (found / name).is_file():
        return found
    try:
        return hub.fetch(model)
    except ModelsUnavailable as error:
        key = "set ai_generation.models.base_config to a folder that holds one"
        way_out = key if part.role == "base" else f"put its {name} beside it"
        raise ModelsUnavailable(
            f"The {part.name} '{part.source}' is a single file without a configuration, and that of "
            f"'{model.id}' cannot be had ({str(error).rstrip('.')}): {way_out}."
        ) from None


def _usual_config(part: Part) -> HubModel:
    """Of a model that is built as those in single files are."""
    if part.role == "base":
        return HubModel(SDXL, folders=FOLDERS, weights=False)
    return HubModel(alternatives(part.role, part.kinds)[0], weights=False)


@contextmanager
def _advised(part: Part) -> Generator[None]:
    """A model that does not exist: name those that do. Refuses pickle files before they are fetched."""
    if isinstance(part.model, HubModel) and (refused := _refused(part.model)):
        raise ModelsUnavailable(f"The {part.name} '{part.source}' cannot be loaded: {refused}.")
    try:
        yield
    except ModelNotFound as error:
        advice = "" if part.source in INSTEAD_OF else known_to_work(part)
        raise ModelNotFound(f"{str(error).rstrip('.')}{advice}.") from None


def _refused(model: HubModel) -> str | None:
    return None if model.file is None else refusal(Path(model.file))


def _instead(part: Part) -> str:
    instead = INSTEAD_OF.get(part.source)
    return f"; use '{instead}' instead" if instead else ""
