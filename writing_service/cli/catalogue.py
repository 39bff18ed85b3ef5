"""styles, methods, fonts: what there is to choose from."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from writing_service.cli.arguments import Json, Language, Overrides, Word
from writing_service.cli.outcomes import failures_in_one_sentence, show_json
from writing_service.config import GenerationSettings, StyleSettings, load_settings
from writing_service.tables import fonts_table, methods_table, styles_table
from writing_service.types import FaceKind


def styles(overrides: Overrides = None, as_json: Json = False) -> None:
    """The styles that a request may name, with their steps, guidance and ControlNet weights."""
    with failures_in_one_sentence():
        drawing = load_settings(overrides or ()).ai_generation
    told = {name: _style(one, drawing.generation) for name, one in drawing.styles.items()}
    _show(told, styles_table(told), as_json)


def methods(overrides: Overrides = None, as_json: Json = False) -> None:
    """The conditioning methods of each kind, with their options; of those that cannot be used here, what they need."""
    from writing_service.conditioning.fan_out import build_fan_out
    from writing_service.conditioning.registry import MethodAbout
    from writing_service.diffusion.checkpoints.hub import HuggingFaceHub
    from writing_service.diffusion.detection.sources import detector_sources

    with failures_in_one_sentence():
        drawing = load_settings(overrides or ()).ai_generation
        told = [asdict(one) for one in build_fan_out(drawing.conditioning.options).catalogue()]
        hub = HuggingFaceHub(drawing.cache.huggingface)
        for one in detector_sources(drawing.detectors, drawing.cache, hub):
            about = MethodAbout(one.kind, one.name, f"A network: {one.source}", {}, one.missing())
            told.append(asdict(about))
    _show(told, methods_table(told), as_json)


def fonts(
    word: Word,
    overrides: Overrides = None,
    language: Language = "auto",
    face: Annotated[
        FaceKind, typer.Option("--face", help="As a style may ask for.")
    ] = FaceKind.SANS,
    as_json: Json = False,
) -> None:
    """Which font draws which character of a word; fails where there is none."""
    from writing_service.rendering.fonts import font_library
    from writing_service.rendering.languages import identify
    from writing_service.rendering.scripts import split_graphemes
    from writing_service.rendering.words import checked_word

    with failures_in_one_sentence():
        library = font_library(load_settings(overrides or ()).ai_generation.fonts)
        text = checked_word(word)
        report = identify(text, language)
        told: list[dict[str, Any]] = [
            {
                "text": one.text,
                "code_points": [f"U+{ord(character):04X}" for character in one.text],
                "script": one.script,
                "font": one.face.name,
                "file": str(one.face.path),
            }
            for one in library.assign(split_graphemes(text), report.language, face)
        ]
    _show(told, fonts_table(told), as_json)


def _style(style: StyleSettings, defaults: GenerationSettings) -> dict[str, Any]:
    """With the steps and the guidance that it gets: a pipeline may fix them for all styles."""
    steps, guidance = defaults.num_inference_steps, defaults.guidance_scale
    return {
        **style.model_dump(mode="json"),
        "steps": style.recommended_steps if steps is None else steps,
        "guidance": style.recommended_cfg if guidance is None else guidance,
    }


def _show(told: Any, table: RenderableType, as_json: bool) -> None:
    if as_json:
        show_json(told)
    else:
        Console().print(table)
