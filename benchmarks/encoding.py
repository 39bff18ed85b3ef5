"""Milliseconds and bytes of pictures as files, and of all files of one answer. Run by `make bench-encoding`.

The pictures are what the service answers with: painted by the embedded checkpoint in four styles, their control
images, the plain rendering of the word. The peer is Pillow with its own defaults. Every figure is the mean over the
pictures of each one's median.
"""

import asyncio
import base64
import io
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from PIL import Image

from writing_service.app import create_generator
from writing_service.config import load_settings
from writing_service.encoding import (
    EncodingPool,
    encode_drawing,
    encode_picture,
    encode_result,
    to_base64,
)
from writing_service.types import AIGenerationResult, ImageFormat, WritingRequest

SIDES = (512, 1024)
REPEATS = 5
WORDS = (
    ("学习", "study", "comic"),
    ("cat", "cat", "watercolor"),
    ("山", "mountain", "realistic"),
    ("火", "fire", "ink"),
)
PEER = "Pillow, defaults"

Encoder = Callable[[Image.Image], bytes]


def pillow(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """Pillow's file."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def opencv(image: Image.Image, level: int, strategy: str, row_filter: str) -> bytes:
    """OpenCV's PNG."""
    options = {
        cv2.IMWRITE_PNG_COMPRESSION: level,
        cv2.IMWRITE_PNG_STRATEGY: getattr(cv2, f"IMWRITE_PNG_STRATEGY_{strategy}"),
        cv2.IMWRITE_PNG_FILTER: getattr(cv2, f"IMWRITE_PNG_{row_filter}"),
    }
    pixels = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", pixels, [one for pair in options.items() for one in pair])[
        1
    ].tobytes()


PNG: Mapping[str, Encoder] = {
    PEER: pillow,
    **{f"Pillow, level {level}": partial(pillow, compress_level=level) for level in (1, 3)},
    # zlib's Z_RLE.
    "Pillow, level 1, RLE": partial(pillow, compress_level=1, compress_type=3),
    **{
        f"OpenCV, level {level}, {strategy.lower()}, {row_filter.lower()}": partial(
            opencv, level=level, strategy=strategy, row_filter=row_filter
        )
        for level, strategy, row_filter in (
            (1, "DEFAULT", "FILTER_UP"),
            (1, "FILTERED", "FILTER_NONE"),
            (3, "FILTERED", "FILTER_UP"),
            (1, "HUFFMAN_ONLY", "FILTER_PAETH"),
            (1, "RLE", "FILTER_NONE"),
            (1, "RLE", "FILTER_SUB"),
            (1, "RLE", "FILTER_UP"),
            (1, "RLE", "FILTER_PAETH"),
            (1, "RLE", "ALL_FILTERS"),
        )
    },
    "encode_picture": partial(encode_picture, image_format=ImageFormat.PNG),
    "encode_drawing": encode_drawing,
}

LOSSY: Mapping[str, Encoder] = {
    f"{maker}, {name}": encoder
    for name in ("JPEG", "WEBP")
    for maker, encoder in (
        ("Pillow", partial(pillow, image_format=name, quality=90)),
        ("encode_picture", partial(encode_picture, image_format=ImageFormat(name.lower()))),
    )
}


async def main() -> None:
    """One size after the other."""
    generator = create_generator(load_settings())
    pool = EncodingPool()
    print(f"{os.cpu_count()} cores; medians of {REPEATS}")
    for side in SIDES:
        requests = [
            WritingRequest(word, meaning, style=style, width=side, height=side, seed=3)
            for word, meaning, style in WORDS
        ]
        results = [await generator.generate(request) for request in requests]
        painted = [result.images[0].image for result in results]
        for name, pictures in (
            ("painted pictures", painted),
            ("control images", [i.image for one in results for i in one.control_images.values()]),
            ("plain renderings", [result.scene.word.image for result in results]),
        ):
            table(f"{side}², {len(pictures)} {name}, PNG", PNG, pictures, PEER)
        for name in ("JPEG", "WEBP"):
            encoders = {key: one for key, one in LOSSY.items() if key.endswith(name)}
            table(f"{side}², painted pictures, {name}", encoders, painted, f"Pillow, {name}")
        await answers(side, results, pool)
    pool.close()
    generator.close()


def table(
    title: str, encoders: Mapping[str, Encoder], pictures: Sequence[Image.Image], peer: str
) -> None:
    """Time and size of every encoder, and both as ratios against the peer's."""
    figures = {name: mean_of(encoder, pictures) for name, encoder in encoders.items()}
    their_ms, their_bytes = figures[peer]
    print(f"\n{title:<52}{'ms':>8}{'KiB':>9}{'faster':>9}{'bytes':>8}")
    for name, (cost_ms, size) in figures.items():
        ratios = f"{their_ms / cost_ms:>8.1f}×{size / their_bytes:>7.2f}×"
        print(f"  {name:<50}{cost_ms:>8.1f}{size / 1024:>9.1f}{ratios}")


def mean_of(encoder: Encoder, pictures: Sequence[Image.Image]) -> tuple[float, float]:
    """Milliseconds and bytes of a picture."""
    costs = [timed(partial(encoder, picture)) for picture in pictures]
    sizes = [len(encoder(picture)) for picture in pictures]
    return statistics.mean(costs), statistics.mean(sizes)


async def answers(side: int, results: Sequence[AIGenerationResult], pool: EncodingPool) -> None:
    """All files of one answer: the picture, the plain rendering and the control images, in base64."""
    print(
        f"\n{side}², all six files of an answer in base64{'ms':>17}{'longest stall of the loop':>28}"
    )
    pillow_ms, apart_ms, pool_ms, stall_ms = [], [], [], []
    for result in results:
        controls = [one.image for one in result.control_images.values()]
        images = [result.images[0].image, result.scene.word.image, *controls]
        encodings = [
            partial(encode_result, result, 0, ImageFormat.PNG),
            *(partial(encode_drawing, image) for image in images[1:]),
        ]
        pillow_ms.append(timed(partial(in_base64, [partial(pillow, one) for one in images])))
        apart_ms.append(timed(partial(in_base64, encodings)))
        runs = [await in_pool(pool, encodings) for _ in range(REPEATS + 1)][1:]
        pool_ms.append(statistics.median(whole for whole, _ in runs))
        stall_ms.append(max(stall for _, stall in runs))
    peer, apart, together = map(statistics.mean, (pillow_ms, apart_ms, pool_ms))
    print(f"  {f'{PEER}, one after the other':<50}{peer:>8.1f}{'(all of it)':>28}")
    print(f"  {'one after the other':<50}{apart:>8.1f}{'(all of it)':>28}{peer / apart:>7.1f}×")
    print(f"  {'in the pool':<50}{together:>8.1f}{max(stall_ms):>28.1f}{peer / together:>7.1f}×")


def in_base64(encodings: Sequence[Callable[[], bytes]]) -> list[str]:
    """One after the other."""
    return [base64.b64encode(encode()).decode("ascii") for encode in encodings]


async def in_base64_from(pool: EncodingPool, encodings: Sequence[Callable[[], bytes]]) -> list[str]:
    """As an answer has it: the files at once, base64 in one thread."""
    files = await pool.files(encodings)
    return await asyncio.to_thread(lambda: [to_base64(one) for one in files])


async def in_pool(
    pool: EncodingPool, encodings: Sequence[Callable[[], bytes]]
) -> tuple[float, float]:
    """Milliseconds of all, and of the longest time that the event loop did not turn."""
    started = last = time.perf_counter()
    stall = 0.0
    waiting = asyncio.create_task(in_base64_from(pool, encodings))
    while not waiting.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        last, stall = now, max(stall, now - last - 0.001)
    return 1000 * (time.perf_counter() - started), 1000 * stall


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds: the median, after one run to warm up."""
    work()
    costs = list[float]()
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        costs.append(time.perf_counter() - started)
    return 1000 * statistics.median(costs)


if __name__ == "__main__":
    asyncio.run(main())
