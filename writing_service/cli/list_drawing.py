"""generate --from: a list of words, with a bar, a line of output for each, and contact sheets in the end."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import typer
from tqdm import tqdm
from tqdm.contrib import DummyTqdmFile

from writing_service.cli.outcomes import note, show_json_line
from writing_service.config import Settings
from writing_service.errors import ModelsUnavailable
from writing_service.observability.logs import configure_logging
from writing_service.types import ImageFormat

if TYPE_CHECKING:
    from writing_service.generator import AIImageGenerator
    from writing_service.lists.drawing import Outcome
    from writing_service.lists.reading import ListedWord


def draw_list(
    settings: Settings,
    words: Path,
    columns: Sequence[str],
    defaults: Mapping[str, object],
    folder: Path,
    image_format: ImageFormat,
    again: bool,
    as_json: bool,
) -> bool:
    """Whether all were drawn. `defaults` has what rows that leave it out take."""
    from writing_service.lists.reading import read_word_list

    listed = read_word_list(words, defaults, columns)
    # Log lines and the bar share the terminal: this keeps each whole.
    configure_logging(settings.logging, cast("TextIO", DummyTqdmFile(sys.stderr)))
    from writing_service.app import create_generator

    generator = create_generator(settings)
    try:
        if reasons := generator.check():
            # Else each row would say so.
            raise ModelsUnavailable(f"No picture can be drawn: {reasons[0]}.")
        run = _draw(generator, settings, listed, folder, image_format, again, as_json)
        outcomes = asyncio.run(run)
    finally:
        generator.close()
    _contact_sheets(settings, listed, outcomes, folder, as_json)
    return len(outcomes) == len(listed)


async def _draw(
    generator: "AIImageGenerator",
    settings: Settings,
    listed: "Sequence[ListedWord]",
    folder: Path,
    image_format: ImageFormat,
    again: bool,
    as_json: bool,
) -> dict[int, Path]:
    """Where the pictures are, by their words' numbers."""
    from writing_service.lists.drawing import draw_word_list

    found: dict[int, Path] = {}
    drawing = draw_word_list(
        generator.generate, listed, folder, image_format, settings.ai_generation, again
    )
    # With `disable` None the bar shows on terminals only.
    with tqdm(total=len(listed), unit="picture", disable=None) as bar:
        async with aclosing(drawing) as finished:
            async for word, outcome in finished:
                with bar.external_write_mode():
                    _show(word, outcome, as_json)
                if not isinstance(outcome, Exception):
                    found[word.number] = outcome.path
                bar.update()
    return found


def _show(word: "ListedWord", outcome: "Outcome", as_json: bool) -> None:
    if isinstance(outcome, Exception):
        note(f"Line {word.line}: {outcome}")
        if as_json:
            show_json_line({"line": word.line, "word": word.request.word, "error": str(outcome)})
    elif as_json:
        told = {key: value for key, value in outcome.told.items() if key != "fingerprint"}
        show_json_line({**told, "file": str(outcome.path), "drawn": outcome.drawn})
    else:
        typer.echo(outcome.path)


def _contact_sheets(
    settings: Settings,
    listed: "Sequence[ListedWord]",
    found: Mapping[int, Path],
    folder: Path,
    as_json: bool,
) -> None:
    from writing_service.lists.contact_sheet import Entry, save_contact_sheets
    from writing_service.rendering.fonts import font_library
    from writing_service.rendering.glyphs import WordRenderer

    entries = [
        Entry(found[one.number], one.request.word, one.request.translation)
        for one in listed
        if one.number in found
    ]
    if not entries:
        return
    renderer = WordRenderer(font_library(settings.ai_generation.fonts))
    for path in save_contact_sheets(entries, folder, renderer):
        if as_json:
            show_json_line({"contact_sheet": str(path)})
        else:
            typer.echo(path)
