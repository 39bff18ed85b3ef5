"""More requests than can be drawn, for a while: is each answered, how soon, and does the service stay as it was?

The service is a process of its own, as `writing-service serve` starts it, with the embedded checkpoint. First a few
clients that wait for their answers find out what it can draw; then requests come at a multiple of that, whether or
not others are answered yet, and /health is asked all the while.
"""

import asyncio
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

ROUTE = "/api/writing/generate-writing-image-binary"
WORDS = (("学习", "study"), ("猫", "cat"), ("вода", "water"), ("ปลา", "fish"), ("tree", "tree"))
STYLES = ("comic", "watercolor", "realistic", "ink", "traditional")
CLIENTS = 4
START_SECONDS = 180
PATIENCE = 400
HEALTH_EVERY = 0.1
MEMORY_EVERY = 1.0
_OK = 200
_LATE = 504
_REFUSED = (429, 503, _LATE)
_MIB = 1024**2


@dataclass(frozen=True)
class Answer:
    """One request. `status` is 0 where none came."""

    status: int
    seconds: float
    retry_after: str | None = None

    @property
    def polite(self) -> bool:
        """A picture, or a refusal that says when to come back; of a passed deadline the client knows."""
        return self.status in (_OK, _LATE) or self.retry_after is not None


@dataclass(frozen=True)
class Outcome:
    """Of the whole run. `capacity` and `offered` are requests a second, `memory` (MiB) is of before and meanwhile."""

    seconds: float
    capacity: float
    offered: float
    answers: tuple[Answer, ...]
    health: tuple[float, ...]
    memory: tuple[float, ...]

    @property
    def drawn(self) -> tuple[float, ...]:
        """Seconds of the answers with a picture."""
        return tuple(one.seconds for one in self.answers if one.status == _OK)

    @property
    def refused(self) -> tuple[float, ...]:
        """Seconds of the refusals."""
        return tuple(one.seconds for one in self.answers if one.status in _REFUSED)

    @property
    def failures(self) -> tuple[Answer, ...]:
        """Neither drawn nor refused politely."""
        known = (_OK, *_REFUSED)
        return tuple(one for one in self.answers if one.status not in known or not one.polite)


async def measure(seconds: float, factor: float, requests: int, settings: Sequence[str]) -> Outcome:
    """At `factor` times the capacity for `seconds`, `requests` at most. `settings` are the service's overrides."""
    async with _service(settings) as (process, client):
        await _together(client, CLIENTS)  # the models load
        capacity = await _capacity(client, min(30.0, seconds))
        memory, health = [_memory(process)], list[float]()
        watch = asyncio.gather(_watch_health(client, health), _watch_memory(process, memory))
        answers = await _offer(client, capacity * factor, seconds, requests)
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
    offered = capacity * factor
    return Outcome(seconds, capacity, offered, answers, tuple(health), tuple(memory))


async def _offer(
    client: httpx.AsyncClient, rate: float, seconds: float, requests: int
) -> tuple[Answer, ...]:
    """Requests by chance (Poisson), `rate` a second; ends when the last is answered."""
    chance, tasks, ends = random.Random(0), list[asyncio.Task[Answer]](), time.monotonic() + seconds
    while time.monotonic() < ends and len(tasks) < requests:
        tasks.append(asyncio.create_task(_ask(client, len(tasks))))
        await asyncio.sleep(chance.expovariate(rate))
    return tuple(await asyncio.gather(*tasks))


async def _capacity(client: httpx.AsyncClient, seconds: float) -> float:
    """Pictures a second when CLIENTS wait for theirs, one after the other."""
    drawn, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        drawn += await _together(client, CLIENTS)
    return drawn / (time.monotonic() - started)


async def _together(client: httpx.AsyncClient, clients: int) -> int:
    """How many were drawn. Raises RuntimeError where one was not."""
    answers = await asyncio.gather(*(_ask(client, 1_000_000 + one) for one in range(clients)))
    if wrong := [one.status for one in answers if one.status != _OK]:
        raise RuntimeError(f"The service answers {wrong[0]} before there is any load.")
    return len(answers)


async def _ask(client: httpx.AsyncClient, number: int) -> Answer:
    """Each with a seed of its own, so that no two are the same."""
    word, translation = WORDS[number % len(WORDS)]
    style, seed = STYLES[number // len(WORDS) % len(STYLES)], time.time_ns() + number
    body = {"word": word, "translation": translation, "style": style, "seed": seed}
    started = time.perf_counter()
    try:
        answer = await client.post(ROUTE, json=body)
    except httpx.HTTPError:
        return Answer(0, time.perf_counter() - started)
    return Answer(
        answer.status_code, time.perf_counter() - started, answer.headers.get("retry-after")
    )


async def _watch_health(client: httpx.AsyncClient, found: list[float]) -> None:
    """Until cancelled. An answer that is none counts as infinitely late."""
    while True:
        started = time.perf_counter()
        try:
            good = (await client.get("/health")).status_code == _OK
        except httpx.HTTPError:
            good = False
        found.append(time.perf_counter() - started if good else float("inf"))
        await asyncio.sleep(HEALTH_EVERY)


async def _watch_memory(process: psutil.Process, found: list[float]) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(MEMORY_EVERY)
        found.append(_memory(process))


def _memory(process: psutil.Process) -> float:
    return process.memory_info().rss / _MIB


@asynccontextmanager
async def _service(
    settings: Sequence[str],
) -> AsyncGenerator[tuple[psutil.Process, httpx.AsyncClient]]:
    """The process and a client for it, ready; stopped in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    limits = httpx.Limits(max_connections=None)
    url = f"http://127.0.0.1:{port}"
    fixed = [f"api.port={port}", "logging.folder=null", "cache.enabled=false"]
    with _running([*fixed, *settings]) as server:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
            await _await_ready(client, server)
            yield psutil.Process(server.pid), client


@contextmanager
def _running(settings: Sequence[str]) -> Generator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "writing_service", "serve", *settings]
    # Its log goes to stdout; on stderr it says why it does not start.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


async def _await_ready(client: httpx.AsyncClient, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(httpx.HTTPError):
            if (await client.get("/health/ready")).status_code == _OK:
                return
        await asyncio.sleep(0.2)
    raise RuntimeError("The service does not start.")


def percentile(values: Sequence[float], percent: float) -> float:
    """By the nearest rank; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(percent) // 100) - 1)] if ordered else float("nan")


def table(outcome: Outcome) -> str:
    """Markdown: what was offered, then seconds by kind of answer, then what stayed."""
    lines = [
        f"{outcome.offered:.2f} requests a second for {outcome.seconds:.0f} s, "
        f"{outcome.offered / outcome.capacity:.0f} times the {outcome.capacity:.2f} that the service draws "
        f"({len(os.sched_getaffinity(0))} CPU cores, embedded checkpoint, 512²).",
        "",
        "| answer | requests | p50 | p95 | p99 |",
        "|---|---|---|---|---|",
        _row("drawn (200)", outcome.drawn, "s"),
        _row("refused (503, 504)", outcome.refused, "ms"),
        _row("`/health` meanwhile", outcome.health, "ms"),
        "",
        f"{len(outcome.failures)} of {len(outcome.answers)} requests were neither drawn nor refused with a reason. "
        f"Memory: {_quarters(outcome.memory)} MB before and after each quarter of the time.",
    ]
    return "\n".join(lines)


def _row(name: str, seconds: Sequence[float], unit: str) -> str:
    scale, digits = (1000, 0) if unit == "ms" else (1, 1)
    figures = [
        f"{scale * percentile(seconds, one):.{digits}f} {unit}" if seconds else "-"
        for one in (50, 95, 99)
    ]
    return f"| {' | '.join([name, str(len(seconds)), *figures])} |"


def write(document: Path, name: str, text: str) -> None:
    """Between the document's `<!-- name: begin -->` and `<!-- name: end -->`. Raises ValueError without them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    whole = document.read_text("utf-8")
    if begin not in whole or end not in whole:
        raise ValueError(f"{document} has no place for the figures: {begin} ... {end}")
    head, rest = whole.split(begin, 1)
    tail = rest.split(end, 1)[1]
    document.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", "utf-8")


def _quarters(values: Sequence[float]) -> str:
    """The first, then the last of each quarter."""
    return ", ".join(f"{values[(len(values) - 1) * part // 4]:.0f}" for part in range(5))
