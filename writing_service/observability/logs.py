"""Where log lines go: to the console and to a rotating file. `lines.py` says what they look like.

    2026-03-01 09:30:00.125 INFO writing_service.diffusion.loader Loading unet time_ms=812.0

Code logs with the standard library: `logger.info("Loading %s", name, extra={"time_ms": 812})`.
"""

import io
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from writing_service.config import LoggerSettings, LoggingSettings
from writing_service.observability.lines import (
    JsonFormatter,
    LineFormatter,
    LoadingFilter,
    RequestIdFilter,
)

_PARTS = {"generation": "writing_service.generator", "ai_models": "writing_service.diffusion"}
"""Names that people configure, and the Python loggers that they mean."""

_FOLLOW_THE_LEVEL = ("writing_service", "uvicorn")
"""Loggers of the general level; every other library speaks from WARNING on."""

_OURS = "writing_service."
_FORMATTERS = {"console": LineFormatter, "json": JsonFormatter}

logger = logging.getLogger(__name__)


def configure_logging(settings: LoggingSettings, console: TextIO | None = None) -> None:
    """Log to `console` (None: stdout) and to a rotating file, in place of what was set up before.

    A file that cannot be written is a warning on the console, not an error.
    """
    close_logs()
    parts = {_PARTS.get(name, name): part for name, part in settings.loggers.items()}
    _set_levels(settings, parts)
    _install(_console(console or sys.stdout), settings, parts)
    if settings.folder is None:
        return
    path = Path(settings.folder) / settings.file
    try:
        _install(_rotating(path, settings), settings, parts)
    except OSError as error:
        reason = error.strerror or str(error)
        logger.warning("%s cannot be written (%s): logging to the console only", path, reason)


def close_logs() -> None:
    """Take away the handlers that `configure_logging` installed, and close their files."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if (one.name or "").startswith(_OURS)]:
        root.removeHandler(handler)
        handler.close()


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """A stream that cannot be written (closed, or a full disk behind it) costs one warning, not the request."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the base class's name)
        """Called by `emit` inside its `except`."""
        if not _unwritable():
            super().handleError(record)
        elif not self._told:
            self._told = True
            _tell("The console")


class LogFileHandler(RotatingFileHandler):
    """A full disk costs one warning; lines are written again as soon as there is room."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the base class's name)
        """Called by `emit` inside its `except`. The next line opens the file anew, without what is stuck."""
        if not _unwritable():
            super().handleError(record)
            return
        if not self._told:
            self._told = True
            _tell(self.baseFilename)
        stuck, self.stream = self.stream, None
        with suppress(OSError):
            if stuck is not None:
                stuck.close()


def _unwritable() -> bool:
    """Whether the error under way is the file's; any other is a mistake in the line that was to be logged."""
    error = sys.exc_info()[1]
    return isinstance(error, OSError) or (isinstance(error, ValueError) and "closed" in str(error))


def _tell(where: str) -> None:
    """Straight to stderr: a log that cannot be written can say so nowhere else."""
    error = sys.exc_info()[1]
    reason = getattr(error, "strerror", None) or error
    line = (
        f"WARNING {where} cannot be written ({reason}): lines are lost there, the service goes on\n"
    )
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(line)


def _set_levels(settings: LoggingSettings, parts: Mapping[str, LoggerSettings]) -> None:
    logging.getLogger().setLevel(logging.WARNING)
    for name in _FOLLOW_THE_LEVEL:
        logging.getLogger(name).setLevel(settings.level)
    for name, part in parts.items():
        logging.getLogger(name).setLevel(part.level or logging.NOTSET)


def _install(
    handler: logging.Handler, settings: LoggingSettings, parts: Mapping[str, LoggerSettings]
) -> None:
    handler.name = f"{_OURS}{type(handler).__name__}"
    handler.setFormatter(_FORMATTERS[settings.format](parts))
    handler.addFilter(LoadingFilter(parts))
    handler.addFilter(RequestIdFilter())
    logging.getLogger().addHandler(handler)


def _console(stream: TextIO) -> logging.Handler:
    # A terminal that lacks a script shows its code points instead of failing.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return ConsoleHandler(stream)


def _rotating(path: Path, settings: LoggingSettings) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    return LogFileHandler(
        path,
        maxBytes=settings.max_bytes,
        backupCount=settings.backups,
        encoding="utf-8",
        errors="backslashreplace",
    )
