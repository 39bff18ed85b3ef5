"""The command line: serve, generate, doctor.

What is heavy is imported by the command that needs it, so that a mistyped key is told at once.
"""

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from writing_service import __version__
from writing_service.config import Settings, load_settings
from writing_service.doctor import examine
from writing_service.encoding import encode_result
from writing_service.errors import ConfigurationError, InvalidRequest, WritingServiceError
from writing_service.observability.logs import close_logs, configure_logging
from writing_service.types import ImageFormat, WritingRequest

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
        configure_logging(settings.logging)
        _serve(settings)


@cli.command()
def generate(
    word: Annotated[str, typer.Argument(help="In any script.")],
    overrides: Overrides = None,
    translation: Annotated[str, typer.Option("--translation", "-t", help="What to show.")] = "",
    style: Annotated[str, typer.Option("--style", "-s", help="A name, or free text.")] = "comic",
    language: Annotated[str, typer.Option("--language", "-l", help="A name or code.")] = "auto",
    hint: Annotated[str, typer.Option("--hint", help="Your own mnemonic.")] = "",
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Default: random.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png, .jpg or .webp.")] = Path(
        "writing.png"
    ),
) -> None:
    """Draw one picture without a server, save it and print its path."""
    with _failures_in_one_sentence():
        settings = load_settings(overrides or ())
        # The path is this command's only output; the log goes beside it.
        configure_logging(settings.logging, sys.stderr)
        request = WritingRequest(word, translation, hint, language, style, seed=seed)
        typer.echo(_generate(settings, request, output))


@cli.command()
def doctor(overrides: Overrides = None) -> None:
    """Tell what is installed and what is missing; fails where the service could not draw."""
    with _failures_in_one_sentence():
        findings = list(examine(load_settings(overrides or ())))
    for finding in findings:
        typer.echo(f"{finding.verdict:<9}{finding.what:<47}{finding.detail}")
    if any(finding.failed for finding in findings):
        raise typer.Exit(FAILED)


def _serve(settings: Settings) -> None:
    from writing_service.app import create_app

    uvicorn.run(
        create_app(settings),
        host=settings.api.host,
        port=settings.api.port,
        log_config=None,
        timeout_graceful_shutdown=settings.api.shutdown_grace_seconds,
    )


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
