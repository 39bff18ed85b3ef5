"""The log of a whole session: no secret in it, of a learner's words what is wished, an id on every line."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.api.keys import hash_of
from writing_service.config import LoggingSettings, load_settings
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.observability.logs import ConsoleHandler, close_logs, configure_logging
from writing_service.types import DrawnImages

BINARY = "/api/writing/generate-writing-image-binary"
KEY, WRONG = "a-secret-key-for-this-test", "a-wrong-key-that-is-secret-too"
WORDS = {
    "word": "zqword",
    "translation": "zqtranslation",
    "hint_writing": "zqhint",
    "style": "zqstyle",
    "language": "zqlanguage",
}
SMALL = {"width": 100, "height": 100}


@contextmanager
def logging_to(settings: LoggingSettings, console: io.StringIO) -> Iterator[None]:
    """Levels and handlers are as they were afterwards."""
    names = (
        "",
        "writing_service",
        "uvicorn",
        "writing_service.generator",
        "writing_service.diffusion",
    )
    levels = {name: logging.getLogger(name).level for name in names}
    configure_logging(settings, console)
    try:
        yield
    finally:
        close_logs()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def session(*overrides: str, folder: Path | None = None) -> str:
    """Right, wrong and failing requests, with keys and ids; gives what was logged meanwhile."""
    told = f"logging.folder={'null' if folder is None else folder}"
    own = (f'api.keys.bot="{hash_of(KEY)}"', told, *overrides)
    pipeline, console = FailingAtTwo(), io.StringIO()
    known = {"X-API-Key": KEY}
    with (
        logging_to(load_settings(own).logging, console),
        serving(fake_app(FakeLoader(pipeline), *own)) as client,
    ):
        for number, key in enumerate((KEY, WRONG)):
            headers = {"Authorization": f"Bearer {key}", "X-Request-ID": f"id-{number}"}
            client.post(BINARY, json={**WORDS, **SMALL}, headers=headers)
        client.post(BINARY, json={**WORDS, "seed": -1}, headers=known)
        client.post(BINARY, json={**WORDS, "pictogram": "zqno"}, headers=known)
        client.post(BINARY, content=b"{", headers={**known, "Content-Type": "application/json"})
        client.get("/health/detailed", headers=known)
        client.post(BINARY, json={**WORDS, **SMALL}, headers=known)
    return console.getvalue()


class FailingAtTwo(FakePipeline):
    """Draws one picture, and crashes over the next."""

    async def draw(self, *arguments: Any, **more: Any) -> DrawnImages:
        """See PicturePipeline."""
        if self.jobs:
            raise RuntimeError("a crash")
        return await super().draw(*arguments, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The console and the file of one session, at DEBUG."""
    folder = tmp_path_factory.mktemp("console")
    console = session("logging.level=DEBUG", folder=folder)
    return console, (folder / "writing_service.log").read_text("utf-8")


@pytest.fixture(scope="module")
def as_json(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The same as JSON."""
    folder = tmp_path_factory.mktemp("json")
    console = session("logging.level=DEBUG", "logging.format=json", folder=folder)
    return console, (folder / "writing_service.log").read_text("utf-8")


def test_no_secret_is_logged_at_any_level(whole: tuple[str, str], as_json: tuple[str, str]):
    for text in (*whole, *as_json):
        assert "AI generation done" in text
        assert "a crash" in text
        for secret in (KEY, WRONG, hash_of(KEY), hash_of(KEY)[-64:], "Bearer"):
            assert secret not in text


def test_words_are_logged_only_as_configured(whole: tuple[str, str]):
    assert "word=zqword" in whole[0]
    without = session("logging.loggers.generation.include_parameters=false")
    assert "AI generation done" in without
    assert "zq" not in without


def test_the_request_s_id_is_on_all_of_its_lines(whole: tuple[str, str]):
    lines = whole[0].splitlines()
    done = [one for one in lines if "AI generation" in one]
    assert done
    assert all(re.search(r" request_id=[\w-]+$", one) for one in done)
    assert [one for one in lines if "request_id=id-0" in one and " 200" in one]
    assert [one for one in lines if "request_id=id-1" in one and " 401" in one]


def test_as_json_every_line_is_an_object_with_the_same(as_json: tuple[str, str]):
    lines = [json.loads(one) for one in as_json[1].splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(one) for one in lines)
    (done,) = [one for one in lines if one["message"] == "AI generation done"]
    assert done["request_id"] == "id-0"
    assert done["word"] == "zqword"
    assert done["time_ms"] > 0
    (crash,) = [one for one in lines if "exception" in one]
    assert "RuntimeError: a crash" in crash["exception"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", crash["time"])


def test_a_full_disk_costs_one_warning_and_no_request(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "writing_service.log").symlink_to("/dev/full")
    console = session(folder=tmp_path)
    assert console.count("AI generation done") == 1
    warning = capfd.readouterr().err
    assert warning.count("No space left on device") == 1
    assert warning.count("\n") == 1


def test_the_log_is_written_again_when_there_is_room(tmp_path: Path):
    log = tmp_path / "writing_service.log"
    log.symlink_to("/dev/full")
    settings = load_settings([f"logging.folder={tmp_path}"]).logging
    with logging_to(settings, io.StringIO()):
        logging.getLogger("writing_service").info("lost")
        log.unlink()
        logging.getLogger("writing_service").info("kept")
    assert log.read_text().endswith("kept\n")


def test_a_console_that_is_gone_costs_one_warning(capfd: pytest.CaptureFixture[str]):
    console = io.StringIO()
    with logging_to(load_settings(["logging.folder=null"]).logging, console):
        console.close()
        for _ in range(3):
            logging.getLogger("writing_service").info("to nobody")
    assert capfd.readouterr().err.count("WARNING") == 1


def test_a_mistake_in_a_line_is_told_as_one(capfd: pytest.CaptureFixture[str]):
    record = logging.makeLogRecord({"msg": "%d", "args": ("no number",)})
    ConsoleHandler(io.StringIO()).handle(record)
    assert "TypeError" in capfd.readouterr().err
