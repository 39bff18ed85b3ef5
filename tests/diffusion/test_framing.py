"""Canvases that the networks cannot draw."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from writing_service.diffusion.framing import crop, fit, padded_size
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


def test_borders_are_carried_outwards() -> None:
    image = Image.new("RGB", (5, 5), (10, 20, 30))

    fitted = fit(image, Size(5, 5), Size(8, 8))

    assert fitted.getcolors() == [(64, (10, 20, 30))]


def test_control_image_of_another_size_or_mode_is_adapted() -> None:
    fitted = fit(Image.new("L", (9, 7), 200), Size(16, 16), Size(16, 16))

    assert (fitted.size, fitted.mode) == ((16, 16), "RGB")
