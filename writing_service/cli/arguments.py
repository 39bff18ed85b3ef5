"""Arguments that several commands take, and what a shell offers to complete them with."""

from typing import Annotated

import typer

from writing_service.config import known_keys, load_settings
from writing_service.errors import ConfigurationError


def complete_setting(incomplete: str) -> list[str]:
    """Keys that begin so."""
    return [f"{key}=" for key in known_keys() if key.startswith(incomplete)]


def complete_style(incomplete: str) -> list[str]:
    """Configured styles that begin so; none where the configuration is broken."""
    try:
        styles = load_settings().ai_generation.styles
    except ConfigurationError:
        return []
    return [name for name in styles if name.startswith(incomplete)]


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        help="Settings as key=value, such as api.port=8700 or pipeline=sdxl.",
        metavar="[KEY=VALUE]...",
        autocompletion=complete_setting,
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Word = Annotated[str, typer.Argument(help="In any script.", metavar="WORD", show_default=False)]
Translation = Annotated[
    str, typer.Option("--translation", "-t", help="What to show.", show_default=False)
]
Style = Annotated[
    str,
    typer.Option("--style", "-s", help="A name, or free text.", autocompletion=complete_style),
]
Language = Annotated[
    str, typer.Option("--language", "-l", help="A name or code; Han takes its shapes.")
]
