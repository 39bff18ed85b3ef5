"""Pictures as files: PNG that tells how it was drawn, JPEG, WebP; several at once, off the event loop."""

import asyncio
import base64
import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from PIL import Image

from writing_service.parameters import parameters_of
from writing_service.types import AIGenerationResult, ImageFormat

PARAMETERS = "parameters"
"""Keyword of the PNG text chunk in which Stable Diffusion tools keep what a picture was made from."""

Encode = Callable[[], bytes]
"""Gives a file's bytes, when called."""

# Run lengths alone, after a filter that suits the picture, take a sixth of the time of Pillow's defaults for about
# as many bytes (`make bench-encoding`). Paint follows its neighbours to the left and above; flat areas and lines
# repeat the row above, which costs least to tell.
_RUN_LENGTHS = (
    cv2.IMWRITE_PNG_COMPRESSION,
    1,
    cv2.IMWRITE_PNG_STRATEGY,
    cv2.IMWRITE_PNG_STRATEGY_RLE,
)
_PAINTED = (*_RUN_LENGTHS, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH)
_FLAT = (*_RUN_LENGTHS, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)

_WEBP_METHOD = 2
"""Of 0 to 6: Pillow's 4 takes more than twice as long for three per cent fewer bytes."""

PREVIEW_SIDE = 192
"""Pixels: a few kilobytes each, for several go out with every word of a job's progress."""

_AFTER_HEADER = 8 + 12 + 13
"""Bytes of a PNG's signature and its first chunk, IHDR, behind which others may stand."""


class EncodingPool:
    """Encodes pictures in threads of its own: the encoders leave the interpreter to others meanwhile.

    `workers` is how many at once; None is one a core. After `close`, RuntimeError is raised.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._workers = ThreadPoolExecutor(workers or os.cpu_count(), thread_name_prefix="encoding")

    async def file(self, encode: Encode) -> bytes:
        """What `encode` gives."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, encode)

    async def files(self, encodings: Sequence[Encode]) -> list[bytes]:
        """All of them at once, in the given order; give the slowest first."""
        return await asyncio.gather(*(self.file(one) for one in encodings))

    def close(self) -> None:
        """Take no more; those that run end."""
        self._workers.shutdown(wait=True, cancel_futures=True)


def encode_picture(
    image: Image.Image, image_format: ImageFormat, quality: int = 90, parameters: str = ""
) -> bytes:
    """The file's bytes, of a painted picture; RGB. `quality` (1 to 100) is for JPEG and WebP, `parameters` for PNG."""
    if image_format is ImageFormat.PNG:
        return with_text(_png(image, _PAINTED), PARAMETERS, parameters)
    buffer = io.BytesIO()
    method = {"method": _WEBP_METHOD} if image_format is ImageFormat.WEBP else {}
    image.save(buffer, image_format.value.upper(), quality=quality, **method)
    return buffer.getvalue()


def encode_drawing(image: Image.Image) -> bytes:
    """The PNG's bytes, of flat areas and lines: a control image, a plain rendering; RGB."""
    return _png(image, _FLAT)


def preview_url(image: Image.Image, side: int = PREVIEW_SIDE) -> str:
    """A data-URL of a small WebP file, its longer side `side` pixels at most. Takes milliseconds."""
    small = image.convert("RGB")
    small.thumbnail((side, side))
    return f"data:image/webp;base64,{to_base64(encode_picture(small, ImageFormat.WEBP, 75))}"


def encode_result(
    result: AIGenerationResult, index: int, image_format: ImageFormat, quality: int = 90
) -> bytes:
    """The result's picture of that index as a file."""
    image = result.images[index].image
    return encode_picture(image, image_format, quality, parameters_of(result, index))


def with_text(png: bytes, keyword: str, text: str) -> bytes:
    """The PNG with one more text chunk (iTXt, not compressed); the same without text.

    `keyword` is 1 to 79 characters of ASCII; neither holds a NUL.
    """
    if not text:
        return png
    # After the keyword: its end, not compressed, by no method, in no language, under no translated keyword.
    body = b"iTXt" + keyword.encode("ascii") + bytes(5) + text.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_AFTER_HEADER] + chunk + png[_AFTER_HEADER:]


def to_base64(data: bytes) -> str:
    """As JSON carries it."""
    return base64.b64encode(data).decode("ascii")


def media_type(image_format: ImageFormat) -> str:
    """For HTTP."""
    return f"image/{image_format.value}"


def _png(image: Image.Image, options: Sequence[int]) -> bytes:
    pixels = cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    # OpenCV refuses files that it cannot open; in memory there is none.
    return cv2.imencode(".png", pixels, options)[1].tobytes()
