"""RapidOCR: PaddleOCR's networks in ONNX, from pip alone; reads Han, kana and Latin."""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import Any

import cv2

from writing_service.legibility.layers import HEIGHT, layers
from writing_service.types import Pixels

SCRIPTS = ("Han", "Hiragana", "Katakana", "Latin")

_LAYERS = 10
"""Read beside the crop itself, whose colours the network sees."""


class RapidOCR:
    """See Reader."""

    name = "rapidocr"

    def missing(self) -> str | None:
        """See Reader."""
        if find_spec("rapidocr") and find_spec("onnxruntime"):
            return None
        return "needs pip install 'writing-service[ocr]'"

    def language_for(self, script: str, language: str) -> str | None:
        """See Reader. One network for all."""
        return "all" if script in SCRIPTS else None

    def texts(self, crop: Pixels, length: int, language: str) -> Iterator[str]:
        """See Reader."""
        several = crop.shape[0] > HEIGHT
        yield _text(cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), several)
        for layer in islice(layers(crop), _LAYERS):
            yield _text(cv2.cvtColor(layer, cv2.COLOR_GRAY2BGR), several)


def _text(pixels: Any, several: bool) -> str:
    """Of one line; of several, which the network has to find first."""
    told = _network()(pixels, use_det=several, use_cls=False, use_rec=True)
    return " ".join(told.txts or ())


@cache
def _network() -> Any:
    """Loaded at first use; its weights lie in the package."""
    import rapidocr

    return rapidocr.RapidOCR(params={"Global.log_level": "error"})
