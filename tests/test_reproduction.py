"""A picture made again from its file."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.fakes import fake_generator
from writing_service.diffusion.fake import FakePipeline
from writing_service.encoding import PARAMETERS, encode_picture, encode_result
from writing_service.errors import InvalidRequest
from writing_service.reproduction import Likeness, Recorded, compare, read_recorded
from writing_service.types import ConditioningKind, ImageFormat, TextDirection, WritingRequest

KINDS = ConditioningKind
OFTEN = ("ai_generation.legibility.min_score=0.99", "ai_generation.legibility.max_attempts=2")


async def draw(request: WritingRequest, index: int, *overrides: str, hides: float = 0) -> bytes:
    generator, _ = fake_generator(FakePipeline(hides_below=hides), *overrides)
    return encode_result(await generator.generate(request), index, ImageFormat.PNG)


async def again(recorded: Recorded, *overrides: str, hides: float = 0) -> bytes:
    settled = (*recorded.settings, *overrides)
    return await draw(recorded.request, recorded.index, *settled, hides=hides)


@pytest.fixture
def saved(tmp_path: Path):
    def save(file: bytes) -> Path:
        path = tmp_path / "word.png"
        path.write_bytes(file)
        return path

    return save


SMALL = {"word": "学习", "width": 128, "height": 112, "seed": 7}
REQUESTS = [
    WritingRequest(**SMALL),
    WritingRequest(**SMALL, translation="to study", style="ink", language="ja", batch_size=3),
    WritingRequest(**SMALL, translation="cat", pictogram="off", preset="fast"),
    WritingRequest(**SMALL, pictogram="cat", text_direction=TextDirection.VERTICAL),
    WritingRequest(
        **SMALL,
        style=' Oil,  "Paint": thick\n',
        hint_writing="a: b, c",
        num_inference_steps=9,
        guidance_scale=1 / 3,
        conditioning_weights={KINDS.CANNY: 0.0, KINDS.DEPTH: 1.23456789},
        conditioning_methods={KINDS.DEPTH: "multi_layer_depth"},
        conditioning_windows={KINDS.SCRIBBLE: (0.25, 0.8)},
    ),
    WritingRequest(**SMALL, conditioning_weights=dict.fromkeys(KINDS, 0.0)),
]


@pytest.mark.parametrize("request_", REQUESTS)
async def test_the_same_bytes_come_again(request_: WritingRequest, saved):
    index = (request_.batch_size or 1) - 1
    file = await draw(request_, index)
    recorded = read_recorded(saved(file))
    assert recorded.notes == ()
    assert compare(recorded, await again(recorded)).likeness is Likeness.BYTES


@pytest.mark.parametrize("count", [1, 2])
async def test_so_they_do_where_the_picture_was_drawn_several_times(count: int, saved):
    request = WritingRequest(**SMALL, batch_size=count)
    file = await draw(request, count - 1, *OFTEN, hides=3)
    recorded = read_recorded(saved(file))
    assert "Legibility attempts" in recorded.parameters.values
    assert compare(recorded, await again(recorded, hides=3)).likeness is Likeness.BYTES


async def test_a_configured_preset_does_not_get_in(saved):
    recorded = read_recorded(saved(await draw(WritingRequest(**SMALL), 0)))
    generator_default = "ai_generation.generation.preset=fast"
    file = await draw(recorded.request, 0, generator_default, *recorded.settings)
    assert compare(recorded, file).likeness is Likeness.BYTES


@settings(max_examples=3)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
async def test_any_meaning_and_hint_come_again(
    tmp_path_factory: pytest.TempPathFactory, translation: str, hint: str
):
    path = tmp_path_factory.mktemp("any") / "word.png"
    request = WritingRequest("学", translation, hint, width=100, height=100, seed=1)
    path.write_bytes(await draw(request, 0))
    recorded = read_recorded(path)
    assert recorded.request.translation == translation
    assert recorded.request.hint_writing == hint
    assert compare(recorded, await again(recorded)).likeness is Likeness.BYTES


async def test_what_is_not_as_it_was_is_named(saved):
    recorded = read_recorded(saved(await draw(WritingRequest(**SMALL, style="ink"), 0)))
    template = "ai_generation.styles.ink.base_template='An etching of {meaning}, {character}'"
    told = compare(recorded, await again(recorded, template))
    assert told.likeness is Likeness.NONE
    assert any("prompt" in one and "An etching of" in one for one in told.differences)
    assert told.differences[-1].startswith("The same request gives other pixels here")


async def test_a_file_that_was_packed_anew_has_the_same_pixels(saved):
    file = await draw(WritingRequest(**SMALL), 0)
    picture = Image.open(io.BytesIO(file))
    told = PngInfo()
    told.add_itxt(PARAMETERS, picture.info[PARAMETERS])
    packed = io.BytesIO()
    picture.save(packed, "PNG", pnginfo=told, optimize=True)
    recorded = read_recorded(saved(packed.getvalue()))
    assert recorded.notes == ()
    assert compare(recorded, await again(recorded)).likeness is Likeness.PIXELS


async def test_pixels_that_were_changed_are_told_before_anything_is_drawn(saved):
    file = await draw(WritingRequest(**SMALL), 0)
    picture = Image.open(io.BytesIO(file))
    text = picture.info[PARAMETERS]
    picture.putpixel((5, 5), (1, 2, 3))
    recorded = read_recorded(saved(encode_picture(picture, ImageFormat.PNG, parameters=text)))
    assert [one for one in recorded.notes if "pixels were changed" in one]
    assert compare(recorded, await again(recorded)).likeness is Likeness.NONE


async def test_another_version_is_told_before_anything_is_drawn(saved):
    file = await draw(WritingRequest(**SMALL), 0)
    picture = Image.open(io.BytesIO(file))
    text = picture.info[PARAMETERS].replace(
        "Version: writing-service ", "Version: writing-service 9"
    )
    recorded = read_recorded(saved(encode_picture(picture, ImageFormat.PNG, parameters=text)))
    assert [one for one in recorded.notes if one.startswith("It was made by writing-service 9")]


BLANK = Image.new("RGB", (8, 8))


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"not a picture", "is no picture"),
        (encode_picture(BLANK, ImageFormat.PNG)[:50], "cannot be read"),
        (encode_picture(BLANK, ImageFormat.PNG), "does not tell how it was made"),
        (encode_picture(BLANK, ImageFormat.JPEG), "does not tell how it was made"),
        (
            encode_picture(BLANK, ImageFormat.PNG, parameters="a cat\nSteps: 4, Seed: 1"),
            "not written by this service",
        ),
        (
            encode_picture(
                BLANK, ImageFormat.PNG, parameters="x\nSteps: 4, Version: writing-service 1"
            ),
            "parameters were changed",
        ),
        (
            encode_picture(
                BLANK,
                ImageFormat.PNG,
                parameters="x\nSteps: 4000, CFG scale: 1, Seed: 1, Size: 9x9, Word: a, Style: ink, "
                "Legibility: 1, Legibility wanted: 0.9 in 3 by 1.5, Version: writing-service 1",
            ),
            "cannot be made again: '",
        ),
    ],
)
def test_what_cannot_be_made_again_is_told_in_one_sentence(saved, file: bytes, sentence: str):
    with pytest.raises(InvalidRequest, match=sentence):
        read_recorded(saved(file))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path):
    with pytest.raises(InvalidRequest, match="No such file"):
        read_recorded(tmp_path / "none.png")
