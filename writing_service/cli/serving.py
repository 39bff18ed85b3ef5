"""serve, key"""

import os
from contextlib import suppress
from typing import Annotated

import typer

from writing_service.api.keys import ENVIRONMENT, check_exposure, hash_of, keys_of, new_key
from writing_service.cli.arguments import Overrides
from writing_service.cli.outcomes import failures_in_one_sentence
from writing_service.config import Settings, load_settings
from writing_service.observability.logs import configure_logging


def serve(overrides: Overrides = None) -> None:
    """Answer requests over HTTP until stopped."""
    with failures_in_one_sentence():
        settings = load_settings(overrides or ())
        check_exposure(settings.api, keys_of(settings.api, os.environ))
        configure_logging(settings.logging)
        _serve(settings)


def key(name: Annotated[str, typer.Argument(help="Of whoever will use it, such as bot.")]) -> None:
    """Make an API key: print it, and the setting that lets it in. It is kept nowhere."""
    made = new_key()
    typer.echo(f"key      {made}")
    typer.echo(f"setting  'api.keys.{name}=\"{hash_of(made)}\"'")
    typer.echo(f"or       {ENVIRONMENT}={name}={made}")


def _serve(settings: Settings) -> None:
    from writing_service.app import create_app
    from writing_service.server import Server

    app = create_app(settings)
    with suppress(KeyboardInterrupt):
        Server(app, app.state.admission, settings.api).run()
