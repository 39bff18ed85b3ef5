"""Schedulers by their name."""

from pathlib import Path

import pytest

from tests.diffusion.conftest import Loaders, make_job, model_settings
from writing_service.config import SchedulerSettings
from writing_service.diffusion.checkpoints.schedulers import KNOWN, with_scheduler
from writing_service.errors import ConfigurationError


def settings(name: str, **options: object) -> SchedulerSettings:
    return SchedulerSettings.model_validate({"name": name, "options": options})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (settings("EulerScheduler"), "did you mean 'Euler"),
        (
            settings("DDIMScheduler", timestep_spaceing="trailing"),
            "did you mean 'timestep_spacing'",
        ),
        (settings("FlowMatchEulerDiscreteScheduler"), "names nothing that diffusers has"),
        (settings("torch"), "known are: DDIMScheduler"),
        (settings("DDIMScheduler", self=1), "names nothing"),
    ],
)
def test_unknown_names_and_options_are_told_at_the_start(
    wrong: SchedulerSettings, told: str, tiny: Path, make_loader: Loaders
) -> None:
    with pytest.raises(ConfigurationError, match=told) as failed:
        make_loader(model_settings(tiny, scheduler=wrong))

    assert "ai_generation.models.scheduler" in str(failed.value)


async def test_options_change_the_models_own_configuration(
    tiny: Path, make_loader: Loaders
) -> None:
    base = await make_loader(model_settings(tiny)).load_stable_diffusion_xl()
    before = dict(base.scheduler.config)
    with_scheduler(base, settings("EulerDiscreteScheduler", timestep_spacing="trailing"))

    assert type(base.scheduler).__name__ == "EulerDiscreteScheduler"
    assert base.scheduler.config.timestep_spacing == "trailing"
    assert base.scheduler.config.beta_start == before["beta_start"] == 0.00085


# Some schedulers hand torch tensors to NumPy in the old way.
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
async def test_every_known_scheduler_draws(tiny: Path, make_loader: Loaders) -> None:
    """In our own loop, with as few steps as a request may ask for."""
    loader = make_loader(model_settings(tiny, controlnet_models={}))
    base, pictures = await loader.load_stable_diffusion_xl(), dict[str, bytes]()
    job = make_job(control_images={}, conditioning_scales={}, num_inference_steps=1)
    for name in sorted(KNOWN):
        with_scheduler(base, settings(name))
        pipeline = await loader.setup_multi_controlnet_pipeline({}, base)
        drawn = (await pipeline.draw(job)).images[0].image
        pictures[name] = drawn.tobytes()
        pipeline.close()

    assert len(pictures) == len(KNOWN) > 10
    # One step is the same in many of them.
    assert len({*pictures.values()}) > 3
