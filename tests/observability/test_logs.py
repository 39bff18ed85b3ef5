"""Log lines: where they go, what they look like, and what a part's settings hold back."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from writing_service.config import LoggerSettings, LoggingSettings, load_settings
from writing_service.observability.logs import LineFormatter, close_logs, configure_logging


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Levels and handlers as they were."""
    names = ("", "writing_service", "writing_service.generator", "writing_service.diffusion")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    close_logs()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def logging_settings(folder: Path | None, **changes: Any) -> LoggingSettings:
    values = load_settings().logging.model_dump() | {"folder": folder and str(folder)} | changes
    return LoggingSettings(**values)


def text_of(folder: Path) -> str:
    return (folder / "writing_service.log").read_text(encoding="utf-8")


def test_a_line_has_time_level_logger_message_and_pairs(tmp_path: Path):
    console = io.StringIO()
    configure_logging(logging_settings(tmp_path), console)
    log = logging.getLogger("writing_service.diffusion.loader")
    log.info("Loading %s", "unet", extra={"device": "cpu", "time_ms": 812.04})
    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO writing_service\.diffusion\.loader "
    line += r"Loading unet device=cpu time_ms=812\.0\n"
    assert re.fullmatch(line, console.getvalue())
    assert text_of(tmp_path) == console.getvalue()


def test_the_folder_is_made_and_the_file_is_added_to(tmp_path: Path):
    folder = tmp_path / "deep" / "logs"
    for message in ("AI one", "AI two"):
        configure_logging(logging_settings(folder), io.StringIO())
        logging.getLogger("writing_service.generator").info(message)
    assert [line.partition("AI ")[2] for line in text_of(folder).splitlines()] == ["one", "two"]


def test_the_file_rotates_at_its_size_and_keeps_as_many_as_configured(tmp_path: Path):
    configure_logging(logging_settings(tmp_path, max_bytes=1024, backups=2), io.StringIO())
    for number in range(60):
        logging.getLogger("writing_service").info("a line of some length, number %d", number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["writing_service.log", "writing_service.log.1", "writing_service.log.2"]
    assert all(path.stat().st_size <= 1024 for path in tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_warning_and_the_console_goes_on(tmp_path: Path):
    occupied = tmp_path / "logs"
    occupied.write_text("a file where the folder should be")
    console = io.StringIO()
    configure_logging(logging_settings(occupied), console)
    logging.getLogger("writing_service").info("still here")
    warning, line = console.getvalue().splitlines()
    assert " WARNING " in warning
    assert str(occupied) in warning
    assert line.endswith("still here")


def test_without_a_folder_nothing_is_written_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    console = io.StringIO()
    configure_logging(logging_settings(None), console)
    logging.getLogger("writing_service").info("here")
    assert console.getvalue().endswith("here\n")
    assert list(tmp_path.iterdir()) == []


def test_the_level_is_the_service_s_and_other_libraries_speak_from_warning_on():
    console = io.StringIO()
    configure_logging(logging_settings(None, level="DEBUG"), console)
    logging.getLogger("writing_service.api").debug("ours")
    logging.getLogger("some_library").info("theirs")
    logging.getLogger("some_library").warning("their warning")
    assert [line.rpartition(" ")[2] for line in console.getvalue().splitlines()] == [
        "ours",
        "warning",
    ]


def test_a_part_has_its_own_level_and_so_has_any_python_logger():
    console = io.StringIO()
    loggers = {"ai_models": {"level": "WARNING"}, "some_library": {"level": "INFO"}}
    configure_logging(logging_settings(None, loggers=loggers), console)
    logging.getLogger("writing_service.diffusion.gpu").info("no")
    logging.getLogger("writing_service.generator").info("yes")
    logging.getLogger("some_library.part").info("yes too")
    assert [line.split("yes") for line in console.getvalue().splitlines()] != []
    assert "no" not in console.getvalue().split()
    assert console.getvalue().count("yes") == 2


@pytest.mark.parametrize(
    ("switch", "left"),
    [
        ({}, "AI done seed=7 time_ms=12 memory_used_mb=90"),
        ({"include_timing": False}, "AI done seed=7 memory_used_mb=90"),
        ({"include_parameters": False}, "AI done time_ms=12 memory_used_mb=90"),
        ({"include_memory_usage": False}, "AI done seed=7 time_ms=12"),
    ],
)
def test_a_part_says_what_its_lines_tell(switch: dict[str, bool], left: str):
    console = io.StringIO()
    configure_logging(logging_settings(None, loggers={"generation": switch}), console)
    pairs = {"seed": 7, "time_ms": 12, "memory_used_mb": 90}
    logging.getLogger("writing_service.generator").info("AI done", extra=pairs)
    assert console.getvalue().rstrip("\n").endswith(f"writing_service.generator {left}")


def test_model_loading_can_be_held_back_but_not_its_warnings():
    console = io.StringIO()
    loggers = {"ai_models": {"include_model_loading": False}}
    configure_logging(logging_settings(None, loggers=loggers), console)
    log = logging.getLogger("writing_service.diffusion.loader")
    log.info("Loading unet")
    log.info("Loaded unet")
    log.info("Tuned for the CPU")
    log.warning("Loading failed")
    told = [line.split("loader ")[1] for line in console.getvalue().splitlines()]
    assert told == ["Tuned for the CPU", "Loading failed"]


def test_a_traceback_follows_its_line(tmp_path: Path):
    configure_logging(logging_settings(tmp_path), io.StringIO())
    try:
        raise ValueError("the cause")
    except ValueError:
        logging.getLogger("writing_service").exception("AI failed", extra={"id": "a1"})
    first, *rest = text_of(tmp_path).splitlines()
    assert first.endswith("AI failed id=a1")
    assert rest[-1] == "ValueError: the cause"


def test_setting_up_again_takes_the_place_of_the_first(tmp_path: Path):
    first, second = io.StringIO(), io.StringIO()
    configure_logging(logging_settings(None), first)
    configure_logging(logging_settings(None), second)
    logging.getLogger("writing_service").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_a_terminal_without_the_script_shows_code_points():
    raw = io.BytesIO()
    console = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    configure_logging(logging_settings(None), console)
    logging.getLogger("writing_service").info("AI 学习")
    assert raw.getvalue().rstrip().endswith(rb"AI \u5b66\u4e60")
    close_logs()


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text())
def test_no_text_can_forge_a_second_line(message: str, value: str):
    record = logging.makeLogRecord({"name": "writing_service", "msg": "%s", "args": (message,)})
    record.word = value
    line = LineFormatter({"writing_service": LoggerSettings()}).format(record)
    assert len(line.splitlines()) == 1
