"""What is measured: the configuration of a cluster, the service without Ray, and clients for both."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

ROUTE = "/api/writing/generate-writing-image-binary"
START_SECONDS = 120
PATIENCE = 120
OK = 200

QUIET = ("api.serve_without_keys=true", "cache.enabled=false", "jobs.url=sqlite://")
"""Each request is drawn."""
MADE_UP = (*QUIET, "ai_generation.gpu.device=cpu", "ai_generation.legibility.min_score=0")
"""With a made-up device, whose pictures may be as hard to read as they like."""


def config(
    engines: int = 2,
    seconds: float | None = None,
    overrides: Sequence[str] = MADE_UP,
    release: str = "1",
    **engine: Any,
) -> dict[str, Any]:
    """For Ray: so many engines, on which a picture takes so many `seconds`, None: with the settings' own models.

    Another `release` is another version of all replicas. `engine` are options of that deployment.
    """
    deployments = [
        {"name": "Board", "ray_actor_options": {"num_cpus": 0}},
        {"name": "Ingress", "ray_actor_options": {"num_cpus": 0.5}},
        {
            "name": "Engine",
            "num_replicas": engines,
            "autoscaling_config": None,
            "ray_actor_options": {"num_cpus": 0.5, "num_gpus": 0},
            **engine,
        },
    ]
    application = {
        "name": "writing",
        "route_prefix": "/",
        "import_path": "writing_service.ray_deployment:build",
        "runtime_env": {"env_vars": {"RELEASE": release}},
        "args": {"overrides": list(overrides), "simulated_seconds": seconds},
        "deployments": deployments,
    }
    return {"applications": [application]}


@contextmanager
def without_ray(*command: str) -> Iterator[str]:
    """`python -m COMMAND api.port=...` as a process of its own, with one thread like a replica; gives its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = [f"api.port={port}", "logging.folder=null"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *settings],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health/ready").is_success:
                return
        time.sleep(0.2)
    raise RuntimeError("The service does not start.")


@dataclass(frozen=True)
class Answer:
    """One request; `status` is 0 where no answer came."""

    status: int
    seconds: float
    content: bytes = b""


def ask(client: httpx.Client, seed: int, side: int = 256, **fields: Any) -> Answer:
    """One picture."""
    body = {"word": "学习", "translation": "study", "seed": seed, "width": side, "height": side}
    started = time.perf_counter()
    try:
        answer = client.post(ROUTE, json={**body, **fields})
    except httpx.HTTPError:
        return Answer(0, time.perf_counter() - started)
    return Answer(answer.status_code, time.perf_counter() - started, answer.content)


class Load:
    """So many clients, each of which asks again as soon as it is answered, until the block ends."""

    def __init__(self, url: str, clients: int, side: int = 256) -> None:
        self._url, self._side = url, side
        self._stop = threading.Event()
        self._answers = [list[Answer]() for _ in range(clients)]
        self._threads = [
            threading.Thread(target=self._keep_asking, args=(one,)) for one in range(clients)
        ]
        self.seconds = 0.0

    @property
    def answers(self) -> list[Answer]:
        """All of them."""
        return [one for each in self._answers for one in each]

    @property
    def failed(self) -> list[int]:
        """Statuses of those that brought no picture."""
        return [one.status for one in self.answers if one.status != OK]

    def __enter__(self) -> "Load":
        self._started = time.monotonic()
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()
        self.seconds = time.monotonic() - self._started

    def _keep_asking(self, number: int) -> None:
        seed = 1_000_000 * number
        with httpx.Client(base_url=self._url, timeout=PATIENCE) as client:
            while True:
                self._answers[number].append(ask(client, seed, self._side))
                if self._stop.is_set():
                    return
                seed += 1
