"""A second opinion: can a machine read the word in its picture?

Optional, for it needs more packages (`pip install 'writing-service[ocr]'`) and takes from a tenth of a second to
several seconds. What no reader reads in plain print either says nothing about a picture.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from writing_service.legibility.layers import crop_of
from writing_service.legibility.rapid import RapidOCR
from writing_service.legibility.tesseract import Tesseract
from writing_service.types import Pixels, RenderedWord


class Reader(Protocol):
    """A program that reads text."""

    @property
    def name(self) -> str:
        """As the metadata tell it."""
        ...

    def missing(self) -> str | None:
        """What it needs and does not find here; None when it can be used."""
        ...

    def language_for(self, script: str, language: str) -> str | None:
        """Its own name of what a word of that script and ISO 639 language is in; None if it cannot read it."""
        ...

    def texts(self, crop: Pixels, length: int, language: str) -> Iterator[str]:
        """What it reads in a (height, width, 3) crop, layer by layer, likely ones first.

        `length` is the word's in characters, `language` one that `language_for` gave.
        """
        ...


READERS: tuple[Reader, ...] = (RapidOCR(), Tesseract())
"""The quicker one first."""


@dataclass(frozen=True)
class Reading:
    """The text that came nearest to the word, over all layers and readers.

    `distance` is the edit distance to it over the longer one's length (NED): 0 is the word itself, 1 nothing of it.
    """

    text: str
    distance: float
    reader: str
    language: str

    @property
    def exact(self) -> bool:
        """Whether the word was read."""
        return self.distance == 0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "distance": round(self.distance, 3), "exact": self.exact}


def read_word(
    picture: Pixels, word: RenderedWord, readers: Sequence[Reader] = READERS
) -> Reading | None:
    """Read `word` at its place in the (height, width, 3) picture.

    None when no reader that is here knows its script. The next reader is asked only for what one cannot read.
    """
    best: Reading | None = None
    crop = crop_of(picture, word)
    for reader in readers:
        language = reader.language_for(word.script, word.language) if not reader.missing() else None
        if language and (best is None or not best.exact):
            found = read(crop, word.text, reader, language)
            best = min(best or found, found, key=lambda one: one.distance)
    return best


def read(crop: Pixels, text: str, reader: Reader, language: str) -> Reading:
    """What `reader` makes of the crop; it stops as soon as it reads `text`."""
    wanted = bare(text)
    nearest, distance = "", 1.0
    for told in reader.texts(crop, len(wanted), language):
        if (now := edit_distance(bare(told), wanted)) < distance:
            nearest, distance = " ".join(told.split()), now
        if distance == 0:
            break
    return Reading(nearest, distance, reader.name, language)


def edit_distance(one: str, other: str) -> float:
    """Levenshtein's distance over the longer one's length, 0 to 1."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_distance(one, other)


def bare(text: str) -> str:
    """Letters, marks and digits alone, without case: what is the same word to a reader.

    Compatibility forms (full width, Arabic shapes) become the plain ones. Applied twice it changes nothing.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = (c for c in unicodedata.normalize("NFKC", plain) if unicodedata.category(c)[0] in "LMN")
    return unicodedata.normalize("NFC", "".join(kept))
