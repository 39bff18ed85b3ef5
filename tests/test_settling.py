"""What a request comes to when nothing is left open."""

from typing import Any

import pytest

from writing_service.conditioning.fan_out import build_fan_out
from writing_service.config import load_settings
from writing_service.errors import ConfigurationError, InvalidRequest
from writing_service.prompt.styles import StyleDefinitions
from writing_service.settling import Settled, check_preset, settle
from writing_service.types import ALWAYS, ConditioningKind, Window, WritingRequest

CANNY, DEPTH, *_ = ConditioningKind


def settled(*overrides: str, **request: Any) -> Settled:
    settings = load_settings(overrides).ai_generation
    styles = StyleDefinitions(settings.styles)
    return settle(WritingRequest("猫", **request), settings, styles, build_fan_out())


def test_by_default_nothing_is_left_out():
    plain = settled()

    assert (plain.preset, plain.num_inference_steps) == (None, 6)
    assert (plain.guidance_window, plain.cache_interval, plain.windows) == (ALWAYS, 1, {})


@pytest.mark.parametrize("pipeline", ["embedded", "sdxl", "sdxl_union"])
def test_every_pipeline_has_the_presets_and_each_saves_more(pipeline: str):
    quality, balanced, fast = [
        settled(f"pipeline={pipeline}", preset=name) for name in ("quality", "balanced", "fast")
    ]

    assert (quality.guidance_window, quality.cache_interval) == (ALWAYS, 1)
    assert balanced != quality
    steps = [one.num_inference_steps for one in (quality, balanced, fast)]
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) == 3
    assert fast.guidance_window.end <= balanced.guidance_window.end <= 1
    assert fast.cache_interval >= balanced.cache_interval >= 1


def test_a_request_goes_before_its_preset_and_a_preset_before_the_configuration():
    own = [
        "+ai_generation.presets.mine={num_inference_steps: 9, guidance_scale: 3, cache_interval: 2}"
    ]

    preset = settled(*own, preset="mine")
    asked = settled(*own, preset="mine", num_inference_steps=2, guidance_scale=0)

    assert (preset.num_inference_steps, preset.guidance_scale, preset.cache_interval) == (9, 3, 2)
    assert (asked.num_inference_steps, asked.guidance_scale, asked.cache_interval) == (2, 0, 2)
    assert settled(*own, "ai_generation.generation.preset=mine").preset == "mine"


def test_windows_of_a_request_go_before_those_of_its_preset_kind_by_kind():
    own = "+ai_generation.presets.mine={conditioning_windows: {canny: [0, 0.5], depth: [0.2, 1]}}"

    windows = settled(own, preset="mine", conditioning_windows={CANNY: (0.0, 0.9)}).windows

    assert windows == {CANNY: Window(0.0, 0.9), DEPTH: Window(0.2, 1.0)}


def test_an_unknown_preset_is_refused_with_those_that_there_are():
    with pytest.raises(InvalidRequest, match="'quick' is unknown; there are: quality, balanced"):
        settled(preset="quick")
    with pytest.raises(ConfigurationError, match=r"ai_generation.generation.preset.*'quick'"):
        check_preset(load_settings(["ai_generation.generation.preset=quick"]).ai_generation)
