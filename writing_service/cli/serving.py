"""serve, and key: who is let in."""

import os
from contextlib import suppress
from typing import Annotated

import typer

from writing_service.api.keys import ENVIRONMENT, check_exposure, hash_of, keys_of, new_key
from writing_service.cli.arguments import Json, Overrides
from writing_service.cli.outcomes import failures_in_one_sentence, show_json
from writing_service.config import Settings, load_settings
from writing_service.observability.logs import configure_logging


def serve(overrides: Overrides = None) -> None:
    """Answer requests over HTTP until stopped."""
    with failures_in_one_sentence():
        settings = load_settings(overrides or ())
        check_exposure(settings.api, keys_of(settings.api, os.environ))
        configure_logging(settings.logging)
        _serve(settings)


def key(
    name: Annotated[str, typer.Argument(help="Of whoever will use it, such as bot.")],
    as_json: Json = False,
) -> None:
    """Make an API key: print it, and the setting that lets it in. It is kept nowhere."""
    made = new_key()
    setting, environment = f'api.keys.{name}="{hash_of(made)}"', f"{ENVIRONMENT}={name}={made}"
    if as_json:
        show_json({"key": made, "setting": setting, "environment": environment})
        return
    typer.echo(f"key      {made}")
    typer.echo(f"setting  '{setting}'")
    typer.echo(f"or       {environment}")


def _serve(settings: Settings) -> None:
    from writing_service.app import create_app
    from writing_service.server import Server

    app = create_app(settings)
    with suppress(KeyboardInterrupt):
        Server(app, app.state.admission, settings.api).run()
