"""reproduce: a picture made again from its file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from writing_service.cli.arguments import Json, Overrides
from writing_service.cli.drawing import draw
from writing_service.cli.outcomes import UNLIKE, failures_in_one_sentence, note, show_json
from writing_service.config import load_settings
from writing_service.encoding import encode_result
from writing_service.observability.logs import configure_logging
from writing_service.saving import save
from writing_service.types import ImageFormat

_SENTENCES = {
    "bytes": "The same bytes.",
    "pixels": "The same pixels; the bytes differ, for the file was packed anew or its text was changed.",
    "none": "Not the same picture.",
}


def reproduce(
    file: Annotated[Path, typer.Argument(help="A PNG that this service drew.", metavar="FILE.png")],
    overrides: Overrides = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to. [default: FILE-again.png]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a picture again from what its PNG tells, and say whether it is the same to the byte.

    Give the settings under which it was drawn, such as pipeline=sdxl, where they are not the default. Ends with 3 where
    the picture is not the same; then it says what differs.
    """
    from writing_service.reproduction import Likeness, compare, read_recorded

    output = output or file.with_name(f"{file.stem}-again.png")
    with failures_in_one_sentence():
        recorded = read_recorded(file)
        settings = load_settings([*recorded.settings, *(overrides or ())])
        configure_logging(settings.logging, sys.stderr)
        for sentence in recorded.notes:
            note(sentence)
        result = draw(settings, recorded.request)
        again = encode_result(result, recorded.index, ImageFormat.PNG)
        found = compare(recorded, again)
        save(output, again)
        sentences = [*recorded.notes, _SENTENCES[found.likeness], *found.differences]
        for sentence in sentences[len(recorded.notes) :]:
            note(sentence)
    if as_json:
        told = {"file": str(output), "likeness": found.likeness.value, "notes": sentences}
        show_json(told)
    else:
        typer.echo(output)
    if found.likeness is Likeness.NONE:
        raise typer.Exit(UNLIKE)
