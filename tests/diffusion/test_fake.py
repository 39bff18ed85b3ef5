"""The fakes: the real ones' doors, and a picture that follows from the job."""

import inspect
import subprocess
import sys

import pytest
from PIL import Image

from tests.diffusion.conftest import control_images, make_job
from writing_service.diffusion.doors import Progress, Stage
from writing_service.diffusion.loader import ModelLoader
from writing_service.diffusion.pipeline import (
    FakeLoader,
    FakePipeline,
    MultiControlNetPipeline,
)
from writing_service.errors import GenerationFailed, ModelsUnavailable
from writing_service.types import ConditioningKind, Size, Window

CHANGES = [
    {"prompt": "a dog"},
    {"negative_prompt": "sharp"},
    {"seeds": (8,)},
    {"guidance_scale": 2.0},
    {"num_inference_steps": 4},
    {"conditioning_scales": {ConditioningKind.CANNY: 0.1}},
    {"control_images": {}},
    {"size": Size(48, 64)},
    {"control_windows": {ConditioningKind.CANNY: Window(0.0, 0.5)}},
]


@pytest.mark.parametrize("door", ["draw", "generate", "count_tokens", "status", "close"])
def test_pipeline_has_the_same_doors(door: str) -> None:
    real, fake = (getattr(one, door) for one in (MultiControlNetPipeline, FakePipeline))

    assert inspect.signature(real).parameters == inspect.signature(fake).parameters


@pytest.mark.parametrize("door", ["load", "check", "status", "close"])
def test_loader_has_the_same_doors(door: str) -> None:
    real, fake = (getattr(one, door) for one in (ModelLoader, FakeLoader))

    assert inspect.signature(real).parameters == inspect.signature(fake).parameters


async def test_equal_jobs_give_equal_pictures() -> None:
    first = await FakePipeline().draw(make_job())
    second = await FakePipeline().draw(make_job())

    assert first.images[0].image.tobytes() == second.images[0].image.tobytes()
    assert first.images[0].image.size == (64, 48)


@pytest.mark.parametrize("change", CHANGES)
async def test_any_other_job_gives_another_picture(change: dict[str, object]) -> None:
    plain = await FakePipeline().draw(make_job())
    changed = await FakePipeline().draw(make_job(**change))

    assert plain.images[0].image.tobytes() != changed.images[0].image.tobytes()


async def test_batch_gives_what_each_seed_gives_alone() -> None:
    pipeline = FakePipeline()
    together = await pipeline.draw(make_job(seeds=(1, 2)))
    alone = await pipeline.draw(make_job(seeds=(2,)))

    assert together.images[1].image.tobytes() == alone.images[0].image.tobytes()
    assert [job.seeds for job in pipeline.jobs] == [(1, 2), (2,)]


async def test_generate_and_steps() -> None:
    told = list[Progress]()
    pipeline = FakePipeline()
    await pipeline.draw(make_job(seeds=(1, 2)), told.append)
    images = control_images(Size(40, 32))

    picture = await pipeline.generate("a cat", images, {"canny": 0.5}, seed=3)

    assert told[-1] == Progress(Stage.DECODE, 6, 6)
    assert isinstance(picture, Image.Image)
    assert picture.size == (40, 32)


async def test_failures_on_request() -> None:
    with pytest.raises(GenerationFailed):
        await FakePipeline(error=GenerationFailed("No picture.")).draw(make_job())
    with pytest.raises(ModelsUnavailable, match="no folder"):
        await FakeLoader(reasons=["there is no folder x"]).load()
    loader = FakeLoader()
    assert loader.status()["models_loaded"] is False
    assert (await loader.load()).model_used == "fake"
    assert loader.status()["models_loaded"] is True


def test_fakes_need_no_torch() -> None:
    program = "import sys, writing_service.diffusion.fake; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
