"""How the service stops, as a process: by the signals that supervisors send."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import writing_service
from tests.fakes import fake_app
from writing_service.config import load_settings
from writing_service.server import Server

ROOT = Path(writing_service.__file__).parents[1]
ROUTE = "/api/writing/generate-writing-image-binary"
START_SECONDS = 90


class Service:
    """One process; `answers` are those of the requests that were sent by `ask`."""

    def __init__(self, folder: Path, seconds: float, at_once: int, *overrides: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self.answers = dict[int, int | str]()
        self._threads = list[threading.Thread]()
        command = [sys.executable, "-m", "tests.fake_service", str(seconds), str(at_once)]
        command += [f"api.port={port}", f"cache.folder={folder}", f"logging.folder={folder}"]
        self.process = subprocess.Popen(
            [*command, *overrides],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )

    def await_start(self) -> None:
        started = time.monotonic()
        while self.status("/health") != 200:
            assert self.process.poll() is None, "the service has ended at its start"
            assert time.monotonic() - started < START_SECONDS
            time.sleep(0.05)

    def status(self, path: str) -> int | None:
        """None when nobody is there."""
        try:
            return httpx.get(f"{self.url}{path}", timeout=5).status_code
        except httpx.HTTPError:
            return None

    def ask(self, *seeds: int) -> None:
        """One request each, which are waited for in `finish`."""

        def send(seed: int) -> None:
            body = {"word": "学", "width": 100, "height": 100, "seed": seed}
            try:
                self.answers[seed] = httpx.post(
                    f"{self.url}{ROUTE}", json=body, timeout=60
                ).status_code
            except httpx.HTTPError as error:
                self.answers[seed] = type(error).__name__

        self._threads += [threading.Thread(target=send, args=(seed,)) for seed in seeds]
        for thread in self._threads[-len(seeds) :]:
            thread.start()

    @property
    def log(self) -> str:
        try:
            return (self._folder / "writing_service.log").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def await_log(self, words: str, times: int) -> None:
        started = time.monotonic()
        while self.log.count(words) < times:
            assert time.monotonic() - started < START_SECONDS
            time.sleep(0.02)

    def finish_requests(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def finish(self) -> int:
        """The exit status, once every request has its answer and the process has ended."""
        self.finish_requests()
        return self.process.wait(60)


@contextmanager
def running(folder: Path, seconds: float, at_once: int, *overrides: str) -> Iterator[Service]:
    service = Service(folder, seconds, at_once, *overrides)
    try:
        service.await_start()
        yield service
    finally:
        service.process.kill()
        service.process.wait()


def test_loop_and_parser_do_not_depend_on_what_else_is_installed():
    app = fake_app()
    config = Server(app, app.state.admission, load_settings().api).config
    assert (config.loop, config.http, config.ws) == ("asyncio", "h11", "none")


def test_sigterm_finishes_what_is_drawn_and_refuses_what_comes_and_says_not_ready(tmp_path: Path):
    with running(tmp_path, 4.0, 10, "api.shutdown_grace_seconds=60") as service:
        assert service.status("/health/ready") == 200
        service.ask(1, 2)
        service.await_log("AI generation begins", 2)
        service.process.send_signal(signal.SIGTERM)
        service.await_log("Stopping", 1)
        assert service.status("/health/ready") == 503
        assert service.status("/health") == 200
        service.ask(3)
        status = service.finish()
    assert service.answers == {1: 200, 2: 200, 3: 503}
    assert status in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_after_the_grace_period_the_rest_is_told_503(tmp_path: Path):
    with running(tmp_path, 60.0, 1, "api.shutdown_grace_seconds=1") as service:
        service.ask(1, 2)
        service.await_log("AI generation begins", 2)
        service.process.send_signal(signal.SIGTERM)
        status = service.finish()
    assert service.answers == {1: 503, 2: 503}
    assert status in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_a_second_signal_ends_at_once(tmp_path: Path):
    with running(tmp_path, 60.0, 1, "api.shutdown_grace_seconds=60") as service:
        service.ask(1)
        service.await_log("AI generation begins", 1)
        service.process.send_signal(signal.SIGTERM)
        service.await_log("Stopping", 1)
        assert service.process.poll() is None
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == -signal.SIGTERM


@pytest.mark.slow
def test_an_idle_service_ends_soon_also_by_a_key_stroke(tmp_path: Path):
    with running(tmp_path, 0.1, 1) as service:
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(30) in (0, -signal.SIGINT)


@pytest.mark.slow
def test_after_sigkill_everything_is_whole(tmp_path: Path):
    with running(tmp_path, 0.05, 2) as service:
        service.ask(*range(12))
        service.await_log("AI generation done", 3)
        service.process.kill()
        service.finish()
    with running(tmp_path, 0.05, 2) as service:
        service.answers.clear()
        service.ask(*range(12))
        service.finish_requests()
        service.process.send_signal(signal.SIGTERM)
        service.finish()
    assert service.answers == dict.fromkeys(range(12), 200)
    log = service.log
    assert log.endswith("\n")
    assert all(line[:2] == "20" for line in log.splitlines())
    assert "damaged" not in log
    kept = len(list(tmp_path.rglob("*.val")))
    assert kept == 12
    assert {one.name for one in tmp_path.iterdir()} <= {"pictures", "writing_service.log"}
