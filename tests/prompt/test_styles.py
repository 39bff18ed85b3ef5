"""Styles are data."""

import shutil
from pathlib import Path

import pytest

from writing_service.config import config_folder, load_settings
from writing_service.errors import ConfigurationError
from writing_service.prompt.builder import PromptBuilder
from writing_service.prompt.styles import StyleDefinitions
from writing_service.types import ConditioningKind

STYLES = StyleDefinitions(load_settings().ai_generation.styles)

MOSAIC = """
    mosaic:
      display_name: Roman Mosaic
      base_template: "A mosaic of {meaning}, spelling {word_kind} {character}, of small stones"
      negative_prompt: "blurry"
      recommended_steps: 28
      recommended_cfg: 7.0
      controlnet_weights: {canny: 0.8, depth: 0.2, segmentation: 0.9, scribble: 0.1}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the configuration."""
    return Path(shutil.copytree(config_folder(), tmp_path / "config"))


def with_style(folder: Path, yaml: str) -> StyleDefinitions:
    with (folder / "styles.yaml").open("a") as file:
        file.write(yaml)
    return StyleDefinitions(load_settings(folder=folder).ai_generation.styles)


def test_the_five_styles_have_steps_guidance_weights_and_what_they_avoid():
    assert STYLES.names() == ("comic", "watercolor", "realistic", "ink", "traditional")
    for name in STYLES.names():
        style = STYLES.get_style_definition(name)
        assert 1 <= style.recommended_steps <= 150
        assert 0 < style.recommended_cfg <= 30
        assert set(style.controlnet_weights) == set(ConditioningKind)
        assert all(
            part in style.base_template for part in ("{meaning}", "{word_kind}", "{character}")
        )
        assert style.negative_prompt
        assert style.known


@pytest.mark.parametrize(
    ("name", "begins", "steps", "guidance", "weights"),
    [
        ("Comic ", "A vibrant comic book style illustration", 25, 8.0, (0.9, 0.5, 0.7, 0.3)),
        ("watercolor", "A soft watercolor painting depicting", 35, 6.5, (0.4, 0.3, 0.3, 0.8)),
        ("ink", "A traditional ink wash painting", 32, 6.0, (0.6, 0.3, 0.2, 0.9)),
        ("realistic", "A realistic photograph", 30, 7.5, (0.8, 0.9, 0.6, 0.2)),
    ],
)
def test_the_guides_styles(name: str, begins: str, steps: int, guidance: float, weights: tuple):
    style = STYLES.get_style_definition(name)
    assert style.base_template.startswith(f"{begins}")
    assert (style.recommended_steps, style.recommended_cfg) == (steps, guidance)
    assert tuple(style.controlnet_weights[kind] for kind in ConditioningKind) == weights


async def test_a_style_is_added_in_yaml_alone(folder: Path):
    styles = with_style(folder, MOSAIC)
    assert "mosaic" in styles.names()
    prompt = await PromptBuilder(styles).build_prompt("猫", "cat", "mosaic", script="Han")
    assert (
        prompt.main_prompt == "A mosaic of cat, spelling the Chinese character 猫, of small stones"
    )
    assert prompt.negative_prompt == "blurry"
    assert prompt.warnings == ()


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("A mosaic of small stones", "must hold {meaning}"),
        ("A mosaic of {meaning} by {artist}", "must not hold {artist}"),
    ],
)
def test_a_template_that_cannot_be_filled_is_told_at_the_start(
    folder: Path, template: str, told: str
):
    broken = MOSAIC.replace(
        "A mosaic of {meaning}, spelling {word_kind} {character}, of small stones", template
    )
    with pytest.raises(ConfigurationError) as raised:
        with_style(folder, broken)
    assert "styles.mosaic.base_template" in str(raised.value)
    assert told in str(raised.value)


def test_free_text_is_a_style_of_its_own():
    style = STYLES.get_style_definition("stained {glass}, (leaded:1.5)")
    assert not style.known
    assert style.base_template == (
        "A picture of {meaning}, in the style of stained glass , leaded, with {word_kind} {character}"
    )
