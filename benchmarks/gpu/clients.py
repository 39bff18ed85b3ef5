"""Several clients at once, through the service's generator and over HTTP, against one picture at a time."""

import asyncio
import base64
import json
import socket
import statistics
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.gpu.assembly import Engine, assembled, pipeline_of
from benchmarks.gpu.bench import Bench, NotHere
from writing_service.config import Settings, load_settings
from writing_service.diffusion.doors import Workload
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.types import ConditioningKind, WritingRequest

WORDS = (("学习", "study"), ("猫", "cat"), ("вода", "water"), ("tree", "tree"), ("山", "mountain"))
STYLES = ("comic", "watercolor", "ink", "traditional")
ROUNDS = 2
WARMING_STEPS = 3
ROUTE = "/api/writing/generate-writing-image"

Ask = Callable[[WritingRequest], Awaitable[Any]]


@dataclass
class ReadyLoader:
    """A PictureLoader of a pipeline that is there already, and outlives it."""

    pipeline: MultiControlNetPipeline
    load_times_ms: Mapping[str, float] = field(default_factory=dict)

    async def load(self) -> MultiControlNetPipeline:
        """See PictureLoader."""
        return self.pipeline

    def check(self) -> list[str]:
        """See PictureLoader."""
        return []

    def status(self) -> dict[str, Any]:
        """See PictureLoader."""
        return {
            "models_loaded": True,
            "loading": None,
            "load_times_ms": {},
            **self.pipeline.status(),
        }

    def workload(self) -> Workload:
        """See PictureLoader."""
        return self.pipeline.workload()

    def identity(self) -> None:
        """Unknown, so that every picture is drawn: that is what is measured."""

    def close(self) -> None:
        """Whoever made the pipeline closes it."""


@dataclass(frozen=True)
class Round:
    """Seconds that each client waited since all asked, and until the last was served."""

    waits: tuple[float, ...]
    seconds: float


def clients(bench: Bench) -> None:
    """All at once and one after the other, through both doors; in turns, so that all meet the same card."""
    most = min(bench.options.clients, max(bench.options.batches))
    with assembled(bench, most=most) as ours, ExitStack() as stack:
        doors = _doors(ours, _settings(bench), stack)
        asked = requests(bench)
        for ask in doors.values():
            ours.runner.run(_round(ask, [_short(one) for one in asked]))
        rounds: dict[str, list[Round]] = {name: [] for name in doors}
        for _ in range(min(ROUNDS, bench.options.repeats)):
            for name, ask in doors.items():
                if rounds[name] and bench.left < 1.5 * rounds[name][0].seconds:
                    bench.skip(name, f"another round does not fit into {bench.left:.0f} s")
                    continue
                rounds[name].append(ours.runner.run(_round(ask, asked)))
        for name, some in rounds.items():
            _tell(bench, name, some)


def requests(bench: Bench) -> list[WritingRequest]:
    """One for each client: other words, styles, steps and weights."""
    side, steps = bench.options.side, bench.options.steps
    return [
        WritingRequest(
            *WORDS[client % len(WORDS)],
            style=STYLES[client % len(STYLES)],
            width=side,
            height=side,
            seed=client,
            num_inference_steps=max(1, steps + client % 5 - 2),
            conditioning_weights={
                ConditioningKind.DEPTH: 0.1 * client,
                ConditioningKind.SCRIBBLE: 0.0 if client % 3 == 0 else 0.6,
            },
        )
        for client in range(bench.options.clients)
    ]


def _settings(bench: Bench) -> Settings:
    pipeline = "embedded" if bench.options.models == "embedded" else "sdxl"
    return load_settings(
        [
            f"pipeline={pipeline}",
            f"ai_generation.gpu.device={bench.device.type}",
            # Random weights draw no words: each picture would be drawn as often as is allowed.
            "ai_generation.legibility.max_attempts=1",
        ]
    )


def _doors(ours: Engine, settings: Settings, stack: ExitStack) -> dict[str, Ask]:
    """Ways to ask, by name. The engine without company has the same networks, and draws when the other rests."""
    try:
        import uvicorn  # noqa: F401

        from writing_service.app import assemble_generator, create_app
    except ModuleNotFoundError as error:
        raise NotHere(f"the service needs the package {error.name}") from None
    alone = pipeline_of(ours.denoiser, ours.gpu, deterministic=True)
    stack.callback(alone.close)
    asks = dict[str, Ask]()
    for name, pipeline in (("at once", ours.pipeline), ("one at a time", alone)):
        loader = ReadyLoader(pipeline)
        generator = assemble_generator(settings.ai_generation, loader, ours.gpu, ())
        asks[f"generator, {name}"] = generator.generate
        address = stack.enter_context(_served(create_app(settings, loader, ours.gpu)))
        asks[f"HTTP, {name}"] = _HttpClient(address)
    return asks


@contextmanager
def _served(app: Any) -> Generator[str]:
    """The app on a free port of the loopback, in a thread of its own; gives its address."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@dataclass(frozen=True)
class _HttpClient:
    """Asks for JSON and reads the picture out of it."""

    address: str

    async def __call__(self, request: WritingRequest) -> bytes:
        return await asyncio.to_thread(self._ask, request)

    def _ask(self, request: WritingRequest) -> bytes:
        body = {
            "word": request.word,
            "translation": request.translation,
            "style": request.style,
            "width": request.width,
            "height": request.height,
            "seed": request.seed,
            "num_inference_steps": request.num_inference_steps,
            "conditioning_weights": {
                kind.value: weight for kind, weight in request.conditioning_weights.items()
            },
        }
        sent = urllib.request.Request(
            self.address + ROUTE,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(sent, timeout=300) as answer:
                return base64.b64decode(json.load(answer)["generated_image_base64"])
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"The service answered {error.code}: {error.read()!r}") from None


async def _round(ask: Ask, asked: list[WritingRequest]) -> Round:
    started = time.perf_counter()

    async def waited(request: WritingRequest) -> float:
        await ask(request)
        return time.perf_counter() - started

    waits = await asyncio.gather(*(waited(one) for one in asked))
    return Round(tuple(waits), time.perf_counter() - started)


def _short(request: WritingRequest) -> WritingRequest:
    return replace(request, num_inference_steps=WARMING_STEPS)


def _tell(bench: Bench, name: str, rounds: list[Round]) -> None:
    waits = sorted(wait for one in rounds for wait in one.waits)
    bench.row(
        name,
        pictures_per_second=statistics.median(len(one.waits) / one.seconds for one in rounds),
        p50_seconds=statistics.median(waits),
        p95_seconds=waits[min(len(waits) - 1, round(0.95 * (len(waits) - 1)))],
        clients=len(rounds[0].waits),
        rounds=len(rounds),
    )
