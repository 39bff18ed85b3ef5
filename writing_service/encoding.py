"""Pictures as files: PNG that tells how it was drawn, JPEG, WebP."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from writing_service import __version__
from writing_service.types import AIGenerationResult, ImageFormat

PARAMETERS = "parameters"
"""Keyword of the PNG text chunk in which Stable Diffusion tools keep what a picture was made from."""

_PLAIN = set(',\n:"')


def encode_picture(
    image: Image.Image, image_format: ImageFormat, quality: int = 90, parameters: str = ""
) -> bytes:
    """The file's bytes. `quality` (1 to 100) is for JPEG and WebP, `parameters` for PNG."""
    buffer = io.BytesIO()
    if image_format is ImageFormat.PNG:
        # Level 6 takes three times as long for five per cent fewer bytes.
        image.save(buffer, "PNG", compress_level=3, pnginfo=_text_chunk(parameters))
    else:
        image.save(buffer, image_format.value.upper(), quality=quality)
    return buffer.getvalue()


def encode_result(
    result: AIGenerationResult, index: int, image_format: ImageFormat, quality: int = 90
) -> bytes:
    """The result's picture of that index as a file."""
    image = result.images[index].image
    return encode_picture(image, image_format, quality, parameters_of(result, index))


def to_base64(data: bytes) -> str:
    """As JSON carries it."""
    return base64.b64encode(data).decode("ascii")


def media_type(image_format: ImageFormat) -> str:
    """For HTTP."""
    return f"image/{image_format.value}"


def parameters_of(result: AIGenerationResult, index: int = 0) -> str:
    """Everything that the picture was made from, in the form of AUTOMATIC1111's web UI.

    The prompt; the negative prompt; one line of `Key: value` pairs, in which a value that holds a
    comma, a colon or a quote is a JSON string.
    """
    pairs = ", ".join(f"{key}: {_quoted(value)}" for key, value in _pairs(result, index))
    lines = [result.prompt.main_prompt]
    if result.prompt.negative_prompt:
        lines.append(f"Negative prompt: {result.prompt.negative_prompt}")
    return "\n".join([*lines, pairs])


def _pairs(result: AIGenerationResult, index: int) -> Iterator[tuple[str, Any]]:
    request, told = result.request, result.metadata
    yield "Steps", told["num_inference_steps"]
    yield "CFG scale", told["guidance_scale"]
    yield "Seed", result.images[index].seed
    yield "Size", f"{told['width']}x{told['height']}"
    yield "Model", told["model_used"]
    yield "Word", request.word
    yield from ((key, value) for key, value in _wishes(result) if value)
    yield "Style", told["style"]
    # The first picture's seed has chosen layout and methods for all pictures of the request.
    if index:
        yield "Scene seed", told["seed_used"]
    yield "Pictogram", (told["pictogram_used"] or {"name": "off"})["name"]
    for kind, methods in told["conditioning_methods_used"].items():
        weight = told["conditioning_weights_used"][kind]
        yield f"ControlNet {kind}", f"{methods[0]} {weight:g}"
    yield "Version", f"writing-service {__version__}"


def _wishes(result: AIGenerationResult) -> Iterator[tuple[str, str]]:
    yield "Translation", result.request.translation
    yield "Hint", result.request.hint_writing
    yield "Language", result.request.language


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & _PLAIN else text


def _text_chunk(parameters: str) -> PngInfo | None:
    if not parameters:
        return None
    chunk = PngInfo()
    chunk.add_itxt(PARAMETERS, parameters)
    return chunk
