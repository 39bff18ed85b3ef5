"""Read a word back out of a picture with tesseract, through colour layers.

A grey crop hides words that any person reads at once (gold on blue of the same luminance), so the crop
is first taken apart by colour; the word counts as read when any layer gives it exactly.
"""

import itertools
import os
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytesseract
from numpy.typing import NDArray

from writing_service.types import Box, RenderedWord

HEIGHT = 96
"""Pixels of a line that is read."""

_MARGIN = 0.12

OUTLINES = (60, 90, 120)
"""Lightness, of 255, below which pixels may be an outline."""

GAPS = (3, 5)
"""Pixels of an outline's gaps that are closed."""

_RAW_LINE = 13
"""Tesseract's page mode that looks for no words in a line."""


class Readers:
    """Reads in other processes, one tesseract thread each, while this one draws. A context manager."""

    def __init__(self, count: int = 2) -> None:
        self._processes = ProcessPoolExecutor(count, get_context("forkserver"), _start_reader)

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.shutdown(cancel_futures=True)

    def ask(self, picture: NDArray[np.uint8], word: RenderedWord, language: str) -> Future[bool]:
        """Whether `word` is read in (H, W, 3) `picture`, in tesseract's `language`, at its place."""
        crop = crop_of(picture, word)
        return self._processes.submit(is_read, crop, word.text, language)

    def ask_plain(self, word: RenderedWord, language: str) -> Future[bool]:
        """The same of the plain rendering: what is not read there is the reader's fault or the face's."""
        return self.ask(np.asarray(word.image), word, language)


def is_read(crop: NDArray[np.uint8], text: str, language: str) -> bool:
    """Whether tesseract in `language` reads exactly `text` in any colour layer of the (H, W, 3) crop."""
    wanted = bare(text)
    return any(
        bare(told) == wanted
        for several, mode in _attempts(crop, _page_mode(crop, wanted))
        for told in _read_all(several, language, mode)
    )


def bare(text: str) -> str:
    """Letters, marks and digits alone, without case: what is the same word to a reader.

    Compatibility forms (full width, Arabic shapes) become the plain ones. Applied twice it changes nothing.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = (c for c in unicodedata.normalize("NFKC", plain) if unicodedata.category(c)[0] in "LMN")
    return unicodedata.normalize("NFC", "".join(kept))


def crop_of(picture: NDArray[np.uint8], word: RenderedWord) -> NDArray[np.uint8]:
    """The word's place in the picture, a line 96 pixels high; columns of characters are laid across.

    For tesseract has no good models of columns.
    """
    if not _runs_down(word):
        return crop_to_ink(picture, word.mask)
    boxes = [character.box for character in word.characters]
    side = round((1 + _MARGIN) * max(max(box.width, box.height) for box in boxes))
    return np.hstack([_cell(picture, box, side) for box in boxes])


def crop_to_ink(picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture around the mask's ink box; 96 pixels high, more when it is far from being a line."""
    rows, columns = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    margin = int(_MARGIN * (rows[-1] - rows[0] + 1)) + 2
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    crop = picture[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1]
    height = HEIGHT * _lines(mask)
    width = max(HEIGHT // 2, round(crop.shape[1] * height / crop.shape[0]))
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)


def layers(crop: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Black-on-white candidates: the grey crop, Otsu on each Lab channel, what dark outlines enclose, k-means
    clusters alone and by darkness, what outlines with gaps enclose."""
    yield cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)
    for channel in cv2.split(lab):
        _, binary = cv2.threshold(channel, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        yield from (binary, 255 - binary)
    for darkest in OUTLINES:
        yield _enclosed(lab[..., 0] >= darkest)
    for clusters in (3, 4, 5, 6):
        yield from _cluster_layers(lab, clusters)
    for darkest, gap in itertools.product(OUTLINES, GAPS):
        yield _enclosed(lab[..., 0] >= darkest, gap)


def _attempts(
    crop: NDArray[np.uint8], usual: int
) -> Iterator[tuple[Sequence[NDArray[np.uint8]], int]]:
    """Layers to read by one call, and the page mode; likely ones first, for most words are read at once.

    Words in a brush face are often read only as a raw line, or small.
    """
    # As several layers of plain print are the same, each is taken once.
    candidates = list(
        {layer.tobytes(): layer for layer in layers(crop) if _has_ink(layer)}.values()
    )
    first, clusters, further = candidates[:10], candidates[10:24], candidates[24:]
    for several, mode in (
        (first[:1], usual),
        (first[1:], usual),
        (first, _RAW_LINE),
        ([_halved(layer) for layer in first], usual),
        (clusters, usual),
        (clusters, _RAW_LINE),
        (further, usual),
        ([_halved(layer) for layer in further[-len(OUTLINES) * len(GAPS) :]], usual),
    ):
        if several:
            yield several, mode


def _halved(layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.resize(layer, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _has_ink(layer: NDArray[np.uint8]) -> bool:
    """Between a hundredth and 99 hundredths; nearly empty pages are no words, and tesseract falls over some."""
    return 0.01 < np.mean(layer < (int(layer.min()) + int(layer.max()) + 1) / 2) < 0.99


def _read_all(several: Sequence[NDArray[np.uint8]], language: str, mode: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for index, layer in enumerate(several):
            files.append(str(Path(folder) / f"{index}.png"))
            framed = cv2.copyMakeBorder(layer, 16, 16, 16, 16, cv2.BORDER_REPLICATE)
            cv2.imwrite(files[-1], framed)
        names = Path(folder) / "layers.txt"
        names.write_text("\n".join(files))
        try:
            told = pytesseract.image_to_string(str(names), lang=language, config=f"--psm {mode}")
        except pytesseract.TesseractError:
            # It crashed at one of them, and took the others along.
            return (
                [one for layer in several for one in _read_all([layer], language, mode)]
                if len(several) > 1
                else []
            )
    return told.split("\f")


def _page_mode(crop: NDArray[np.uint8], wanted: str) -> int:
    """Tesseract's: a word, a line, a block of lines. Single characters are read best as words."""
    if len(wanted) == 1:
        return 8
    return 7 if crop.shape[0] <= HEIGHT else 6


def _enclosed(light: NDArray[np.bool_], gap: int = 1) -> NDArray[np.uint8]:
    """Light areas that do not reach the crop's edge: outlined letters, whatever the run of colours inside them.

    Outlines are thickened to close gaps, and what they enclose gets its size back.
    """
    square = np.ones((gap, gap), np.uint8)
    count, areas = cv2.connectedComponents(
        cv2.erode(light.astype(np.uint8), square), connectivity=4
    )
    edge = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    inside = np.isin(areas, np.setdiff1d(np.arange(1, count), edge))
    return np.where(cv2.dilate(inside.astype(np.uint8), square) > 0, 0, 255).astype(np.uint8)


def _cluster_layers(lab: NDArray[np.uint8], clusters: int) -> Iterator[NDArray[np.uint8]]:
    cv2.setRNGSeed(0)
    points = lab.reshape(-1, 3).astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1.0)
    _, labels, centres = cv2.kmeans(points, clusters, None, criteria, 2, cv2.KMEANS_PP_CENTERS)
    labels = labels.reshape(lab.shape[:2])
    darker = np.zeros(lab.shape[:2], bool)
    for cluster in np.argsort(centres[:, 0]):
        alone = labels == cluster
        darker = darker | alone
        for chosen in (alone, darker):
            yield np.where(chosen, 0, 255).astype(np.uint8)


def _lines(mask: NDArray[np.uint8]) -> int:
    """How many lines of ink lie below each other, at most three; dots and marks are no lines."""
    inked = np.flatnonzero(mask.max(1) > 127)
    runs = np.split(inked, np.flatnonzero(np.diff(inked) > 1) + 1)
    tallest = max(len(run) for run in runs)
    return min(3, sum(len(run) > 0.5 * tallest for run in runs))


def _runs_down(word: RenderedWord) -> bool:
    """Whether some character stands right below the one before it, as nothing does in lines."""
    boxes = [character.box for character in word.characters]
    return any(
        after.top >= before.top + before.height // 2
        and abs(2 * (after.left - before.left) + after.width - before.width) < before.width
        for before, after in itertools.pairwise(boxes)
    )


def _cell(picture: NDArray[np.uint8], box: Box, side: int) -> NDArray[np.uint8]:
    """A square of `side` pixels around the middle of `box`, made 96 pixels high and wide."""
    top = box.top + (box.height - side) // 2
    left = box.left + (box.width - side) // 2
    rows = slice(max(0, top), min(picture.shape[0], top + side))
    columns = slice(max(0, left), min(picture.shape[1], left + side))
    return cv2.resize(picture[rows, columns], (HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)


def _start_reader() -> None:
    os.environ["OMP_THREAD_LIMIT"] = "1"  # tesseract's; the processes are as many as the cores
    cv2.setNumThreads(1)
