"""serve"""

import uvicorn

from writing_service.cli.arguments import Overrides
from writing_service.cli.outcomes import failures_in_one_sentence
from writing_service.config import Settings, load_settings
from writing_service.observability.logs import configure_logging


def serve(overrides: Overrides = None) -> None:
    """Answer requests over HTTP until stopped."""
    with failures_in_one_sentence():
        settings = load_settings(overrides or ())
        configure_logging(settings.logging)
        _serve(settings)


def _serve(settings: Settings) -> None:
    from writing_service.app import create_app

    uvicorn.run(
        create_app(settings),
        host=settings.api.host,
        port=settings.api.port,
        log_config=None,
        timeout_graceful_shutdown=settings.api.shutdown_grace_seconds,
    )
