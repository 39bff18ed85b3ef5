"""Sizes that the networks cannot draw, or only badly: drawn larger, then cut and reduced to what was asked."""

import numpy as np
from PIL import Image

from writing_service.types import Size

LONGEST = 2
"""Times the least side: no long side is enlarged beyond, whatever the short one."""


def enlarged(asked: Size, least_side: int) -> Size:
    """The same proportions with a short side of at least `least_side` pixels; the size itself if it has that."""
    short, long = sorted((asked.width, asked.height))
    factor = max(1.0, min(least_side / short, LONGEST * least_side / long))
    return Size(round(asked.width * factor), round(asked.height * factor))


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


def restore(image: Image.Image, whole: Size, asked: Size) -> Image.Image:
    """The asked size from a drawn picture, whose middle of size `whole` shows all."""
    picture = crop(image, whole)
    if whole == asked:
        return picture
    return picture.resize((asked.width, asked.height), Image.Resampling.LANCZOS)


def crop(image: Image.Image, asked: Size) -> Image.Image:
    """The middle of a drawn picture, of exactly the asked size."""
    drawn = Size(*image.size)
    if asked == drawn:
        return image
    left, top = _margins(asked, drawn)
    return image.crop((left, top, left + asked.width, top + asked.height))


def _margins(asked: Size, drawn: Size) -> tuple[int, int]:
    return (drawn.width - asked.width) // 2, (drawn.height - asked.height) // 2
