"""What a picture's file tells of itself, as this service and other tools read it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager
from sd_parsers.data import PromptInfo

from tests.fakes import fake_generator
from writing_service.encoding import encode_picture, encode_result
from writing_service.errors import InvalidRequest
from writing_service.parameters import number, parameters_of, quoted, read_parameters
from writing_service.types import AIGenerationResult, ConditioningKind, ImageFormat, WritingRequest

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
HOSTILE = (
    "Negative prompt: a dog",
    'a cat, Seed: 5, "Steps: 9',
    "1\nSteps: 1, Sampler: x, CFG scale: 1, Seed: 2\r\u2028",
    "Hashes: {}",
    "🐈‍⬛ 😀, (very:1.5) <lora:x:1>",
)


async def drawn(**fields: object) -> AIGenerationResult:
    generator, _ = fake_generator()
    asked = {"word": "学习", "width": 112, "height": 100, "seed": 3, **fields}
    return await generator.generate(WritingRequest(**asked))  # type: ignore[arg-type]


def seen_by_others(file: bytes) -> PromptInfo:
    """By a reader of Stable Diffusion pictures."""
    found = ParserManager().parse(io.BytesIO(file))
    assert found is not None
    return found


async def test_another_tool_reads_prompts_seed_steps_sampler_and_model():
    result = await drawn(translation="to study", style="ink", batch_size=2)
    told = seen_by_others(encode_result(result, 1, ImageFormat.PNG))
    (sampler,) = told.samplers
    assert sampler.prompts[0].value == result.prompt.main_prompt
    assert sampler.negative_prompts[0].value == result.prompt.negative_prompt
    assert sampler.name == "DDIM"
    assert sampler.model
    assert sampler.model.name == "fake"
    assert sampler.parameters == {"cfg_scale": "2", "seed": "4", "steps": "6"}
    assert told.metadata["Size"] == "112x100"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["translation", "hint_writing", "style", "word"])
async def test_no_text_of_a_client_passes_for_a_parameter(field: str, text: str):
    result = await drawn(**{field: text})
    (sampler,) = seen_by_others(encode_result(result, 0, ImageFormat.PNG)).samplers
    assert sampler.prompts[0].value == result.prompt.main_prompt.strip()
    assert (sampler.parameters["seed"], sampler.parameters["steps"]) == ("3", "6")
    assert sampler.negative_prompts == [] or field != "style"


async def test_all_that_was_asked_for_is_read_again():
    depth = ConditioningKind.DEPTH
    result = await drawn(
        translation="study, learn",
        hint_writing="a roof: over",
        preset="fast",
        conditioning_windows={depth: (0.0, 1 / 3)},
        conditioning_weights={depth: 0.1234567891},
        pictogram="off",
        batch_size=2,
    )
    told = read_parameters(parameters_of(result, 1))
    values = told.values
    assert told.prompt == result.prompt.main_prompt
    assert told.negative_prompt == result.prompt.negative_prompt
    assert (values["Translation"], values["Hint"]) == ("study, learn", "a roof: over")
    assert (values["Seed"], values["Scene seed"], values["Batch pos"]) == ("4", "3", "1")
    assert (values["Preset"], values["Guidance until"]) == ("fast", "0.5")
    assert values["ControlNet depth"].endswith(f" 0.1234567891 from 0 to {1 / 3!r}")
    assert (values["Pictogram asked"], values["Pictogram"]) == ("off", "off")


async def test_what_is_as_always_is_not_told():
    text = parameters_of(await drawn())
    assert not any(f"{key}: " in text for key in ("Preset", "Direction", "Scene seed", "Batch pos"))


@given(TEXTS)
def test_any_text_is_one_value_on_one_line(text: str):
    line = f"Steps: 4, Word: {quoted(text)}, Version: writing-service 1"
    assert line.splitlines() == [line]
    assert read_parameters(line).values == {
        "Steps": "4",
        "Word": text,
        "Version": "writing-service 1",
    }


@given(TEXTS)
def test_any_text_is_one_value_to_a_tool_that_only_splits_at_commas(text: str):
    line = f"a cat\nWord: {quoted(text)}, Steps: 4, Sampler: DDIM, CFG scale: 2, Seed: 7"
    file = encode_picture(Image.new("RGB", (4, 4)), ImageFormat.PNG, parameters=line)
    (sampler,) = seen_by_others(file).samplers
    assert sampler.prompts[0].value == "a cat"
    assert sampler.parameters == {"cfg_scale": "2", "seed": "7", "steps": "4"}


@given(st.floats(0, 30))
def test_a_number_is_exact(value: float):
    assert float(number(value)) == value


@pytest.mark.parametrize("text", ["", "a cat", "a cat\nSteps: 4, Sampler: Euler", "\n\n"])
def test_parameters_of_others_are_refused(text: str):
    with pytest.raises(InvalidRequest, match="not written by this service"):
        read_parameters(text)
