"""generate: one word, or a list of them."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from writing_service.api.schemas import checked_request
from writing_service.cli.arguments import Json, Language, Overrides, Style, Translation
from writing_service.cli.list_drawing import draw_list
from writing_service.cli.outcomes import (
    FAILED,
    MISUSED,
    ended,
    failures_in_one_sentence,
    note,
    show_json,
)
from writing_service.config import Settings, load_settings
from writing_service.encoding import encode_result
from writing_service.errors import InvalidRequest
from writing_service.observability.logs import configure_logging
from writing_service.saving import save
from writing_service.types import AIGenerationResult, ImageFormat, WritingRequest

ONE, MANY = "Of one word", "Of a list"


def generate(
    word: Annotated[
        str | None, typer.Argument(help="In any script.", metavar="[WORD]", show_default=False)
    ] = None,
    overrides: Overrides = None,
    translation: Translation = "",
    style: Style = "comic",
    language: Language = "auto",
    hint: Annotated[
        str, typer.Option("--hint", help="Your own mnemonic.", show_default=False)
    ] = "",
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="The same seed, the same picture. [default: random]"),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="Pixels, such as 768x512.", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Of a picture.", show_default=False)
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="quality, balanced or fast.", show_default=False),
    ] = None,
    pictogram: Annotated[
        str, typer.Option("--pictogram", help="auto, off, or a concept's name.")
    ] = "auto",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .png, .jpg or .webp; of a list, a folder. [default: writing.png; writings]",
        ),
    ] = None,
    count: Annotated[
        int,
        typer.Option("--count", "-n", help="Pictures, of seeds one apart.", rich_help_panel=ONE),
    ] = 1,
    words: Annotated[
        Path | None,
        typer.Option(
            "--from",
            "-f",
            help="A CSV with a column 'word', or notes that Anki exported as plain text.",
            rich_help_panel=MANY,
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            help="What the file's columns are, as word,translation,-,style; '-' is not read.",
            rich_help_panel=MANY,
            show_default=False,
        ),
    ] = None,
    image_format: Annotated[
        ImageFormat | None,
        typer.Option("--format", help="Of the pictures. [default: png]", rich_help_panel=MANY),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Draw those too that the folder has from the same request and settings.",
            rich_help_panel=MANY,
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Draw one picture, or one of each word of a list, without a server; print where they are.

    Of a list, the other options are for rows that leave them out. A list that was stopped goes on where it was.
    """
    if words is not None and word is not None and "=" in word:
        # A list comes without a word, so that what stands in its place is the first setting.
        word, overrides = None, [word, *(overrides or ())]
    with failures_in_one_sentence():
        _refuse_misuse(word, words, image_format, count, columns)
        settings = load_settings(overrides or ())
        asked = {
            "translation": translation,
            "hint_writing": hint,
            "language": language,
            "style": style,
            "seed": seed,
            "num_inference_steps": steps,
            "preset": preset,
            "pictogram": pictogram,
            **_sides(size),
        }
        if words is None:
            # What is printed is this command's only output; the log goes beside it.
            configure_logging(settings.logging, sys.stderr)
            request = checked_request({**asked, "word": word, "batch_size": count})
            _generate(settings, request, output or Path("writing.png"), as_json)
        else:
            folder, names = output or Path("writings"), columns.split(",") if columns else []
            given = {name: value for name, value in asked.items() if value is not None}
            all_drawn = draw_list(
                settings,
                words,
                names,
                given,
                folder,
                image_format or ImageFormat.PNG,
                again,
                as_json,
            )
            if not all_drawn:
                raise typer.Exit(FAILED)


def _generate(settings: Settings, request: WritingRequest, output: Path, as_json: bool) -> None:
    image_format = _format_of(output)
    result = draw(settings, request)
    paths = _paths(output, len(result.images))
    for index, path in enumerate(paths):
        save(path, encode_result(result, index, image_format))
    if as_json:
        show_json(_told(result, paths))
        return
    for warning in result.warnings:
        note(warning)
    for path in paths:
        typer.echo(path)


def draw(settings: Settings, request: WritingRequest) -> AIGenerationResult:
    """Here and now."""
    from writing_service.app import create_generator

    generator = create_generator(settings)
    try:
        return asyncio.run(generator.generate(request))
    finally:
        generator.close()


def _paths(output: Path, count: int) -> list[Path]:
    """One is named as it is asked for, several are numbered: word-1.png, word-2.png."""
    if count == 1:
        return [output]
    return [output.with_stem(f"{output.stem}-{number}") for number in range(1, count + 1)]


def _told(result: AIGenerationResult, paths: list[Path]) -> dict[str, Any]:
    return {
        "files": [str(path) for path in paths],
        "seeds": [one.seed for one in result.images],
        "warnings": list(result.warnings),
        "generation_metadata": result.metadata,
    }


def _refuse_misuse(
    word: str | None,
    words: Path | None,
    image_format: ImageFormat | None,
    count: int,
    columns: str | None,
) -> None:
    if (word is None) == (words is None):
        raise ended("Give either a WORD or, with --from, a list of words.", MISUSED)
    if words is None and image_format is not None:
        raise ended("--format is for lists; a single picture's is its file's ending.", MISUSED)
    if words is None and columns is not None:
        raise ended("--columns is for lists: give one with --from.", MISUSED)
    if words is not None and count != 1:
        raise ended("--count is for one word; of a list each word gets one picture.", MISUSED)


def _sides(size: str | None) -> Mapping[str, str]:
    """Raises InvalidRequest."""
    if size is None:
        return {}
    width, cross, height = size.casefold().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise InvalidRequest(f"--size '{size}' is not understood; write it as 768x512.")
    return {"width": width, "height": height}


def _format_of(output: Path) -> ImageFormat:
    """By the file's ending. Raises InvalidRequest, before anything is drawn."""
    ending = output.suffix.casefold().lstrip(".").replace("jpg", "jpeg")
    if ending not in list(ImageFormat):
        raise InvalidRequest(f"'{output}' must end in .png, .jpg or .webp.")
    return ImageFormat(ending)
