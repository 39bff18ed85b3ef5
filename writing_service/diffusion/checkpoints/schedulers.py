"""The scheduler of the settings: any of diffusers' that draws with SDXL."""

import difflib
import inspect
from collections.abc import Collection, Mapping
from typing import Any

import diffusers
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers

from writing_service.config import SchedulerSettings
from writing_service.errors import ConfigurationError

_OTHERS = {"DPMSolverSDEScheduler", "EDMEulerScheduler", "PNDMScheduler"}
"""They need a further package, networks that are trained in another way, or four steps at least."""

KNOWN = {*KarrasDiffusionSchedulers.__members__, "LCMScheduler", "TCDScheduler"} - _OTHERS
"""Those that step as Stable Diffusion's pipelines do; LCM and TCD are for few-step LoRAs."""


def check_scheduler(settings: SchedulerSettings) -> None:
    """Raises ConfigurationError for a name or an option that diffusers does not have."""
    _class(settings)


def with_scheduler(base: Any, settings: SchedulerSettings | None) -> None:
    """Give a diffusers pipeline the scheduler; what no option says is as its own was."""
    if settings is not None:
        base.scheduler = _class(settings).from_config(base.scheduler.config, **settings.options)


def _class(settings: SchedulerSettings) -> Any:
    key = "ai_generation.models.scheduler"
    _refuse_unknown(f"{key}.name", settings.name, KNOWN)
    found = getattr(diffusers, settings.name)
    options: Mapping[str, Any] = inspect.signature(found.__init__).parameters
    for name in settings.options:
        _refuse_unknown(f"{key}.options.{name}", name, {*options} - {"self"})
    return found


def _refuse_unknown(key: str, name: str, known: Collection[str]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(sorted(known))}."
    raise ConfigurationError(f"Setting '{key}' names nothing that diffusers has; {hint}")
