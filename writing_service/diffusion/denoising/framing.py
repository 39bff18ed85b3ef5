"""Sizes that the networks cannot draw, or only badly: drawn at one that they know, then cut and resized."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from writing_service.types import Size

LONGEST = 2
"""Times the least side: no long side is enlarged beyond, whatever the short one."""


@dataclass(frozen=True)
class Frame:
    """How one picture is drawn: on a canvas of size `drawn`, whose middle of size `whole` shows all of it.

    `whole` has the proportions of `asked`, the size of control images and of the finished picture.
    """

    asked: Size
    whole: Size
    drawn: Size

    def fit(self, image: Image.Image) -> Image.Image:
        """A control image in the middle of the canvas, RGB, its borders carried outwards."""
        image = _resized(image.convert("RGB"), self.whole)
        if self.whole == self.drawn:
            return image
        left, top = self._margins
        right = self.drawn.width - self.whole.width - left
        bottom = self.drawn.height - self.whole.height - top
        pixels = np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="edge")
        return Image.fromarray(pixels)

    def restore(self, image: Image.Image) -> Image.Image:
        """The asked size from a drawn picture."""
        left, top = self._margins
        box = (left, top, left + self.whole.width, top + self.whole.height)
        whole = image if self.whole == self.drawn else image.crop(box)
        return _resized(whole, self.asked)

    @property
    def _margins(self) -> tuple[int, int]:
        """Pixels beside and above the middle."""
        beside, above = self.drawn.width - self.whole.width, self.drawn.height - self.whole.height
        return beside // 2, above // 2


@dataclass(frozen=True)
class NativeSizes:
    """The sizes that a model draws well.

    `sizes` are all of them, each either way round, where the model was trained on so many; where
    there are none it draws any with a short side of at least `least_side` pixels.
    """

    sizes: tuple[Size, ...] = ()
    least_side: int = 0

    def frame(self, asked: Size, multiple: int) -> Frame:
        """Where to draw a picture of this size; sides of the canvas are multiples of `multiple`."""
        if not self.sizes:
            whole = enlarged(asked, self.least_side)
            return Frame(asked, whole, padded_size(whole, multiple))
        drawn = nearest(asked, self.sizes)
        return Frame(asked, fitted(asked, drawn), padded_size(drawn, multiple))


def enlarged(asked: Size, least_side: int) -> Size:
    """The same proportions with a short side of at least `least_side` pixels; the size itself if it has that."""
    short, long = sorted((asked.width, asked.height))
    factor = max(1.0, min(least_side / short, LONGEST * least_side / long))
    return Size(round(asked.width * factor), round(asked.height * factor))


def nearest(asked: Size, sizes: Sequence[Size]) -> Size:
    """Of the sizes, each either way round, the one of the most alike proportions."""
    turned = (Size(one.height, one.width) for one in sizes)
    return min([*sizes, *turned], key=lambda one: abs(_proportion(one) - _proportion(asked)))


def fitted(asked: Size, drawn: Size) -> Size:
    """The largest size of the same proportions that lies within `drawn`."""
    factor = min(drawn.width / asked.width, drawn.height / asked.height)
    return Size(max(1, round(asked.width * factor)), max(1, round(asked.height * factor)))


def padded_size(size: Size, multiple: int) -> Size:
    """Both sides up to the next multiple."""
    return Size(-(-size.width // multiple) * multiple, -(-size.height // multiple) * multiple)


def _resized(image: Image.Image, size: Size) -> Image.Image:
    if image.size == (size.width, size.height):
        return image
    return image.resize((size.width, size.height), Image.Resampling.LANCZOS)


def _proportion(size: Size) -> float:
    """Logarithmic, so that twice as wide is as far from square as twice as high."""
    return math.log(size.width / size.height)
