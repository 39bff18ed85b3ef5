"""Sizes that the networks cannot draw: drawn at the next larger one, then cut to what was asked."""

import numpy as np
from PIL import Image

from writing_service.types import Size


def padded_size(size: Size, multiple: int) -> Size:
    """Both sides up to the next multiple."""
    return Size(-(-size.width // multiple) * multiple, -(-size.height // multiple) * multiple)


def fit(image: Image.Image, asked: Size, drawn: Size) -> Image.Image:
    """A control image in the middle of the drawn canvas, its borders carried outwards."""
    image = image.convert("RGB")
    if image.size != (asked.width, asked.height):
        image = image.resize((asked.width, asked.height), Image.Resampling.LANCZOS)
    if asked == drawn:
        return image
    left, top = _margins(asked, drawn)
    right, bottom = drawn.width - asked.width - left, drawn.height - asked.height - top
    pixels = np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="edge")
    return Image.fromarray(pixels)


def crop(image: Image.Image, asked: Size) -> Image.Image:
    """The middle of a drawn picture, of exactly the asked size."""
    drawn = Size(*image.size)
    if asked == drawn:
        return image
    left, top = _margins(asked, drawn)
    return image.crop((left, top, left + asked.width, top + asked.height))


def _margins(asked: Size, drawn: Size) -> tuple[int, int]:
    return (drawn.width - asked.width) // 2, (drawn.height - asked.height) // 2
