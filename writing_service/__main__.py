"""The command line: serve, generate, doctor.

What is heavy is imported by the command that needs it, so that a mistyped key is told at once.
"""

import asyncio
import os
import platform
import re
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import pynvml
import typer
import uvicorn
from huggingface_hub import try_to_load_from_cache

from writing_service import __version__
from writing_service.config import (
    AIGenerationSettings,
    FontSettings,
    GPUSettings,
    ModelSettings,
    Settings,
    config_folder,
    load_settings,
)
from writing_service.encoding import encode_result
from writing_service.errors import ConfigurationError, InvalidRequest, WritingServiceError
from writing_service.observability.logs import close_logs, configure_logging
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Box, ImageFormat, Size, WritingRequest

FAILED = 1
MISUSED = 2
EMBEDDED = Path(__file__).parent / "embedded" / "checkpoint"

_PACKAGES = ("torch", "diffusers", "transformers", "fastapi", "pillow", "uharfbuzz")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_SAMPLE_WORDS = ("学习", "한글", "سلام", "हिन्दी", "ไทย")

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
        findings = list(_examine(load_settings(overrides or ())))
    for finding in findings:
        typer.echo(f"{'ok' if finding.good else 'MISSING':<9}{finding.what:<20}{finding.detail}")
    if not all(finding.good for finding in findings):
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


@dataclass(frozen=True)
class _Finding:
    """One line of the doctor's."""

    what: str
    good: bool
    detail: str


def _examine(settings: Settings) -> Iterator[_Finding]:
    drawing = settings.ai_generation
    yield _Finding("service", True, f"{__version__}, settings from {config_folder()}")
    yield _Finding("python", True, platform.python_version())
    for package in _PACKAGES:
        yield _try(package, version, package)
    yield _try("opencv", _opencv)
    yield _try("device", _device, drawing.gpu)
    for what, source, file in _models(drawing.models):
        yield _try(what, _where, source, file, drawing)
    yield _try("fonts", _fonts, drawing.fonts)
    yield _try("pictograms", lambda: f"{len(PictogramLibrary().names())}")


def _try(what: str, check: Callable[..., str], *arguments: object) -> _Finding:
    """The check's own words, or those of whatever stopped it: nothing may end the report here."""
    try:
        return _Finding(what, True, check(*arguments))
    except Exception as error:
        words = str(error).partition("\n")[0] or type(error).__name__
        return _Finding(what, False, words)


def _opencv() -> str:
    """Imported, for it fails where system libraries are missing."""
    import cv2

    return cv2.__version__


def _device(gpu: GPUSettings) -> str:
    """Asks the driver: torch takes seconds to import. Raises where CUDA is asked for in vain."""
    if gpu.device == "cpu":
        return f"CPU, {os.cpu_count()} cores"
    try:
        return _cuda_name(int(gpu.device.partition(":")[2] or 0))
    except pynvml.NVMLError as error:
        if gpu.device == "auto":
            return f"CPU, {os.cpu_count()} cores, no CUDA device"
        raise ConfigurationError(
            f"{gpu.device} is asked for, but there is none ({error})"
        ) from None


def _cuda_name(index: int) -> str:
    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
        return f"{pynvml.nvmlDeviceGetName(handle)}, {memory / 2**30:.0f} GiB"
    finally:
        pynvml.nvmlShutdown()


def _models(models: ModelSettings) -> Iterator[tuple[str, str, str]]:
    """What, where, and a file that such a folder always has."""
    yield "base model", models.base_model, "model_index.json"
    for kind, source in models.controlnet_models.items():
        yield f"{kind} model", source, "config.json"
    for what, source in (("union model", models.controlnet_union), ("vae", models.vae)):
        if source:
            yield what, source, "config.json"


def _where(source: str, file: str, settings: AIGenerationSettings) -> str:
    """A folder that has the file, or a hub id. Raises FileNotFoundError for any other."""
    folder = _folder(source, settings.models.base_model)
    if (folder / file).is_file():
        return str(folder)
    if folder.exists() or not _HUB_ID.fullmatch(source):
        raise FileNotFoundError(f"there is no {folder / file}")
    cached = try_to_load_from_cache(source, file, cache_dir=settings.cache.huggingface)
    return (
        f"{source}, {'in the cache' if isinstance(cached, str) else 'to be fetched at first use'}"
    )


def _folder(source: str, base_model: str) -> Path:
    if source.startswith("./"):
        return _folder(base_model, base_model) / source
    return EMBEDDED if source == "embedded" else Path(source)


def _fonts(settings: FontSettings) -> str:
    folder = Path(settings.folder) if settings.folder else None
    renderer = WordRenderer(FontLibrary(folder))
    for word in _SAMPLE_WORDS:
        renderer.render(word, "auto", Size(64, 64), Box(8, 8, 48, 48))
    return f"draw {' '.join(_SAMPLE_WORDS)}"


if __name__ == "__main__":
    main()
