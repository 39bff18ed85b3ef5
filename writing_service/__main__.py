"""The command line: serve, key, generate, warmup, profile, doctor.

What is heavy is imported by the command that needs it, so that a mistyped key is told at once.
"""

import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer
from rich.console import Console, RenderableType
from tqdm import tqdm
from tqdm.contrib import DummyTqdmFile

from writing_service import __version__
from writing_service.api.keys import ENVIRONMENT, check_exposure, hash_of, keys_of, new_key
from writing_service.config import Settings, load_settings
from writing_service.doctor import advice, examine
from writing_service.encoding import encode_result
from writing_service.errors import (
    ConfigurationError,
    InvalidRequest,
    ModelsUnavailable,
    WritingServiceError,
)
from writing_service.observability.logs import close_logs, configure_logging
from writing_service.tables import profile_tables, warmup_table
from writing_service.types import ImageFormat, WritingRequest

if TYPE_CHECKING:
    from writing_service.batch import Draw
    from writing_service.word_list import ListedWord

FAILED = 1
MISUSED = 2

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings as key=value, such as api.port=8700 or pipeline=sdxl."),
]

cli = typer.Typer(
    name="writing-service",
    help="A word in any script becomes a picture whose strokes are the word.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry of the installed command."""
    cli()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"writing-service {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    _: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print and exit."),
    ] = False,
) -> None:
    """Options that stand before a command."""


@cli.command()
def serve(overrides: Overrides = None) -> None:
    """Answer requests over HTTP until stopped."""
    with _failures_in_one_sentence():
        settings = load_settings(overrides or ())
        check_exposure(settings.api, keys_of(settings.api, os.environ))
        configure_logging(settings.logging)
        _serve(settings)


@cli.command()
def key(name: Annotated[str, typer.Argument(help="Of whoever will use it, such as bot.")]) -> None:
    """Make an API key: print it, and the setting that lets it in. It is kept nowhere."""
    made = new_key()
    typer.echo(f"key      {made}")
    typer.echo(f"setting  'api.keys.{name}=\"{hash_of(made)}\"'")
    typer.echo(f"or       {ENVIRONMENT}={name}={made}")


@cli.command()
def generate(
    word: Annotated[str | None, typer.Argument(help="In any script.")] = None,
    overrides: Overrides = None,
    words: Annotated[
        Path | None,
        typer.Option("--from", "-f", help="A CSV with a column 'word', in place of one word."),
    ] = None,
    translation: Annotated[str, typer.Option("--translation", "-t", help="What to show.")] = "",
    style: Annotated[str, typer.Option("--style", "-s", help="A name, or free text.")] = "comic",
    language: Annotated[str, typer.Option("--language", "-l", help="A name or code.")] = "auto",
    hint: Annotated[str, typer.Option("--hint", help="Your own mnemonic.")] = "",
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Default: random.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A .png, .jpg or .webp; of a list, a folder. Default: writing.png; writings.",
        ),
    ] = None,
    image_format: Annotated[
        ImageFormat | None, typer.Option("--format", help="Of a list's pictures. Default: png.")
    ] = None,
) -> None:
    """Draw one picture, or one of each word of a list, without a server; print where they are.

    Of a list, the other options are for rows that leave them out.
    """
    if words is not None and word is not None and "=" in word:
        # A list comes without a word, so that what stands in its place is the first setting.
        word, overrides = None, [word, *(overrides or ())]
    with _failures_in_one_sentence():
        _refuse_misuse(word, words, image_format)
        settings = load_settings(overrides or ())
        given = WritingRequest(word or "", translation, hint, language, style, seed=seed)
        if words is None:
            # The path is this command's only output; the log goes beside it.
            configure_logging(settings.logging, sys.stderr)
            typer.echo(_generate(settings, given, output or Path("writing.png")))
        elif not _generate_list(
            settings, words, given, output or Path("writings"), image_format or ImageFormat.PNG
        ):
            raise typer.Exit(FAILED)


@cli.command()
def warmup(overrides: Overrides = None) -> None:
    """Load the models and draw the warm-up words; fails where one cannot be drawn.

    Fetches models that are not there yet and fills the compiler's cache, so that a service starts quicker afterwards.
    A running service is warmed by POST /health/warmup.
    """
    with _failures_in_one_sentence():
        settings = load_settings(overrides or ())
        configure_logging(settings.logging, sys.stderr)
        results = _warm_up(settings)
    _show(warmup_table(results))
    if not all(one["success"] for one in results.values()):
        raise typer.Exit(FAILED)


@cli.command()
def profile(
    word: Annotated[str, typer.Argument(help="In any script.")],
    overrides: Overrides = None,
    translation: Annotated[str, typer.Option("--translation", "-t", help="What to show.")] = "",
    style: Annotated[str, typer.Option("--style", "-s", help="A name, or free text.")] = "comic",
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the trace.")] = Path(
        "profiles"
    ),
) -> None:
    """Tell where one picture's time and memory go, and write a trace for chrome://tracing or ui.perfetto.dev."""
    with _failures_in_one_sentence():
        settings = load_settings(overrides or ())
        configure_logging(settings.logging, sys.stderr)
        found = _profile(settings, word, output, translation=translation, style=style)
    _show(profile_tables(found))
    typer.echo(found["trace"])


@cli.command()
def doctor(overrides: Overrides = None) -> None:
    """Tell what is installed and what is missing; fails where the service could not draw."""
    with _failures_in_one_sentence():
        findings = list(examine(load_settings(overrides or ())))
    for finding in findings:
        typer.echo(f"{finding.verdict:<9}{finding.what:<47}{finding.detail}")
    typer.echo("\nNext:")
    for command in advice(findings, overrides or ()):
        typer.echo(f"    {command}")
    if any(finding.failed for finding in findings):
        raise typer.Exit(FAILED)


def _serve(settings: Settings) -> None:
    from writing_service.app import create_app
    from writing_service.server import Server

    app = create_app(settings)
    with suppress(KeyboardInterrupt):
        Server(app, app.state.admission, settings.api).run()


def _generate(settings: Settings, request: WritingRequest, output: Path) -> Path:
    image_format = _format_of(output)
    from writing_service.app import create_generator

    generator = create_generator(settings)
    try:
        result = asyncio.run(generator.generate(request))
    finally:
        generator.close()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(encode_result(result, 0, image_format))
    return output


def _warm_up(settings: Settings) -> dict[str, dict[str, Any]]:
    from writing_service.app import create_warmer

    generator, warmer = create_warmer(settings)
    try:
        return asyncio.run(warmer.warmup_models())
    finally:
        generator.close()


def _profile(settings: Settings, word: str, folder: Path, **request: str) -> dict[str, Any]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _ended(f"'{folder}' cannot be made: {error.strerror}.", FAILED) from None
    from writing_service.app import create_profiler

    generator, profiler = create_profiler(settings, folder)
    try:
        return asyncio.run(profiler.profile_generation(word, seed=0, **request))
    finally:
        generator.close()


def _show(tables: RenderableType) -> None:
    Console().print(tables)


def _refuse_misuse(word: str | None, words: Path | None, image_format: ImageFormat | None) -> None:
    if (word is None) == (words is None):
        raise _ended("Give either a WORD or, with --from, a list of words.", MISUSED)
    if words is None and image_format is not None:
        raise _ended("--format is for lists; a single picture's is its file's ending.", MISUSED)


def _generate_list(
    settings: Settings,
    words: Path,
    given: WritingRequest,
    folder: Path,
    image_format: ImageFormat,
) -> bool:
    """Whether all were drawn. `given` has what rows that leave it out take."""
    from writing_service.word_list import read_word_list

    defaults = ("translation", "hint_writing", "language", "style", "seed")
    listed = read_word_list(words, {name: getattr(given, name) for name in defaults})
    # Log lines and the bar share the terminal: this keeps each whole.
    configure_logging(settings.logging, cast("TextIO", DummyTqdmFile(sys.stderr)))
    from writing_service.app import create_generator

    generator = create_generator(settings)
    try:
        if reasons := generator.check():
            # Else each row would say so.
            raise ModelsUnavailable(f"No picture can be drawn: {reasons[0]}.")
        return asyncio.run(_draw_list(generator.generate, listed, folder, image_format))
    finally:
        generator.close()


async def _draw_list(
    draw: "Draw", listed: "list[ListedWord]", folder: Path, image_format: ImageFormat
) -> bool:
    from writing_service.word_list import draw_word_list

    failed = 0
    # With `disable` None the bar shows on terminals only.
    with tqdm(total=len(listed), unit="picture", disable=None) as bar:
        async with aclosing(draw_word_list(draw, listed, folder, image_format)) as finished:
            async for word, outcome in finished:
                with bar.external_write_mode():
                    if isinstance(outcome, Path):
                        typer.echo(outcome)
                    else:
                        failed += 1
                        typer.echo(f"Line {word.line}: {outcome}", err=True)
                bar.update()
    return not failed


def _format_of(output: Path) -> ImageFormat:
    """By the file's ending. Raises InvalidRequest, before anything is drawn."""
    ending = output.suffix.casefold().lstrip(".").replace("jpg", "jpeg")
    if ending not in list(ImageFormat):
        raise InvalidRequest(f"'{output}' must end in .png, .jpg or .webp.")
    return ImageFormat(ending)


@contextmanager
def _failures_in_one_sentence() -> Generator[None]:
    """Our own errors end the command with their sentence on stderr, and no traceback."""
    try:
        yield
    except ConfigurationError as error:
        raise _ended(str(error), MISUSED) from None
    except WritingServiceError as error:
        raise _ended(str(error), FAILED) from None
    finally:
        close_logs()


def _ended(sentence: str, status: int) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(status)


if __name__ == "__main__":
    main()
