"""A Ray cluster of one's own on this machine: on loopback, in a throwaway folder, gone at the end with its processes.

For the demo, the tests and the measurements. Needs the extra `ray`.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

HOST = "127.0.0.1"
START_SECONDS = 300
STOP_SECONDS = 5
_STORE_BYTES = 400 * 1024**2
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A killed replica is to be seen at once, and a small machine kept free of Ray's own warnings.
    "RAY_DEDUP_LOGS": "0",
}


class LocalCluster:
    """One node. `url` is where the service answers."""

    def __init__(self, folder: Path, cpus: float) -> None:
        self.port, self._gcs, client, agent = _free_ports(4)
        self.url = f"http://{HOST}:{self.port}"
        self.address = f"{HOST}:{self._gcs}"
        self._folder = folder
        self._env = os.environ | _QUIET
        options = {
            "node-ip-address": HOST,
            "port": self._gcs,
            "ray-client-server-port": client,
            "dashboard-agent-listen-port": agent,
            "min-worker-port": 0,
            "max-worker-port": 0,
            "num-cpus": cpus,
            "num-gpus": 0,
            "object-store-memory": _STORE_BYTES,
            "temp-dir": folder,
            "include-dashboard": "false",
            "include-log-monitor": "false",
        }
        told = [f"--{name}={value}" for name, value in options.items()]
        with (folder / "head.log").open("wb") as log:
            self._head = subprocess.Popen(
                [_program("ray"), "start", "--head", "--block", "--disable-usage-stats", *told],
                env=self._env,
                stdout=log,
                stderr=log,
            )

    def deploy(self, config: Mapping[str, Any], engines: int = 1) -> None:
        """Serve this configuration, or change to it; returns when requests are served by so many engines.

        Raises RuntimeError.
        """
        path = self._folder / "serve.yaml"
        http = {"host": HOST, "port": self.port}
        path.write_text(yaml.safe_dump({**config, "http_options": http}), encoding="utf-8")
        command = [_program("serve"), "run", "--non-blocking", "--address", self.address, str(path)]
        self._await_head()
        done = subprocess.run(
            command, env=self._env, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            raise RuntimeError(f"The service cannot be deployed:\n{done.stderr}")
        self.await_engines(engines)

    def await_engines(self, count: int) -> None:
        """Until requests are served, by so many. Raises RuntimeError."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with suppress(httpx.HTTPError, ValueError, KeyError):
                ready = httpx.get(f"{self.url}/health/ready", timeout=5).is_success
                status = httpx.get(f"{self.url}/api/writing/status", timeout=5).json()
                if ready and status["result"]["replicas"] == count:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"There are no {count} engines:\n{self.log('controller')}")

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Their processes, as they are now."""
        return self.processes(f":{deployment}")

    def processes(self, name: str) -> list[psutil.Process]:
        """Whose program, or whose name by Ray, has that in it."""
        found = list[psutil.Process]()
        for one in psutil.Process(self._head.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess, IndexError):
                if name in one.cmdline()[0]:
                    found.append(one)
        return found

    def log(self, of: str) -> str:
        """What the processes of that name say, such as "Engine" or "controller"."""
        logs = sorted((self._folder / "session_latest" / "logs" / "serve").glob(f"*{of}*.log"))
        return "\n".join(one.read_text(encoding="utf-8", errors="replace") for one in logs)

    def console(self) -> str:
        """What all replicas have printed."""
        logs = sorted((self._folder / "session_latest" / "logs").glob("worker-*.out"))
        return "\n".join(one.read_text(encoding="utf-8", errors="replace") for one in logs)

    def stop(self) -> None:
        """With everything that it has started."""
        try:
            started = psutil.Process(self._head.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            started = []
        self._head.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._head.wait(STOP_SECONDS)
        _, left = psutil.wait_procs(started, timeout=STOP_SECONDS)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self._head.kill()
        self._head.wait()
        psutil.wait_procs(left, timeout=STOP_SECONDS)

    def _await_head(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._head.poll() is None:
            if "--block" in (self._folder / "head.log").read_text(encoding="utf-8"):
                return
            time.sleep(0.1)
        raise RuntimeError((self._folder / "head.log").read_text(encoding="utf-8"))


@contextmanager
def local_cluster(cpus: float = 4) -> Iterator[LocalCluster]:
    """`cpus` is how many Ray is told of: a replica takes as many as its deployment says, whatever there are."""
    # A short path: Ray puts sockets there, whose names have a limit.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as name:
        cluster = LocalCluster(Path(name), cpus)
        try:
            yield cluster
        finally:
            cluster.stop()


def _program(name: str) -> str:
    """Of the environment that this runs in."""
    return str(Path(sys.executable).with_name(name))


def _free_ports(count: int) -> list[int]:
    """That nobody listens on right now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
