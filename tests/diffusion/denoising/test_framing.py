"""Canvases that the networks cannot draw."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from writing_service.diffusion.denoising.framing import LONGEST, Frame, NativeSizes, enlarged
from writing_service.types import Size

sides = st.integers(1, 90)
SDXL = NativeSizes((Size(1024, 1024), Size(1152, 896), Size(1536, 640)))


@settings(max_examples=30, deadline=None)
@given(width=sides, height=sides, multiple=st.sampled_from([1, 4, 8, 16]))
def test_cropping_undoes_fitting(width: int, height: int, multiple: int) -> None:
    rng = np.random.default_rng(width * height)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    frame = NativeSizes().frame(Size(width, height), multiple)

    fitted = frame.fit(image)

    assert frame.drawn.width % multiple == frame.drawn.height % multiple == 0
    assert 0 <= frame.drawn.width - width < multiple
    assert fitted.size == (frame.drawn.width, frame.drawn.height)
    assert frame.restore(fitted).tobytes() == image.tobytes()


@given(width=st.integers(1, 2048), height=st.integers(1, 2048), least=st.integers(0, 1024))
def test_small_sizes_are_enlarged_in_proportion(width: int, height: int, least: int) -> None:
    asked = Size(width, height)

    whole = enlarged(asked, least)

    short, long = sorted((whole.width, whole.height))
    assert whole.width >= width
    assert whole.height >= height
    assert whole == asked or long <= LONGEST * least
    assert whole == asked or short >= least or long == LONGEST * least
    assert abs(whole.width * height - whole.height * width) <= max(width, height)


def test_what_was_enlarged_is_reduced_to_the_asked_size() -> None:
    frame = NativeSizes(least_side=40).frame(Size(30, 20), 16)
    image = Image.linear_gradient("L").convert("RGB").resize((30, 20))

    back = frame.restore(frame.fit(image))

    assert frame == Frame(Size(30, 20), Size(60, 40), Size(64, 48))
    assert back.size == (30, 20)
    assert np.abs(np.asarray(back, int) - np.asarray(image, int)).max() < 12


@pytest.mark.parametrize(
    ("asked", "whole", "drawn"),
    [
        (Size(1024, 1024), Size(1024, 1024), Size(1024, 1024)),
        (Size(512, 512), Size(1024, 1024), Size(1024, 1024)),
        (Size(2048, 2048), Size(1024, 1024), Size(1024, 1024)),
        (Size(1000, 1300), Size(886, 1152), Size(896, 1152)),
        (Size(700, 100), Size(1536, 219), Size(1536, 640)),
    ],
)
def test_the_native_size_of_the_most_alike_proportions_is_drawn(
    asked: Size, whole: Size, drawn: Size
) -> None:
    assert SDXL.frame(asked, 8) == Frame(asked, whole, drawn)


@settings(max_examples=200, deadline=None)
@given(width=st.integers(1, 2048), height=st.integers(1, 2048))
def test_every_size_has_a_place_in_a_native_one(width: int, height: int) -> None:
    frame = SDXL.frame(Size(width, height), 8)

    either_way = {*SDXL.sizes, *(Size(one.height, one.width) for one in SDXL.sizes)}
    assert frame.drawn in either_way
    assert frame.whole.width <= frame.drawn.width
    assert frame.whole.height <= frame.drawn.height
    assert frame.whole.width == frame.drawn.width or frame.whole.height == frame.drawn.height
    assert abs(frame.whole.width * height - frame.whole.height * width) <= max(width, height)


def test_borders_are_carried_outwards() -> None:
    image = Image.new("RGB", (5, 5), (10, 20, 30))

    fitted = NativeSizes().frame(Size(5, 5), 8).fit(image)

    assert fitted.getcolors() == [(64, (10, 20, 30))]


def test_control_image_of_another_size_or_mode_is_adapted() -> None:
    fitted = NativeSizes().frame(Size(16, 16), 8).fit(Image.new("L", (9, 7), 200))

    assert (fitted.size, fitted.mode) == ((16, 16), "RGB")
