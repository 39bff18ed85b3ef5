"""A request with nothing left open: what it asks, else its preset, else the configuration, else its style says."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from writing_service.conditioning.fan_out import ConditioningFanOut, Methods
from writing_service.config import AIGenerationSettings, PresetSettings
from writing_service.errors import ConfigurationError, FieldError, InvalidRequest
from writing_service.prompt.styles import StyleDefinition, StyleDefinitions
from writing_service.rendering.languages import identify
from writing_service.types import ConditioningKind, Size, Window, WritingRequest

_RANDOM_SEEDS = 2**32
"""Random seeds stay below this, so that every client's numbers hold them exactly."""

_NO_PRESET = PresetSettings()

Value = TypeVar("Value")


@dataclass(frozen=True)
class Settled:
    """A request with nothing left open. `preset` names where step savers came from, if from one."""

    seeds: tuple[int, ...]
    size: Size
    style: StyleDefinition
    preset: str | None
    num_inference_steps: int
    guidance_scale: float
    guidance_window: Window
    cache_interval: int
    weights: Mapping[ConditioningKind, float]
    windows: Mapping[ConditioningKind, Window]
    methods: Methods

    @property
    def seed(self) -> int:
        """Of the first picture; it also chooses the layout and the methods."""
        return self.seeds[0]

    @property
    def steps(self) -> int:
        """Of all pictures together."""
        return self.num_inference_steps * len(self.seeds)


def settle(
    request: WritingRequest,
    settings: AIGenerationSettings,
    styles: StyleDefinitions,
    fan_out: ConditioningFanOut,
) -> Settled:
    """Raises InvalidRequest for an unknown preset, UnknownMethod, MethodUnavailable, ModelsUnavailable."""
    defaults = settings.generation
    style = styles.get_style_definition(request.style)
    name = request.preset or defaults.preset
    preset = _preset(name, settings.presets)
    seed = random_seed() if request.seed is None else request.seed
    weights = {**style.controlnet_weights, **request.conditioning_weights}
    methods = fan_out.choose_methods(
        request.conditioning_methods,
        settings.conditioning.methods,
        seed,
        style.name,
        identify(request.word, request.language).script,
    )
    return Settled(
        tuple(range(seed, seed + (request.batch_size or defaults.batch_size))),
        Size(request.width or defaults.width, request.height or defaults.height),
        style,
        name,
        _first(
            request.num_inference_steps,
            preset.num_inference_steps,
            defaults.num_inference_steps,
            style.recommended_steps,
        ),
        _first(
            request.guidance_scale,
            preset.guidance_scale,
            defaults.guidance_scale,
            style.recommended_cfg,
        ),
        Window(0.0, preset.guidance_until),
        preset.cache_interval,
        {kind: weights.get(kind, 0.0) for kind in ConditioningKind},
        {**_windows(preset.conditioning_windows), **_windows(request.conditioning_windows)},
        # A ControlNet that is off needs no image.
        {kind: name for kind, name in methods.items() if weights.get(kind)},
    )


def random_seed() -> int:
    """For a request that brings none."""
    return secrets.randbelow(_RANDOM_SEEDS)


def style_defaults(style: StyleDefinition, settings: AIGenerationSettings) -> dict[str, Any]:
    """What a request in that style comes to that leaves the rest open and names no preset, ready for JSON."""
    defaults = settings.generation
    return {
        "display_name": style.display_name,
        "conditioning_weights": {
            kind.value: style.controlnet_weights.get(kind, 0.0) for kind in ConditioningKind
        },
        "num_inference_steps": _first(defaults.num_inference_steps, style.recommended_steps),
        "guidance_scale": _first(defaults.guidance_scale, style.recommended_cfg),
    }


def check_preset(settings: AIGenerationSettings) -> None:
    """Raises ConfigurationError where the configured preset does not exist."""
    try:
        _preset(settings.generation.preset, settings.presets)
    except InvalidRequest as error:
        raise ConfigurationError(f"Setting 'ai_generation.generation.preset': {error}") from None


def _preset(name: str | None, presets: Mapping[str, PresetSettings]) -> PresetSettings:
    if name is None:
        return _NO_PRESET
    if name not in presets:
        known = ", ".join(presets) or "none in this configuration"
        sentence = f"Preset '{name}' is unknown; there are: {known}."
        raise InvalidRequest(sentence, [FieldError("preset", sentence)])
    return presets[name]


def _windows(
    fractions: Mapping[ConditioningKind, tuple[float, float]],
) -> dict[ConditioningKind, Window]:
    return {kind: Window(*one) for kind, one in fractions.items()}


def _first(*values: Value | None) -> Value:
    """The first that is given; 0 is a value."""
    return next(value for value in values if value is not None)
