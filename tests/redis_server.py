"""A redis-server of one's own: on a free loopback port, in a throwaway folder, gone at the end."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_SECONDS = 20


class RedisServer:
    """Keeps nothing on disk: what it held is gone when it stops."""

    def __init__(self, program: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._command += ["--dir", str(folder)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        started = time.monotonic()
        while self.ask("PING") != "+PONG":
            assert time.monotonic() - started < START_SECONDS, "redis-server does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """As a machine that fails would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, command: str) -> str:
        """The answer's first line; "" when nobody is there."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(f"{command}\r\n".encode())
                return connection.makefile().readline().strip()
        except OSError:
            return ""

    def wait_until_empty(self) -> None:
        """Redis drops what is past its time when it is asked, or now and then."""
        started = time.monotonic()
        while self.ask("DBSIZE") != ":0":
            assert time.monotonic() - started < START_SECONDS
            time.sleep(0.02)


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Running; skips the test where the program is missing."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    server = RedisServer(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
