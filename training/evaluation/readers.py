"""Reads words back out of pictures with tesseract, in other processes, while this one draws."""

import os
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from writing_service.legibility.layers import crop_of
from writing_service.legibility.reading import read
from writing_service.legibility.tesseract import Tesseract
from writing_service.types import RenderedWord


class Readers:
    """Processes of one tesseract thread each. A context manager."""

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
    return read(crop, text, Tesseract(), language).exact


def _start_reader() -> None:
    os.environ["OMP_THREAD_LIMIT"] = "1"  # tesseract's; the processes are as many as the cores
    cv2.setNumThreads(1)
