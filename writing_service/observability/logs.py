"""Where log lines go and what they look like: one plain line each, made for grep.

    2026-03-01 09:30:00.125 INFO writing_service.diffusion.loader Loading unet time_ms=812.0

Code logs with the standard library: `logger.info("Loading %s", name, extra={"time_ms": 812})`.
"""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

from writing_service.config import LoggerSettings, LoggingSettings

_PARTS = {"generation": "writing_service.generator", "ai_models": "writing_service.diffusion"}
"""Names that people configure, and the Python loggers that they mean."""

_FOLLOW_THE_LEVEL = ("writing_service", "uvicorn")
"""Loggers of the general level; every other library speaks from WARNING on."""

_OURS = "writing_service."
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}
_TIMING = ("_ms", "_seconds")
_MEMORY = ("_mb", "_gb", "_percent")

logger = logging.getLogger(__name__)


def configure_logging(settings: LoggingSettings, console: TextIO | None = None) -> None:
    """Log to `console` (None: stdout) and to a rotating file, in place of what was set up before.

    A file that cannot be written is a warning on the console, not an error.
    """
    close_logs()
    parts = {_PARTS.get(name, name): part for name, part in settings.loggers.items()}
    _set_levels(settings, parts)
    _install(_console(console or sys.stdout), parts)
    if settings.folder is None:
        return
    path = Path(settings.folder) / settings.file
    try:
        _install(_rotating(path, settings), parts)
    except OSError as error:
        reason = error.strerror or str(error)
        logger.warning("%s cannot be written (%s): logging to the console only", path, reason)


def close_logs() -> None:
    """Take away the handlers that `configure_logging` installed, and close their files."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if (one.name or "").startswith(_OURS)]:
        root.removeHandler(handler)
        handler.close()


class LineFormatter(logging.Formatter):
    """`time level logger message key=value ...`; the pairs are the record's extras.

    `parts` says by logger name which pairs are told; loggers below it follow it.
    """

    default_msec_format = "%s.%03d"

    def __init__(self, parts: Mapping[str, LoggerSettings]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._parts = parts

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        """One line, whatever the words in it hold."""
        told = _told(_part_of(record, self._parts))
        pairs = [f"{key}={_plain(value)}" for key, value in _extras(record) if told(key)]
        return _one_line(" ".join((super().formatMessage(record), *pairs)))


class _LoadingFilter(logging.Filter):
    """Holds back the progress of model loading where a part does not want it."""

    def __init__(self, parts: Mapping[str, LoggerSettings]) -> None:
        super().__init__()
        self._parts = parts

    def filter(self, record: logging.LogRecord) -> bool:
        """Warnings always pass."""
        wanted = _part_of(record, self._parts).include_model_loading
        loading = record.getMessage().startswith(("Loading", "Loaded"))
        return wanted or record.levelno >= logging.WARNING or not loading


def _set_levels(settings: LoggingSettings, parts: Mapping[str, LoggerSettings]) -> None:
    logging.getLogger().setLevel(logging.WARNING)
    for name in _FOLLOW_THE_LEVEL:
        logging.getLogger(name).setLevel(settings.level)
    for name, part in parts.items():
        logging.getLogger(name).setLevel(part.level or logging.NOTSET)


def _install(handler: logging.Handler, parts: Mapping[str, LoggerSettings]) -> None:
    handler.name = f"{_OURS}{type(handler).__name__}"
    handler.setFormatter(LineFormatter(parts))
    handler.addFilter(_LoadingFilter(parts))
    logging.getLogger().addHandler(handler)


def _console(stream: TextIO) -> logging.Handler:
    # A terminal that lacks a script shows its code points instead of failing.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return logging.StreamHandler(stream)


def _rotating(path: Path, settings: LoggingSettings) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    return RotatingFileHandler(
        path,
        maxBytes=settings.max_bytes,
        backupCount=settings.backups,
        encoding="utf-8",
        errors="backslashreplace",
    )


def _part_of(record: logging.LogRecord, parts: Mapping[str, LoggerSettings]) -> LoggerSettings:
    name = record.name
    while name and name not in parts:
        name = name.rpartition(".")[0]
    return parts.get(name, LoggerSettings())


def _told(part: LoggerSettings) -> Callable[[str], bool]:
    def told(key: str) -> bool:
        if key.endswith(_TIMING):
            return part.include_timing
        if key.endswith(_MEMORY) or key.startswith("memory"):
            return part.include_memory_usage
        return part.include_parameters

    return told


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in vars(record).items() if key not in _STANDARD)


def _plain(value: object) -> str:
    """Quoted where a space, a quote or an equals sign would make the pair unclear."""
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    clear = text.isprintable() and not set(text) & set(" =\"'")
    return text if text and clear else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Control characters escaped: a word from outside must not forge a line of its own."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
