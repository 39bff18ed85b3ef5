"""What a log line looks like, for people and for programs, and what a part's settings let it tell."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from writing_service.config import LoggerSettings
from writing_service.observability.request_id import REQUEST_ID

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "request_id"}
_TIMING = ("_ms", "_seconds")
_MEMORY = ("_mb", "_gb", "_percent")


class RequestIdFilter(logging.Filter):
    """Writes the request's id into records, where they are made while one is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """All pass."""
        record.request_id = REQUEST_ID.get()
        return True


class LoadingFilter(logging.Filter):
    """Holds back the progress of model loading where a part does not want it."""

    def __init__(self, parts: Mapping[str, LoggerSettings]) -> None:
        super().__init__()
        self._parts = parts

    def filter(self, record: logging.LogRecord) -> bool:
        """Warnings always pass."""
        wanted = _part_of(record, self._parts).include_model_loading
        loading = record.getMessage().startswith(("Loading", "Loaded"))
        return wanted or record.levelno >= logging.WARNING or not loading


class LineFormatter(logging.Formatter):
    """`time level logger message key=value ...`; the pairs are the record's extras, then the request's id.

    `parts` says by logger name which pairs are told; loggers below it follow it.
    """

    default_msec_format = "%s.%03d"

    def __init__(self, parts: Mapping[str, LoggerSettings]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._parts = parts

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the base class's name)
        """One line, whatever the words in it hold."""
        pairs = [f"{key}={_plain(value)}" for key, value in _told(record, self._parts)]
        return _one_line(" ".join((super().formatMessage(record), *pairs)))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (RFC 3339, UTC), `level`, `logger`, `message`, the extras, `request_id`.

    And `exception`, where there is one.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, parts: Mapping[str, LoggerSettings]) -> None:
        super().__init__()
        self._parts = parts

    def format(self, record: logging.LogRecord) -> str:
        """Extras never take the place of the first four."""
        head = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line = dict(_told(record, self._parts)) | head
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # ASCII alone: every collector reads it, and half a surrogate pair cannot break the stream.
        return json.dumps(head | line, default=str)


def _told(
    record: logging.LogRecord, parts: Mapping[str, LoggerSettings]
) -> Iterator[tuple[str, Any]]:
    wanted = _wanted(_part_of(record, parts))
    for key, value in vars(record).items():
        if key not in _STANDARD and wanted(key):
            yield key, value
    if request_id := getattr(record, "request_id", None):
        yield "request_id", request_id


def _part_of(record: logging.LogRecord, parts: Mapping[str, LoggerSettings]) -> LoggerSettings:
    name = record.name
    while name and name not in parts:
        name = name.rpartition(".")[0]
    return parts.get(name, LoggerSettings())


def _wanted(part: LoggerSettings) -> Callable[[str], bool]:
    def wanted(key: str) -> bool:
        if key.endswith(_TIMING):
            return part.include_timing
        if key.endswith(_MEMORY) or key.startswith("memory"):
            return part.include_memory_usage
        return part.include_parameters

    return wanted


def _plain(value: object) -> str:
    """Quoted where a space, a quote or an equals sign would make the pair unclear."""
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    clear = text.isprintable() and not set(text) & set(" =\"'")
    return text if text and clear else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Control characters escaped: a word from outside must not forge a line of its own."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
