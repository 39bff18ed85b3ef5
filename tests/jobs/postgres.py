"""A real PostgreSQL on loopback, in a folder that is thrown away."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_USER = "postgres"


class PostgresServer:
    """Can be stopped and started again; its data stay."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs = programs
        self._folder = folder
        self.port = port

    def url(self, database: str) -> str:
        """Of one of its databases."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """A new one; gives its URL."""
        host = ["-h", "127.0.0.1", "-p", str(self.port), "-U", _USER]
        self.run("createdb", [*host, database])
        return self.url(database)

    def start(self) -> None:
        """Returns when it answers."""
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-o", options, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """At once, as when it is killed."""
        self._control("stop", "-m", "immediate")

    def run(self, program: str, arguments: Sequence[str]) -> None:
        """PostgreSQL refuses to be root."""
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", *command]
        # What the server inherits it would keep open.
        subprocess.run(
            command, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _control(self, *arguments: str) -> None:
        self.run("pg_ctl", ["-D", str(self._folder / "data"), "-w", *arguments])


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Skips the test where it is not installed."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    found = shutil.which("pg_ctl")
    programs = programs or (Path(found).parent if found else None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        server = PostgresServer(programs, folder, _free_port())
        server.run("initdb", ["-D", str(folder / "data"), "-U", _USER, "-A", "trust", "-N"])
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
