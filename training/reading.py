"""Read a word back out of a picture with tesseract, through colour layers.

A grey crop hides words that any person reads at once (gold on blue of the same luminance), so the crop
is first taken apart by colour; the word counts as read when any layer gives it exactly.
"""

import unicodedata
from collections.abc import Iterator

import cv2
import numpy as np
import pytesseract
from numpy.typing import NDArray

HEIGHT = 96
_MARGIN = 0.12


def is_read(picture: NDArray[np.uint8], mask: NDArray[np.uint8], word: str, language: str) -> bool:
    """Whether tesseract in `language` reads exactly `word` at the place of `mask` in (H, W, 3) `picture`."""
    crop = crop_to_ink(picture, mask)
    return any(_reads(layer, word, language) for layer in layers(crop))


def crop_to_ink(picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture around the mask's ink box, 96 pixels high."""
    rows, columns = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    margin = int(_MARGIN * (rows[-1] - rows[0] + 1)) + 2
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    crop = picture[top : rows[-1] + margin + 1, left : columns[-1] + margin + 1]
    width = max(HEIGHT // 2, round(crop.shape[1] * HEIGHT / crop.shape[0]))
    return cv2.resize(crop, (width, HEIGHT), interpolation=cv2.INTER_AREA)


def layers(crop: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Black-on-white candidates: the grey crop, Otsu on each Lab channel, k-means clusters alone and by darkness."""
    yield cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)
    for channel in cv2.split(lab):
        _, binary = cv2.threshold(channel, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        yield from (binary, 255 - binary)
    for clusters in (3, 4, 5, 6):
        yield from _cluster_layers(lab, clusters)


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


def _reads(layer: NDArray[np.uint8], word: str, language: str) -> bool:
    framed = cv2.copyMakeBorder(layer, 16, 16, 16, 16, cv2.BORDER_REPLICATE)
    text = pytesseract.image_to_string(framed, lang=language, config="--psm 7")
    return _bare(word) in _bare(text) and len(_bare(text)) <= len(_bare(word))


def _bare(text: str) -> str:
    kept = (
        c for c in unicodedata.normalize("NFC", text) if not c.isspace() and c not in "\u200e\u200f"
    )
    return "".join(kept)
