"""Pictures as files."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.fakes import fake_generator
from writing_service.encoding import encode_picture, encode_result, parameters_of
from writing_service.types import AIGenerationResult, ImageFormat, WritingRequest


@pytest.fixture
async def result() -> AIGenerationResult:
    generator, _ = fake_generator()
    return await generator.generate(
        WritingRequest("学习", "study, learn", "a roof: over", seed=3, batch_size=2)
    )


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("image_format", list(ImageFormat))
def test_every_format_opens_as_itself(image_format: ImageFormat):
    image = opened(encode_picture(Image.new("RGB", (30, 20), "teal"), image_format))
    assert image.format == image_format.value.upper()
    assert image.size == (30, 20)


def test_quality_costs_bytes():
    noise = Image.effect_noise((128, 128), 80).convert("RGB")
    for image_format in (ImageFormat.JPEG, ImageFormat.WEBP):
        small, large = (len(encode_picture(noise, image_format, q)) for q in (10, 95))
        assert small < large


async def test_a_png_tells_what_it_was_made_from(result: AIGenerationResult):
    text = opened(encode_result(result, 0, ImageFormat.PNG)).info["parameters"]
    prompt, negative, pairs = text.split("\n")
    assert prompt == result.prompt.main_prompt
    assert negative == f"Negative prompt: {result.prompt.negative_prompt}"
    assert pairs.startswith("Steps: 8, CFG scale: 2.0, Seed: 3, Size: 512x512, Model: fake")
    assert "Word: 学习" in pairs
    assert 'Translation: "study, learn"' in pairs
    assert 'Hint: "a roof: over"' in pairs
    assert "Pictogram: books" in pairs
    assert "ControlNet canny: " in pairs


async def test_the_second_picture_has_its_own_seed(result: AIGenerationResult):
    assert "Seed: 4," in parameters_of(result, 1)
    assert "Scene seed: 3" in parameters_of(result, 1)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60))
def test_any_text_survives_in_the_file(text: str):
    data = encode_picture(Image.new("RGB", (4, 4)), ImageFormat.PNG, parameters=text)
    assert opened(data).info.get("parameters", "") == text
