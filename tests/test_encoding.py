"""Pictures as files."""

import asyncio
import io
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tests.fakes import fake_generator
from writing_service.encoding import (
    EncodingPool,
    encode_drawing,
    encode_picture,
    encode_result,
    with_text,
)
from writing_service.types import (
    AIGenerationResult,
    ImageFormat,
    WritingRequest,
)


@pytest.fixture
async def result() -> AIGenerationResult:
    generator, _ = fake_generator()
    return await generator.generate(
        WritingRequest("学习", "study, learn", "a roof: over", seed=3, batch_size=2)
    )


@pytest.fixture
def pool() -> Iterator[EncodingPool]:
    pool = EncodingPool(workers=3)
    yield pool
    pool.close()


def as_png(image: Image.Image) -> bytes:
    return encode_picture(image, ImageFormat.PNG)


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
    assert pairs.startswith("Steps: 6, Sampler: DDIM, CFG scale: 2, Seed: 3, Size: 512x512")
    assert "Word: 学习" in pairs
    assert "Pictogram: books" in pairs
    assert "ControlNet canny: " in pairs


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
PIXELS = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda sides: arrays(np.uint8, (*sides, 3))
)


@settings(deadline=None)
@given(TEXTS)
def test_any_text_survives_in_the_file(text: str):
    data = encode_picture(Image.new("RGB", (4, 4)), ImageFormat.PNG, parameters=text)
    assert opened(data).info.get("parameters", "") == text


@settings(deadline=None)
@given(PIXELS, TEXTS)
def test_a_png_loses_nothing(pixels: np.ndarray, text: str):
    image = Image.fromarray(pixels)
    files = (encode_picture(image, ImageFormat.PNG, parameters=text), encode_drawing(image))
    for read in map(opened, files):
        assert read.mode == "RGB"
        assert np.array_equal(np.asarray(read), pixels)


@pytest.mark.parametrize("encode", [as_png, encode_drawing])
def test_other_modes_become_rgb(encode: Callable[[Image.Image], bytes]):
    grey = Image.linear_gradient("L").resize((20, 10))
    assert opened(encode(grey)).tobytes() == grey.convert("RGB").tobytes()


def test_texts_stand_beside_each_other():
    file = with_text(
        with_text(as_png(Image.new("RGB", (4, 4))), "Title", "first"), "More", "second"
    )
    read = opened(file)
    assert (read.info["Title"], read.info["More"]) == ("first", "second")
    Image.open(io.BytesIO(file)).verify()


async def test_files_come_in_the_order_asked_for(pool: EncodingPool):
    images = [Image.new("RGB", (side, 9)) for side in range(1, 21)]
    files = await pool.files([lambda image=image: encode_drawing(image) for image in images])
    assert [opened(file).size for file in files] == [one.size for one in images]


async def test_several_are_encoded_at_once_and_off_the_event_loop(pool: EncodingPool):
    meeting = threading.Barrier(3, timeout=10)

    def encode() -> bytes:
        meeting.wait()
        return threading.current_thread().name.encode()

    threads = set(await pool.files([encode] * 3))
    assert len(threads) == 3
    assert threading.current_thread().name.encode() not in threads


async def test_the_event_loop_goes_on_meanwhile(pool: EncodingPool):
    loop_went_on = threading.Event()

    def encode() -> bytes:
        return b"yes" if loop_went_on.wait(10) else b"no"

    waiting = asyncio.create_task(pool.file(encode))
    await asyncio.sleep(0)
    loop_went_on.set()
    assert await waiting == b"yes"


async def test_an_encoders_error_is_told(pool: EncodingPool):
    with pytest.raises(ZeroDivisionError):
        await pool.files([lambda: b"", lambda: bytes(1 // 0)])


async def test_a_closed_pool_takes_no_more(pool: EncodingPool):
    pool.close()
    with pytest.raises(RuntimeError):
        await pool.file(bytes)
