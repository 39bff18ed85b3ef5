"""The service around the shipped fake pipeline. Its pictures may be as hard to read as they like."""

from typing import Any

from writing_service.app import assemble_generator, create_app
from writing_service.config import Settings, load_settings
from writing_service.diffusion.doors import GPUWatch
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.diffusion.gpu import GPUManager
from writing_service.generator import AIImageGenerator

_OVERRIDES = (
    "ai_generation.gpu.device=cpu",
    "ai_generation.legibility.min_score=0",
    "cache.enabled=false",
)


def fake_generator(
    pipeline: FakePipeline | None = None,
    *overrides: str,
    gpu: GPUWatch | None = None,
    **loader: Any,
) -> tuple[AIImageGenerator, FakePipeline]:
    """A generator and the pipeline that it draws with."""
    pipeline = pipeline or FakePipeline()
    settings = load_settings([*_OVERRIDES, *overrides]).ai_generation
    gpu = gpu or GPUManager(settings.gpu)
    generator = assemble_generator(settings, FakeLoader(pipeline, **loader), gpu)
    return generator, pipeline


def fake_app(loader: FakeLoader | None = None, *overrides: str, gpu: GPUWatch | None = None) -> Any:
    """The whole app."""
    settings: Settings = load_settings([*_OVERRIDES, *overrides])
    return create_app(settings, loader or FakeLoader(), gpu)
