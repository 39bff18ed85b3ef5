"""The same service on Ray Serve: ingress replicas on CPUs answer HTTP, engine replicas draw, one on each GPU.

    serve run writing_service.ray_deployment:build overrides='["pipeline=sdxl"]'

`build` puts three deployments together. An engine holds the whole of `app.local_backend`; an ingress holds the app
around a RemoteGenerator; the board is where the engines' reports hang. The rest of what happens is in `cluster/`.
docs/ray.md tells how to start, scale and update it.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import ray
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.serve.exceptions import (
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as ASGIMessage

from writing_service.api.keys import check_exposure, keys_of
from writing_service.api.request_ids import HEADER
from writing_service.app import Backend, app_before, local_backend
from writing_service.cluster.families import ClusterMetrics, packed
from writing_service.cluster.remote import RemoteGenerator, ReplicaLost
from writing_service.cluster.reports import (
    EVERY_SECONDS,
    FRESH_SECONDS,
    Board,
    Report,
    Standing,
    report_of,
)
from writing_service.cluster.stream import Commission, Message, StageRecorder, drawing
from writing_service.cluster.view import NO_REPLICA, ClusterGPU, ClusterView
from writing_service.config import Settings, load_settings
from writing_service.diffusion.fake import FakeGPU, FakeLoader, FakePipeline
from writing_service.errors import ModelsUnavailable
from writing_service.observability.logs import configure_logging
from writing_service.observability.metrics import ServiceMetrics
from writing_service.observability.observer import NOBODY, Observer
from writing_service.observability.traces import Tracing
from writing_service.prompt.styles import StyleDefinitions
from writing_service.warmer import ModelWarmer

logger = logging.getLogger(__name__)

ENGINE = "Engine"

# A replica logs to its console, which Ray keeps in a file of its own.
_IN_A_REPLICA = ("logging.folder=null",)
# An ingress has no models: its device does not matter, and the engines warm themselves up.
_IN_AN_INGRESS = (
    *_IN_A_REPLICA,
    "ai_generation.gpu.device=cpu",
    "ai_generation.warmup.at_start=false",
)

_LOST = (
    RayActorError,
    WorkerCrashedError,
    NodeDiedError,
    ObjectLostError,
    ReplicaUnavailableError,
    TaskCancelledError,
)
"""What Ray raises where a replica, its process or its host has gone."""

_DRAIN_SPARE_SECONDS = 30.0
_BOARD_SECONDS = 5.0
_SEVERAL_LOOKS = int(2 * FRESH_SECONDS / EVERY_SECONDS)


class Options(BaseModel):
    """What `serve run` and a configuration file's `args` say.

    `overrides` are the service's settings, as `writing-service serve` takes them. With `simulated_seconds` engines have
    a made-up device in place of models, on which one picture after the other takes so long: for measuring.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    overrides: tuple[str, ...] = ()
    simulated_seconds: float | None = None


def build(options: Options) -> serve.Application:
    """The whole service. Raises ConfigurationError.

    How many replicas there are, and on what, a configuration file says by deployment: deploy/ray/.
    """
    settings = load_settings(options.overrides)
    # Ray's own proxies listen, to whomever Ray's settings say: not to be opened by oversight.
    exposed = settings.api.model_copy(update={"host": "0.0.0.0"})  # noqa: S104
    check_exposure(exposed, keys_of(settings.api, os.environ))
    drain = settings.api.max_request_timeout_seconds + _DRAIN_SPARE_SECONDS
    board = BoardKeeper.bind()
    engine = Engine.options(graceful_shutdown_timeout_s=drain).bind(options, board)
    return Ingress.options(graceful_shutdown_timeout_s=drain).bind(options, engine, board)


@serve.deployment(
    name="Board", num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0.1}
)
class BoardKeeper:
    """The Board, for all replicas. If it dies, what dead engines have drawn is no longer counted; no more is lost."""

    def __init__(self) -> None:
        self._board = Board()

    async def post(self, report: Report, metrics: bytes) -> None:
        """See Board."""
        self._board.post(report, metrics)

    async def exchange(self, ingress: str, metrics: bytes) -> Standing:
        """See Board."""
        return self._board.exchange(ingress, metrics)

    async def metrics(self) -> Mapping[str, bytes]:
        """See Board."""
        return self._board.metrics()


@serve.deployment(
    name=ENGINE,
    # As many as find a place in batches, and a few that wait beside; the others wait at the ingress, for any engine.
    max_ongoing_requests=16,
    ray_actor_options={"num_cpus": 2, "num_gpus": 1},
    autoscaling_config={
        "min_replicas": 1,
        "max_replicas": 20,
        "target_ongoing_requests": 4,
        # Models take a minute to load, so neither on a whim.
        "upscale_delay_s": 10,
        "downscale_delay_s": 300,
        "downscale_to_zero_delay_s": 1800,
    },
    # In an update new ones start before old ones stop; 0 where there is no GPU to spare.
    max_surge_percent=25,
    health_check_period_s=5,
    health_check_timeout_s=30,
)
class Engine:
    """Draws. Ray takes a replica for started when its models are loaded, and warm where the settings say so."""

    async def __init__(self, options: Options, board: DeploymentHandle[Any]) -> None:
        self._settings = load_settings([*options.overrides, *_IN_A_REPLICA])
        configure_logging(self._settings.logging)
        self._name, self._node = _name(), ray.get_runtime_context().get_node_id()
        self._metrics = ServiceMetrics()
        self._backend = _engine_backend(self._settings, options, self._metrics)
        if self._settings.ai_generation.enabled:
            await self._get_ready()
        self._board = board
        self._posting = asyncio.create_task(_for_ever(self._post))

    async def draw(self, commission: Commission) -> AsyncGenerator[Message]:
        """See cluster.stream.drawing."""
        async with aclosing(drawing(self._backend.generator, commission)) as messages:
            async for message in messages:
                yield message

    async def check_health(self) -> None:
        """Asked by Ray, which replaces a replica whose models are lost. Raises ModelsUnavailable."""
        reasons = await asyncio.to_thread(self._backend.generator.check)
        if reasons and self._settings.ai_generation.enabled:
            raise ModelsUnavailable("; ".join(reasons))

    async def __del__(self) -> None:
        """By Ray, when nothing is drawn any more."""
        if hasattr(self, "_posting"):
            self._posting.cancel()
            await asyncio.to_thread(self._backend.generator.close)
            for detector in self._backend.detectors:
                await asyncio.to_thread(detector.close)

    async def _get_ready(self) -> None:
        assert self._backend.load is not None
        await self._backend.load()
        if self._settings.ai_generation.warmup.at_start:
            await ModelWarmer(self._backend.generator, self._backend.gpu).warm_at_start()

    async def _post(self) -> None:
        backend = self._backend
        report, metrics = await asyncio.gather(
            asyncio.to_thread(
                report_of,
                self._name,
                self._node,
                backend.generator,
                backend.gpu,
                backend.identity,
            ),
            asyncio.to_thread(packed, self._metrics.registry),
        )
        await asyncio.wait_for(self._board.post.remote(report, metrics), _BOARD_SECONDS)


@serve.deployment(
    name="Ingress",
    num_replicas=1,
    # The service's own queue says how many may wait: api.max_queue.
    max_ongoing_requests=10_000,
    ray_actor_options={"num_cpus": 1, "num_gpus": 0},
    max_surge_percent=100,
    health_check_period_s=5,
)
@serve.ingress()  # pyright: ignore[reportUntypedClassDecorator]
class Ingress:
    """Answers HTTP: the whole app, whose pictures are drawn by the engines."""

    def __init__(
        self, options: Options, engine: DeploymentHandle[Any], board: DeploymentHandle[Any]
    ) -> None:
        self._settings = load_settings([*options.overrides, *_IN_AN_INGRESS])
        configure_logging(self._settings.logging)
        self._engine, self._board, self._name = engine, board, _name()
        self._application = serve.get_replica_context().app_name
        self._view = ClusterView()
        self._metrics = ServiceMetrics()
        self._looks_at_several = 0

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        """By Ray, once."""
        app = await asyncio.to_thread(app_before, self._settings, self._backend)
        with suppress(Exception):
            await self._look()
        self._looking = asyncio.create_task(_for_ever(self._look))
        return OneRequestId(app)

    def _backend(self, metrics: ServiceMetrics, tracing: Tracing | None) -> Backend:
        self._metrics = metrics
        here = local_backend(self._settings, ServiceMetrics())
        generator = RemoteGenerator(
            self._draw,
            self._view,
            here.generator,
            StyleDefinitions(self._settings.ai_generation.styles),
            tracing or NOBODY,
        )
        gpu = ClusterGPU(self._view, here.gpu.get_diagnostics)
        return Backend(generator, gpu, self._view.identity, ClusterMetrics(self._read_metrics))

    async def _draw(self, commission: Commission) -> AsyncGenerator[Message]:
        """See cluster.remote.Call."""
        drawn: Any = self._engine.options(stream=True).draw.remote(commission)
        try:
            async for message in drawn:
                yield message
        except _LOST as error:
            raise ReplicaLost(type(error).__name__) from error
        except DeploymentUnavailableError as error:
            raise ModelsUnavailable("No replica can be started; the log says why.") from error
        except RayTaskError as error:
            raise error.cause from error
        finally:
            # Of one that has ended it does nothing.
            drawn.cancel()

    async def _look(self) -> None:
        """How all stands."""
        metrics = await asyncio.to_thread(packed, self._metrics.registry)
        exchange = self._board.exchange.remote(self._name, metrics)
        self._view.standing = await asyncio.wait_for(exchange, _BOARD_SECONDS)
        if not self._view.live:
            self._view.asleep = await asyncio.to_thread(_why_asleep, self._application)
        self._warn_of_several()

    def _warn_of_several(self) -> None:
        """Once: what several ingresses must share, and do not. Two that take turns in an update are not several."""
        self._looks_at_several += (
            1 if self._view.standing.ingresses > 1 else -self._looks_at_several
        )
        if self._looks_at_several == _SEVERAL_LOOKS:
            for sentence in not_shared(self._settings):
                logger.warning("Several ingress replicas, but %s", sentence)

    def _read_metrics(self) -> Mapping[str, bytes]:
        """On a thread of its own. This ingress's are the latest, and all that there is without the board."""
        told: Mapping[str, bytes] = {}
        with suppress(TimeoutError, RayError, RayServeException):
            told = self._board.metrics.remote().result(timeout_s=_BOARD_SECONDS)
        return {**told, self._name: packed(self._metrics.registry)}


class OneRequestId:
    """ASGI middleware: Ray's proxy answers with X-Request-ID, the same that it gives the app; twice would be wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def without(message: ASGIMessage) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)[HEADER]
            await send(message)

        await self._app(scope, receive, without)


def not_shared(settings: Settings) -> Sequence[str]:
    """What each ingress would keep for itself, as ends of a sentence."""
    found = list[str]()
    if settings.jobs.url.startswith("sqlite"):
        found.append("jobs.url is SQLite, so each has jobs of its own: set a PostgreSQL URL.")
    if settings.cache.enabled and not settings.cache.redis:
        found.append(
            "cache.redis is not set, so each keeps pictures of its own: set a URL of Redis."
        )
    found.append("each counts api.rate_limits on its own, so they allow as many times as much.")
    return found


def _engine_backend(settings: Settings, options: Options, metrics: ServiceMetrics) -> Backend:
    recorder: list[Observer] = [StageRecorder()]
    if options.simulated_seconds is None:
        return local_backend(settings, metrics, recorder)
    pipeline = FakePipeline(options.simulated_seconds, at_once=1)
    return local_backend(settings, metrics, recorder, FakeLoader(pipeline), FakeGPU())


def _name() -> str:
    """Of this replica, short and unique in the application."""
    return serve.get_replica_context().replica_id.unique_id


def _why_asleep(application: str) -> tuple[str, ...]:
    """Why no engine is there: none where it is by intent, and the next request starts one."""
    told = serve.status().applications.get(application)
    engine = told and told.deployments.get(ENGINE)
    if engine is None:
        return (NO_REPLICA,)
    if engine.status == "HEALTHY":
        return ()
    return (f"{NO_REPLICA} ({engine.status.lower()}) {engine.message}".strip(),)


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    """Every EVERY_SECONDS; what fails is tried again, and told once until it works."""
    failing = False
    while True:
        try:
            await work()
            failing = False
        except Exception as error:
            if not failing:
                logger.warning("The board cannot be told or asked: %r", error)
            failing = True
        await asyncio.sleep(EVERY_SECONDS)
