"""What a picture was made from, as text in its file: written here, and read again.

The form is that of AUTOMATIC1111's web UI, which Stable Diffusion tools read: the prompt; `Negative prompt: ...`; one
line of `Key: value` pairs. A value that is more than plain words is a JSON string, in which commas and colons are
escaped: so tools that only split the line at them find no keys inside of what a client wrote.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from writing_service import __version__
from writing_service.errors import InvalidRequest
from writing_service.types import AIGenerationResult, TextDirection

NEGATIVE = "Negative prompt: "
MADE_BY = f"writing-service {__version__}"
OFF = "off"

SAMPLERS: Mapping[str, str] = {
    "DDIMScheduler": "DDIM",
    "EulerDiscreteScheduler": "Euler",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "DPMSolverSDEScheduler": "DPM++ SDE",
    "HeunDiscreteScheduler": "Heun",
    "LCMScheduler": "LCM",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}
"""What those tools call diffusers' schedulers; others go by the name of their class."""

_PLAIN = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029,:\"]+(?: [^\s\x00-\x1f\x7f-\x9f\u2028\u2029,:\"]+)*"
)
_ESCAPED = re.compile(r"[,:\x7f-\x9f\u2028\u2029]")
_PAIR = re.compile(r'\s*([^:,"]+): ("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')


@dataclass(frozen=True)
class Parameters:
    """The text of a file, taken apart; `values` are the pairs, in their order."""

    prompt: str
    negative_prompt: str
    values: Mapping[str, str]


def parameters_of(result: AIGenerationResult, index: int = 0) -> str:
    """Everything that the result's picture of that index was made from."""
    pairs = ", ".join(f"{key}: {quoted(value)}" for key, value in _pairs(result, index))
    lines = [result.prompt.main_prompt]
    if result.prompt.negative_prompt:
        lines.append(f"{NEGATIVE}{result.prompt.negative_prompt}")
    return "\n".join([*lines, pairs])


def read_parameters(text: str) -> Parameters:
    """The reverse. Raises InvalidRequest for a text that is none of this service's."""
    *lines, pairs = text.split("\n")
    values = {key: _unquoted(value) for key, value in _PAIR.findall(pairs)}
    if not values.get("Version", "").startswith("writing-service "):
        raise InvalidRequest("its parameters were not written by this service")
    negative = lines.pop() if lines and lines[-1].startswith(NEGATIVE) else ""
    return Parameters("\n".join(lines), negative.removeprefix(NEGATIVE), values)


def picture_hash(image: Image.Image) -> str:
    """Of its size and pixels as RGB: 16 hexadecimal digits of SHA-256."""
    pixels = np.ascontiguousarray(image.convert("RGB"))
    digest = hashlib.sha256(f"{image.width}x{image.height}".encode())
    digest.update(pixels.data)
    return digest.hexdigest()[:16]


def quoted(value: object) -> str:
    """Plain words as they are, all else as a JSON string on one line."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    written = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def number(value: float) -> str:
    """As short as it is exact: 0.9, 1, 0.30000000000000004."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _unquoted(value: str) -> str:
    return json.loads(value) if value.startswith('"') else value.strip()


def _pairs(result: AIGenerationResult, index: int) -> Iterator[tuple[str, Any]]:
    told = result.metadata
    yield "Steps", told["num_inference_steps"]
    yield "Sampler", SAMPLERS.get(told["scheduler_used"], told["scheduler_used"])
    yield "CFG scale", number(told["guidance_scale"])
    yield "Seed", result.images[index].seed
    yield "Size", f"{told['width']}x{told['height']}"
    yield "Model", told["model_used"]
    yield from _place(result, index)
    yield from ((key, value) for key, value in _wishes(result) if value)
    yield from _savers(told)
    yield "Pictogram", (told["pictogram_used"] or {"name": OFF})["name"]
    yield from _controls(told, index)
    yield from _legibility(told["legibility"], index)
    yield "Version", MADE_BY
    yield "Picture hash", picture_hash(result.images[index].image)


def _place(result: AIGenerationResult, index: int) -> Iterator[tuple[str, Any]]:
    """Among pictures of one request: the first one's seed has chosen layout and methods for all of them."""
    if len(result.images) > 1:
        yield "Batch size", len(result.images)
        yield "Batch pos", index
    if index:
        yield "Scene seed", result.metadata["seed_used"]


def _wishes(result: AIGenerationResult) -> Iterator[tuple[str, str]]:
    asked = result.request
    yield "Word", asked.word
    yield "Translation", asked.translation
    yield "Hint", asked.hint_writing
    yield "Language", asked.language
    yield "Style", asked.style
    yield "Direction", "" if asked.text_direction is TextDirection.AUTO else asked.text_direction
    yield "Pictogram asked", asked.pictogram


def _savers(told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the steps left out, and the preset that said so; nothing for exact pictures."""
    if told["preset_used"]:
        yield "Preset", told["preset_used"]
    if told["guidance_until"] < 1:
        yield "Guidance until", number(told["guidance_until"])
    if told["cache_interval"] > 1:
        yield "Cache interval", told["cache_interval"]


def _controls(told: Mapping[str, Any], index: int) -> Iterator[tuple[str, Any]]:
    """Method, weight, and the part of the steps where it is not all of them."""
    weights = told["legibility"]["pictures"][index]["weights"]
    for kind, methods in told["conditioning_methods_used"].items():
        window = told["conditioning_windows_used"].get(kind)
        when = f" from {number(window[0])} to {number(window[1])}" if window else ""
        yield f"ControlNet {kind}", f"{methods[0]} {number(weights[kind])}{when}"


def _legibility(told: Mapping[str, Any], index: int) -> Iterator[tuple[str, Any]]:
    """The score; what was wanted, in how many attempts, each so much tighter; the attempts, if several."""
    picture = told["pictures"][index]
    yield "Legibility", picture["score"]
    limits = (told["min_score"], told["max_attempts"], told["weight_factor"])
    yield "Legibility wanted", "{} in {} by {}".format(*map(number, limits))
    if len(picture["attempts"]) > 1:
        yield "Legibility attempts", "; ".join(map(_attempt, picture["attempts"]))


def _attempt(told: Mapping[str, Any]) -> str:
    weights = " ".join(f"{kind} {number(weight)}" for kind, weight in told["weights"].items())
    return f"{told['score']} at {weights}"
