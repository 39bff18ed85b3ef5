"""The command `writing-service` and its commands."""

from typing import Annotated

import typer

from writing_service import __version__
from writing_service.cli.catalogue import fonts, methods, styles
from writing_service.cli.drawing import generate
from writing_service.cli.machine import doctor, profile, warmup
from writing_service.cli.reproducing import reproduce
from writing_service.cli.serving import key, serve

_PANELS = {
    "Serve": (serve, key),
    "Draw": (generate, reproduce),
    "What there is to choose from": (styles, methods, fonts),
    "This machine": (doctor, warmup, profile),
}

cli = typer.Typer(
    name="writing-service",
    help="A word in any script becomes a picture whose strokes are the word.",
    epilog="Exit codes: 0 done, 1 failed (or one word of a list), 2 wrong usage or setting, "
    "3 reproduce drew another picture, 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for panel, commands in _PANELS.items():
    for command in commands:
        cli.command(rich_help_panel=panel)(command)


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
