"""Tiny models, made once, and what jobs are made of."""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.diffusion.tiny_models import KINDS, write_base, write_controlnet, write_union
from writing_service.config import CacheSettings, GPUSettings, ModelSettings
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.types import ConditioningKind, GenerationJob, Size

Loaders = Callable[..., ModelLoader]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base/ with one ControlNet for each kind inside it, and union/."""
    folder = tmp_path_factory.mktemp("tiny")
    write_base(folder / "base")
    for seed, kind in enumerate(KINDS):
        write_controlnet(folder / "base" / kind, seed)
    write_union(folder / "union")
    return folder


@pytest.fixture
def own_tiny(tiny: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(tiny, tmp_path / "own"))


def gpu_settings(**changes: Any) -> GPUSettings:
    """CPU and float32, everything else as the profile says."""
    unset = dict.fromkeys(GPUSettings.model_fields)
    return GPUSettings(**{**unset, "device": "cpu", "dtype": "float32", **changes})


def model_settings(tiny: Path, **changes: Any) -> ModelSettings:
    """The separate ControlNets of the tiny folder."""
    separate = {kind: f"./{kind}" for kind in KINDS}
    chosen = {"controlnet_models": separate, **changes}
    return ModelSettings(**{"name": "tiny", "base_model": str(tiny / "base"), **chosen})


@contextmanager
def loaders() -> Iterator[Loaders]:
    """Makes loaders, which are closed afterwards."""
    made = list[ModelLoader]()

    def make(settings: ModelSettings, **arguments: Any) -> ModelLoader:
        gpu = GPUManager(arguments.pop("gpu_settings", gpu_settings()))
        memory_gb = arguments.pop("memory_gb", None)
        cache = CacheSettings(huggingface=None, torch=None, memory_gb=memory_gb)
        loader = ModelLoader(settings, gpu, cache, **arguments)
        made.append(loader)
        return loader

    yield make
    for loader in made:
        loader.close()


@pytest.fixture
def make_loader() -> Iterator[Loaders]:
    """Loaders for one test."""
    with loaders() as make:
        yield make


def union_settings(tiny: Path) -> ModelSettings:
    """One network for all kinds."""
    return model_settings(tiny, controlnet_models={}, controlnet_union=str(tiny / "union"))


@dataclass(frozen=True)
class Models:
    """A pipeline and the models that it was given, to hang hooks on."""

    pipeline: MultiControlNetPipeline
    base: Any
    networks: Mapping[ConditioningKind, Any]
    embedders: Mapping[ConditioningKind, Any]


async def load_models(loader: ModelLoader) -> Models:
    """Part by part, as the guide does it."""
    base = await loader.load_stable_diffusion_xl()
    networks = await loader.load_controlnet_models()
    embedders = {kind: one.controlnet_cond_embedding for kind, one in networks.items()}
    pipeline = await loader.setup_multi_controlnet_pipeline(networks, base)
    return Models(pipeline, base, networks, embedders)


@contextmanager
def loaded(settings: ModelSettings) -> Iterator[Models]:
    """For many tests: pipelines do not care which event loop asks."""
    with loaders() as make:
        models = asyncio.run(load_models(make(settings)))
        yield models
        models.pipeline.close()


@pytest.fixture(scope="session")
def models(tiny: Path) -> Iterator[Models]:
    """Four separate ControlNets; the same for all tests, so nobody may close or keep a change."""
    with loaded(model_settings(tiny)) as models:
        yield models


@pytest.fixture(scope="session")
def union_models(tiny: Path) -> Iterator[Models]:
    """One network for all kinds; the same for all tests."""
    with loaded(union_settings(tiny)) as models:
        yield models


@pytest.fixture(scope="session")
def pipeline(models: Models) -> MultiControlNetPipeline:
    """That of `models`."""
    return models.pipeline


@pytest.fixture(scope="session")
def union_pipeline(union_models: Models) -> MultiControlNetPipeline:
    """That of `union_models`."""
    return union_models.pipeline


@pytest.fixture
async def own_pipeline(tiny: Path, make_loader: Loaders) -> MultiControlNetPipeline:
    """Four separate ControlNets, for one test: it has drawn nothing yet."""
    return await make_loader(model_settings(tiny)).load()


def control_images(size: Size) -> dict[ConditioningKind, Image.Image]:
    """Different smooth colours for each kind."""
    rng = np.random.default_rng(5)
    coarse = [rng.integers(0, 256, (4, 4, 3), np.uint8) for _ in ConditioningKind]
    images = [Image.fromarray(one).resize((size.width, size.height)) for one in coarse]
    return dict(zip(ConditioningKind, images, strict=True))


def make_job(**changes: Any) -> GenerationJob:
    """Three steps of 64×48 under four ControlNets of different weight."""
    size = changes.get("size", Size(64, 48))
    plain: dict[str, Any] = {
        "prompt": "a cat, ink",
        "negative_prompt": "blurry",
        "control_images": control_images(size),
        "conditioning_scales": dict(zip(ConditioningKind, (0.9, 0.5, 0.7, 0.3), strict=True)),
        "num_inference_steps": 3,
        "guidance_scale": 5.0,
        "seeds": (7,),
        "size": size,
    }
    return GenerationJob(**{**plain, **changes})
