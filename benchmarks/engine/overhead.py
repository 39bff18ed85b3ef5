"""Milliseconds of everything that is neither denoising nor decoding, through HTTP on loopback, by stage.

The service is a process of its own, as clients meet it, and answers with all conditioning images.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks.engine.clients import STYLES, WORDS

GOALS_MS: Mapping[int, float] = {512: 120, 1024: 350}
"""By side, for the whole overhead."""

STAGES = ("render", "conditioning", "prompt", "queue", "encode")
REST = "JSON, HTTP and the rest"
STEPS = 2
"""Few: what is measured does not depend on them."""

START_SECONDS = 120
ROUTE = "/api/writing/generate-writing-image"


async def measure(requests: int) -> None:
    """A table of medians: a line a stage, a column a size."""
    with service() as url, httpx.Client(base_url=url, timeout=600) as client:
        costs = {side: overheads(client, side, requests) for side in GOALS_MS}
    print(f"{os.cpu_count()} cores; medians of {requests} requests, milliseconds")
    print(f"{'':<26}" + "".join(f"{f'{side}²':>10}" for side in costs))
    for stage in (*STAGES, REST):
        print(row(stage, [[one[stage] for one in some] for some in costs.values()]))
    print(row("all of it", [[sum(one.values()) for one in some] for some in costs.values()]))
    print(f"{'goal':<26}" + "".join(f"{GOALS_MS[side]:>10.0f}" for side in costs))


def overheads(client: httpx.Client, side: int, requests: int) -> list[dict[str, float]]:
    """Of each request, by stage; one before them only warms."""
    return [overhead(client, request(side, seed)) for seed in range(requests + 1)][1:]


def request(side: int, seed: int) -> dict[str, Any]:
    """Words and styles in turns; the seed varies layout and methods."""
    word, meaning = WORDS[seed % len(WORDS)]
    return {
        "word": word,
        "translation": meaning,
        "style": STYLES[seed // len(WORDS) % len(STYLES)],
        "width": side,
        "height": side,
        "seed": seed,
        "num_inference_steps": STEPS,
        "include_conditioning_images": True,
    }


def overhead(client: httpx.Client, asked: dict[str, Any]) -> dict[str, float]:
    """Milliseconds by stage; the rest is what the client waited beyond all stages."""
    started = time.perf_counter()
    answer = client.post(ROUTE, json=asked).raise_for_status().json()
    waited = 1000 * (time.perf_counter() - started)
    times = answer["generation_metadata"]["stage_times_ms"]
    return {**{stage: times[stage] for stage in STAGES}, REST: waited - sum(times.values())}


def row(name: str, columns: Sequence[Sequence[float]]) -> str:
    """The medians."""
    return f"{name:<26}" + "".join(f"{statistics.median(one):>10.1f}" for one in columns)


@contextmanager
def service() -> Generator[str]:
    """The URL of a service on a free port. Raises SystemExit when it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = [f"api.port={port}", "logging.folder=null", "logging.level=WARNING"]
    settings.append("cache.enabled=false")
    process = subprocess.Popen([sys.executable, "-m", "writing_service", "serve", *settings])
    try:
        url = f"http://127.0.0.1:{port}"
        await_health(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def await_health(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until it answers."""
    started = time.monotonic()
    while process.poll() is None and time.monotonic() - started < START_SECONDS:
        try:
            httpx.get(f"{url}/health").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("The service does not start.")
