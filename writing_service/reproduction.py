"""A picture made again from its file alone: what the file tells, the request for it, and how alike the two are."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from writing_service.api.schemas import checked_request
from writing_service.encoding import PARAMETERS
from writing_service.errors import InvalidRequest
from writing_service.parameters import MADE_BY, Parameters, picture_hash, read_parameters
from writing_service.saving import reason
from writing_service.types import ConditioningKind, WritingRequest

_CONTROL = re.compile(r"(\S+) (\S+)(?: from (\S+) to (\S+))?")
_WEIGHTS = re.compile(r"\S+ at (.*)")
_OF_THE_PICTURE_ALONE = frozenset({"Picture hash", "Legibility", "Legibility attempts"})
"""They follow from the others."""


class Likeness(StrEnum):
    """How a file made again is like the first: the same bytes; the same pixels, in other bytes; not the same."""

    BYTES = "bytes"
    PIXELS = "pixels"
    NONE = "none"


@dataclass(frozen=True)
class Recorded:
    """A file and what it tells of itself. `index` is the picture's place in its request."""

    file: bytes
    hash: str
    parameters: Parameters
    request: WritingRequest
    index: int
    settings: tuple[str, ...]
    """Overrides under which the request gives the picture."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences: what is already known to stand in the way."""
        return tuple(_notes(self))


@dataclass(frozen=True)
class Comparison:
    """A picture made again, against the file. `differences` are sentences that say why it is not the same."""

    likeness: Likeness
    differences: tuple[str, ...] = ()


def read_recorded(path: Path) -> Recorded:
    """Raises InvalidRequest for what is no picture, tells nothing, or was not made by this service."""
    try:
        file = path.read_bytes()
        with Image.open(io.BytesIO(file)) as image:
            image.load()
            text, found = image.info.get(PARAMETERS), picture_hash(image)
    except UnidentifiedImageError:
        raise InvalidRequest(f"'{path}' is no picture.") from None
    except (OSError, SyntaxError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise InvalidRequest(f"'{path}' cannot be read: {why}.") from None
    if not isinstance(text, str):
        raise InvalidRequest(
            f"'{path}' does not tell how it was made; only PNGs of this service do, and editors may drop it."
        )
    try:
        return _recorded(file, found, read_parameters(text))
    except (InvalidRequest, KeyError, ValueError) as error:
        why = str(error) if isinstance(error, InvalidRequest) else "its parameters were changed"
        raise InvalidRequest(f"'{path}' cannot be made again: {why.rstrip('.')}.") from None


def compare(recorded: Recorded, again: bytes) -> Comparison:
    """`again` is the PNG that the request gave."""
    if again == recorded.file:
        return Comparison(Likeness.BYTES)
    with Image.open(io.BytesIO(again)) as image:
        now, found = read_parameters(image.info[PARAMETERS]), picture_hash(image)
    if found == recorded.hash:
        return Comparison(Likeness.PIXELS)
    return Comparison(Likeness.NONE, tuple(_differences(recorded, now)))


def _recorded(file: bytes, found: str, parameters: Parameters) -> Recorded:
    values = parameters.values
    index = int(values.get("Batch pos", 0))
    return Recorded(file, found, parameters, _request(values), index, tuple(_settings(values)))


def _request(values: Mapping[str, str]) -> WritingRequest:
    """Raises InvalidRequest, KeyError, ValueError."""
    width, height = values["Size"].split("x")
    controls = dict(_controls(values))
    weights = dict.fromkeys(ConditioningKind, "0") | {
        kind: one[2] for kind, one in controls.items()
    }
    asked = {
        "word": values["Word"],
        "translation": values.get("Translation", ""),
        "hint_writing": values.get("Hint", ""),
        "language": values.get("Language", "auto"),
        "style": values["Style"],
        "width": width,
        "height": height,
        "num_inference_steps": values["Steps"],
        "guidance_scale": values["CFG scale"],
        "seed": values.get("Scene seed", values["Seed"]),
        "batch_size": values.get("Batch size", 1),
        "conditioning_weights": weights | _first_weights(values),
        "conditioning_methods": {kind: one[1] for kind, one in controls.items()},
        "conditioning_windows": {
            kind: one.groups()[2:] for kind, one in controls.items() if one[3]
        },
        "pictogram": values.get("Pictogram asked", "auto"),
        "text_direction": values.get("Direction", "auto"),
        "preset": values.get("Preset"),
    }
    return checked_request(asked)


def _controls(values: Mapping[str, str]) -> Iterator[tuple[ConditioningKind, re.Match[str]]]:
    for kind in ConditioningKind:
        if told := _CONTROL.fullmatch(values.get(f"ControlNet {kind}", "")):
            yield kind, told


def _first_weights(values: Mapping[str, str]) -> dict[ConditioningKind, str]:
    """Those of the first attempt, from which the others followed."""
    told = _WEIGHTS.fullmatch(values.get("Legibility attempts", "").partition("; ")[0])
    words = told[1].split() if told else []
    return {
        ConditioningKind(kind): weight for kind, weight in zip(words[::2], words[1::2], strict=True)
    }


def _settings(values: Mapping[str, str]) -> Iterator[str]:
    """What a request cannot ask for. Raises KeyError, ValueError."""
    wanted, most, factor = (float(one) for one in values["Legibility wanted"].split(" ")[::2])
    yield f"ai_generation.legibility.min_score={wanted}"
    yield f"ai_generation.legibility.max_attempts={_attempts(values, wanted, int(most))}"
    yield f"ai_generation.legibility.weight_factor={factor}"
    if "Preset" not in values:
        yield "ai_generation.generation.preset=null"


def _attempts(values: Mapping[str, str], wanted: float, most: int) -> int:
    """Fewer than were allowed, where a deadline ended them early; of several pictures nothing tells that."""
    made = values.get("Legibility attempts", "").count("; ") + 1
    cut_short = float(values["Legibility"]) < wanted and "Batch size" not in values
    return made if cut_short else most


def _notes(recorded: Recorded) -> Iterator[str]:
    made_by = recorded.parameters.values["Version"]
    if made_by != MADE_BY:
        yield f"It was made by {made_by}, and this is {MADE_BY}: the bytes may differ."
    if recorded.hash != recorded.parameters.values.get("Picture hash"):
        yield "Its pixels were changed after it was made; what is made again is the picture as it was."


def _differences(recorded: Recorded, now: Parameters) -> Iterator[str]:
    then = recorded.parameters
    if then.prompt != now.prompt or then.negative_prompt != now.negative_prompt:
        yield f"The prompt was '{then.prompt}' and is '{now.prompt}' here."
    keys = dict.fromkeys([*then.values, *now.values])
    for key in (key for key in keys if key not in _OF_THE_PICTURE_ALONE):
        before, after = then.values.get(key), now.values.get(key)
        if before != after:
            yield f"{key} was {before or 'not told'} and is {after or 'not told'} here."
    if now.values["Picture hash"] != then.values.get("Picture hash"):
        yield "The same request gives other pixels here: another device, number format or library drew it."
