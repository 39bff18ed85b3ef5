"""Canvases that the networks cannot draw."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from writing_service.diffusion.framing import LONGEST, crop, enlarged, fit, padded_size, restore
from writing_service.types import Size

sides = st.integers(1, 90)


@settings(max_examples=30, deadline=None)
@given(width=sides, height=sides, multiple=st.sampled_from([1, 4, 8, 16]))
def test_cropping_undoes_fitting(width: int, height: int, multiple: int) -> None:
    asked = Size(width, height)
    rng = np.random.default_rng(width * height)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    drawn = padded_size(asked, multiple)

    fitted = fit(image, asked, drawn)

    assert drawn.width % multiple == drawn.height % multiple == 0
    assert 0 <= drawn.width - width < multiple
    assert fitted.size == (drawn.width, drawn.height)
    assert crop(fitted, asked).tobytes() == image.tobytes()


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
    asked = Size(30, 20)
    whole = enlarged(asked, 40)
    drawn = padded_size(whole, 16)
    image = Image.linear_gradient("L").convert("RGB").resize((30, 20))

    back = restore(fit(image, whole, drawn), whole, asked)

    assert (whole, drawn) == (Size(60, 40), Size(64, 48))
    assert back.size == (30, 20)
    assert np.abs(np.asarray(back, int) - np.asarray(image, int)).max() < 12


def test_borders_are_carried_outwards() -> None:
    image = Image.new("RGB", (5, 5), (10, 20, 30))

    fitted = fit(image, Size(5, 5), Size(8, 8))

    assert fitted.getcolors() == [(64, (10, 20, 30))]


def test_control_image_of_another_size_or_mode_is_adapted() -> None:
    fitted = fit(Image.new("L", (9, 7), 200), Size(16, 16), Size(16, 16))

    assert (fitted.size, fitted.mode) == ((16, 16), "RGB")
