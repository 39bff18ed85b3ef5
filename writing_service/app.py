"""From settings to a FastAPI app: the only place where objects meet."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from writing_service import __version__
from writing_service.api.admission import Admission
from writing_service.api.answers import AnswerDesk
from writing_service.api.description import DESCRIPTION, TAGS, TITLE
from writing_service.api.documentation import documented_app
from writing_service.api.fingerprints import Fingerprints
from writing_service.api.health import health_routes
from writing_service.api.jobs import JobDesk, job_routes
from writing_service.api.keys import keys_of
from writing_service.api.metrics import Collects, metrics_routes
from writing_service.api.middleware import add_middleware
from writing_service.api.openai import openai_routes
from writing_service.api.problems import add_problem_handlers
from writing_service.api.writing import writing_routes
from writing_service.conditioning.fan_out import build_fan_out
from writing_service.conditioning.segmentation import BACKGROUND, WORD_COLOURS
from writing_service.config import AIGenerationSettings, Settings
from writing_service.diffusion.cache import ModelCache
from writing_service.diffusion.detection.detectors import LearnedDetector, learned_methods
from writing_service.diffusion.doors import GPUWatch, PictureLoader
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader
from writing_service.diffusion.tracing import TorchTracer
from writing_service.encoding import EncodingPool
from writing_service.generation import PictureGenerator
from writing_service.generator import AIImageGenerator
from writing_service.legibility.gate import LegibilityGate
from writing_service.observability.metrics import ServiceMetrics
from writing_service.observability.observer import NOBODY, Observer, Observers
from writing_service.observability.profiler import AIProfiler
from writing_service.observability.state import JobCounts, ServiceState
from writing_service.observability.traces import Tracing, tracing_for
from writing_service.prompt.builder import PromptBuilder
from writing_service.prompt.semantics import SemanticAnalyzer
from writing_service.prompt.styles import StyleDefinitions
from writing_service.rendering.fonts import font_library
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.languages import misleading_name
from writing_service.result_cache import ResultCache, open_result_cache
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.settling import check_preset
from writing_service.studio.routes import add_studio
from writing_service.types import Size
from writing_service.warmer import ModelWarmer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backend:
    """What draws for the app: the models of this process, or replicas elsewhere (ray_deployment.py).

    `identity` tells these models from all others, `registry` what Prometheus is told, `load` loads the models now.
    """

    generator: PictureGenerator
    gpu: GPUWatch
    identity: Callable[[], str | None]
    registry: Collects
    detectors: Sequence[LearnedDetector] = ()
    load: Callable[[], Awaitable[object]] | None = None


def create_app(
    settings: Settings, loader: PictureLoader | None = None, gpu: GPUWatch | None = None
) -> FastAPI:
    """The whole service. `loader` and `gpu` stand in for the settings' own (tests).

    Raises ConfigurationError.
    """

    def backend(metrics: ServiceMetrics, tracing: Tracing | None) -> Backend:
        return local_backend(settings, metrics, [tracing] if tracing else [], loader, gpu)

    return app_before(settings, backend)


def app_before(
    settings: Settings, connect: Callable[[ServiceMetrics, Tracing | None], Backend]
) -> FastAPI:
    """The app in front of the backend that `connect` makes. Raises ConfigurationError."""
    metrics, tracing = ServiceMetrics(), tracing_for(settings.tracing)
    backend = connect(metrics, tracing)
    generator, gpu = backend.generator, backend.gpu
    encoding = EncodingPool()
    warmer = ModelWarmer(generator, gpu)
    at_start = settings.ai_generation.enabled and settings.ai_generation.warmup.at_start
    admission = Admission(settings.api, generator.workload)
    results = open_result_cache(settings.cache)
    fingerprints = Fingerprints(
        settings.ai_generation,
        backend.identity,
        generator.missing_methods,
        settings.cache.reuse_unseeded,
    )
    observer = Observers(metrics, *([tracing] if tracing else []))
    desk = AnswerDesk(generator, encoding, admission, fingerprints, results, observer)
    jobs = JobDesk(settings.jobs, desk, lambda: admission.draining)
    metrics.watch(JobCounts(lambda: jobs.runner.unfinished))
    started = time.monotonic()
    app = documented_app(
        settings.api.open_paths,
        title=TITLE,
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=_lifespan(
            generator,
            encoding,
            backend.detectors,
            admission,
            results,
            jobs,
            warmer if at_start else None,
            tracing,
        ),
    )
    # For whoever serves the app, and has to stop it in peace: server.py.
    app.state.admission = admission
    add_middleware(app, settings.api, keys_of(settings.api, os.environ), metrics, tracing)
    add_problem_handlers(app)
    features = {"result_cache": results.enabled}
    app.include_router(writing_routes(generator, desk, admission, settings.api, features, started))
    app.include_router(job_routes(jobs))
    app.include_router(openai_routes(generator, desk, admission))
    longest = settings.api.max_request_timeout_seconds
    app.include_router(health_routes(generator, gpu, warmer, admission, results, longest, started))
    app.include_router(metrics_routes(backend.registry))
    if settings.api.studio:
        add_studio(app)
    return app


def local_backend(
    settings: Settings,
    metrics: ServiceMetrics,
    observers: Sequence[Observer] = (),
    loader: PictureLoader | None = None,
    gpu: GPUWatch | None = None,
) -> Backend:
    """Models in this process; `metrics` and `observers` hear how the work goes. Raises ConfigurationError."""
    gpu = gpu or _device(settings)
    models = _model_cache(settings.ai_generation, gpu)
    detectors = _detectors(settings.ai_generation, gpu, models)
    loader = loader or _model_loader(settings.ai_generation, gpu, models, detectors)
    observer = Observers(metrics, *observers)
    generator = assemble_generator(settings.ai_generation, loader, gpu, detectors, observer)
    metrics.watch(_state(generator, gpu))
    return Backend(generator, gpu, loader.identity, metrics.registry, detectors, loader.load)


def create_generator(settings: Settings) -> AIImageGenerator:
    """The generator alone, for use without a server. Raises ConfigurationError."""
    return _generator_on(settings, _device(settings))


def create_warmer(settings: Settings) -> tuple[AIImageGenerator, ModelWarmer]:
    """A generator, to be closed in the end, and what warms it. Raises ConfigurationError."""
    gpu = _device(settings)
    generator = _generator_on(settings, gpu)
    return generator, ModelWarmer(generator, gpu)


def create_profiler(settings: Settings, folder: Path) -> tuple[AIImageGenerator, AIProfiler]:
    """A generator, to be closed in the end, and what looks into it. Raises ConfigurationError."""
    gpu = _device(settings)
    generator = _generator_on(settings, gpu)
    return generator, AIProfiler(generator.generate_character_image, TorchTracer(gpu), folder)


def _device(settings: Settings) -> GPUManager:
    return GPUManager(settings.ai_generation.gpu, settings.ai_generation.models)


def _generator_on(settings: Settings, gpu: GPUManager) -> AIImageGenerator:
    models = _model_cache(settings.ai_generation, gpu)
    detectors = _detectors(settings.ai_generation, gpu, models)
    loader = _model_loader(settings.ai_generation, gpu, models, detectors)
    return assemble_generator(settings.ai_generation, loader, gpu, detectors)


def _model_cache(settings: AIGenerationSettings, gpu: GPUWatch) -> ModelCache | None:
    """One for pipelines and detectors. None without a device to load them on."""
    return ModelCache(gpu, settings.cache.memory_gb) if isinstance(gpu, GPUManager) else None


def _model_loader(
    settings: AIGenerationSettings,
    gpu: GPUWatch,
    models: ModelCache | None,
    detectors: Sequence[LearnedDetector],
) -> ModelLoader:
    assert isinstance(gpu, GPUManager)
    return ModelLoader(
        settings.models,
        gpu,
        settings.cache,
        deterministic=settings.generation.deterministic,
        render_at=settings.generation.render_at,
        compile_for=Size(settings.generation.width, settings.generation.height),
        models=models,
        detectors=detectors,
        long_prompts=settings.prompt.long_prompts,
    )


def _detectors(
    settings: AIGenerationSettings, gpu: GPUWatch, models: ModelCache | None = None
) -> tuple[LearnedDetector, ...]:
    """None without a device to run them on."""
    if not isinstance(gpu, GPUManager):
        return ()
    palette = (BACKGROUND, *WORD_COLOURS)
    return learned_methods(settings.detectors, settings.cache, gpu, palette, models=models)


def assemble_generator(
    settings: AIGenerationSettings,
    loader: PictureLoader,
    gpu: GPUWatch,
    detectors: Sequence[LearnedDetector] | None = None,
    observer: Observer = NOBODY,
) -> AIImageGenerator:
    """All stations of a picture around a loader and a device. `detectors` None: the settings' own.

    Raises ConfigurationError.
    """
    if detectors is None:
        detectors = _detectors(settings, gpu)
    styles = StyleDefinitions(settings.styles)
    fan_out = build_fan_out(settings.conditioning.options, detectors)
    fan_out.check_configured(settings.conditioning.methods)
    check_preset(settings)
    return AIImageGenerator(
        settings,
        loader,
        gpu,
        SceneComposer(WordRenderer(font_library(settings.fonts))),
        PictogramLibrary(),
        fan_out,
        styles,
        SemanticAnalyzer(),
        PromptBuilder(
            styles, settings.prompt.max_prompt_length, settings.prompt.scene, misleading_name
        ),
        LegibilityGate(settings.legibility),
        observer,
    )


def _state(generator: AIImageGenerator, gpu: GPUWatch) -> ServiceState:
    return ServiceState(
        __version__,
        lambda: generator.statistics.under_way,
        generator.get_status,
        lambda: gpu.get_gpu_status().as_dict(),
    )


@asynccontextmanager
async def _warming(warmer: ModelWarmer | None) -> AsyncGenerator[None]:
    """Beside the block; given up where the block ends first."""
    if warmer is None:
        yield
        return
    task = asyncio.create_task(warmer.warm_at_start())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _lifespan(
    generator: PictureGenerator,
    encoding: EncodingPool,
    detectors: Sequence[LearnedDetector],
    admission: Admission,
    results: ResultCache,
    jobs: JobDesk,
    warmer: ModelWarmer | None,
    tracing: Tracing | None,
):
    """With a `warmer`, the models warm up as soon as the service answers."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        # Made once and kept, which takes long enough to keep all others waiting.
        await asyncio.to_thread(app.openapi)
        # The collector need not look through all that is there for good: each time it would hold everybody up.
        gc.freeze()
        for reason in await asyncio.to_thread(generator.check):
            logger.warning("Not ready: %s", reason)
        when = "now" if warmer else "at the first request"
        logger.info("AI service started; models are loaded %s", when)
        async with _warming(warmer), jobs.runner.running():
            yield
        admission.close()
        await asyncio.to_thread(generator.close)
        await asyncio.to_thread(encoding.close)
        await asyncio.to_thread(jobs.store.close)
        await results.close()
        for detector in detectors:
            await asyncio.to_thread(detector.close)
        if tracing is not None:
            await asyncio.to_thread(tracing.close)
        gc.unfreeze()
        logger.info("AI service stopped")

    return lifespan
