"""doctor, warmup, profile: how this machine fares."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from writing_service.cli.arguments import Json, Overrides, Style, Translation, Word
from writing_service.cli.outcomes import FAILED, failures_in_one_sentence, show_json
from writing_service.config import Settings, load_settings
from writing_service.doctor import Finding, advice, examine
from writing_service.observability.logs import configure_logging
from writing_service.saving import make_folder
from writing_service.tables import profile_tables, warmup_table


def doctor(overrides: Overrides = None, as_json: Json = False) -> None:
    """Tell what is installed and what is missing; fails where the service could not draw."""
    with failures_in_one_sentence():
        findings = list(examine(load_settings(overrides or ())))
    commands = advice(findings, overrides or ())
    if as_json:
        show_json({"findings": [_told(one) for one in findings], "next": commands})
    else:
        for finding in findings:
            typer.echo(f"{finding.verdict:<9}{finding.what:<47}{finding.detail}")
        typer.echo("\nNext:")
        for command in commands:
            typer.echo(f"    {command}")
    if any(finding.failed for finding in findings):
        raise typer.Exit(FAILED)


def warmup(overrides: Overrides = None, as_json: Json = False) -> None:
    """Load the models and draw the warm-up words; fails where one cannot be drawn.

    Fetches models that are not there yet and fills the compiler's cache, so that a service starts quicker afterwards.
    A running service is warmed by POST /health/warmup.
    """
    with failures_in_one_sentence():
        settings = load_settings(overrides or ())
        configure_logging(settings.logging, sys.stderr)
        results = _warm_up(settings)
    _show(results, warmup_table(results), as_json)
    if not all(one["success"] for one in results.values()):
        raise typer.Exit(FAILED)


def profile(
    word: Word,
    overrides: Overrides = None,
    translation: Translation = "",
    style: Style = "comic",
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the trace.")] = Path(
        "profiles"
    ),
    as_json: Json = False,
) -> None:
    """Tell where one picture's time and memory go, and write a trace for chrome://tracing or ui.perfetto.dev."""
    with failures_in_one_sentence():
        settings = load_settings(overrides or ())
        configure_logging(settings.logging, sys.stderr)
        make_folder(output)
        found = _profile(settings, word, output, translation=translation, style=style)
    _show(found, profile_tables(found), as_json)
    if not as_json:
        typer.echo(found["trace"])


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "what": finding.what,
        "verdict": finding.verdict,
        "detail": finding.detail,
        "remedy": finding.remedy or None,
    }


def _show(told: Any, tables: RenderableType, as_json: bool) -> None:
    if as_json:
        show_json(told)
    else:
        Console().print(tables)


def _warm_up(settings: Settings) -> dict[str, dict[str, Any]]:
    from writing_service.app import create_warmer

    generator, warmer = create_warmer(settings)
    try:
        return asyncio.run(warmer.warmup_models())
    finally:
        generator.close()


def _profile(settings: Settings, word: str, folder: Path, **request: str) -> dict[str, Any]:
    from writing_service.app import create_profiler

    generator, profiler = create_profiler(settings, folder)
    try:
        return asyncio.run(profiler.profile_generation(word, seed=0, **request))
    finally:
        generator.close()
