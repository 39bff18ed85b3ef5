"""From a meaning to a piece of openly licensed art: exact name, everyday word, keyword, simple inflection."""

import difflib
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from writing_service.errors import UnknownPictogram
from writing_service.types import Meaning, Pictogram, Pixels

PACK = Path(__file__).parent / "pack"
_ARTICLES = ("to be ", "to ", "a ", "an ", "the ", "some ", "my ", "your ")


@dataclass(frozen=True)
class _Concept:
    """One entry of the index. `everyday` are words for which learners expect this very picture."""

    name: str
    code: str
    everyday: tuple[str, ...]
    keywords: tuple[str, ...]


class PictogramLibrary:
    """About 1,600 concepts with their pictures, decoded when asked for. Several threads may share one."""

    def __init__(self, folder: Path = PACK) -> None:
        entries: list[dict[str, Any]] = json.loads((folder / "index.json").read_text("utf-8"))
        concepts = (
            _Concept(e["name"], e["code"], tuple(e["everyday"]), tuple(e["keywords"]))
            for e in entries
        )
        self._concepts = {concept.name: concept for concept in concepts}
        self._by_word = _index_words(self._concepts)
        self._art = _Art(folder / "pictograms.zip")

    def names(self) -> tuple[str, ...]:
        """All concepts, in the pack's order."""
        return tuple(self._concepts)

    def keywords_of(self, name: str) -> tuple[str, ...]:
        """Further words for a concept, the everyday ones first."""
        concept = self._concepts[name]
        return concept.everyday + concept.keywords

    def named(self, name: str) -> Pictogram:
        """The picture of exactly this concept. Raises UnknownPictogram, with similar names."""
        concept = self._concepts.get(" ".join(name.casefold().split()))
        if concept is None:
            raise UnknownPictogram(
                name, difflib.get_close_matches(name.casefold(), self._concepts, 3)
            )
        source = f"Fluent Emoji 3D {concept.code} (MIT)"
        return Pictogram(concept.name, source, self._art.pixels(concept.code))

    def find(self, meaning: Meaning) -> Pictogram | None:
        """The picture that fits best, or None: never one that has nothing to do with the meaning."""
        for word in _spellings((meaning.subject, *meaning.keywords)):
            if word in self._by_word:
                return self.named(self._by_word[word])
        return None


class _Art:
    """The pictures of the pack, one decoded at a time."""

    def __init__(self, path: Path) -> None:
        self._pack = zipfile.ZipFile(path)
        self._lock = threading.Lock()
        self.pixels = lru_cache(maxsize=64)(self._decode)

    def _decode(self, code: str) -> Pixels:
        with self._lock:
            encoded = self._pack.read(f"{code}.webp")
        pixels = np.array(Image.open(BytesIO(encoded)).convert("RGBA"))
        pixels.setflags(write=False)
        return pixels


def _index_words(concepts: Mapping[str, _Concept]) -> dict[str, str]:
    """Word → concept. Everyday words first, then names, then their head nouns, then keywords by their position."""
    words: dict[str, str] = {}
    for concept in concepts.values():
        for word in concept.everyday:
            words.setdefault(word, concept.name)
    for name in concepts:
        words.setdefault(name, name)
    for name in sorted(concepts, key=lambda name: name.count(" ")):
        words.setdefault(_head_noun(name), name)
    longest = max(len(concept.keywords) for concept in concepts.values())
    for position in range(longest):
        for concept in concepts.values():
            if position < len(concept.keywords):
                words.setdefault(concept.keywords[position], concept.name)
    return words


def _head_noun(name: str) -> str:
    """ "red heart" → "heart", "face with tears" → "face": an adjective alone is another meaning."""
    head = name.partition(" with ")[0].partition(" of ")[0].partition(":")[0]
    return head.split()[-1]


def _spellings(phrases: tuple[str, ...]) -> Iterator[str]:
    """Each phrase whole and by its simple inflections; then the last, then the other words of each."""
    cleaned = [_bare(phrase) for phrase in phrases]
    for phrase in cleaned:
        yield from _inflections(phrase)
    for phrase in cleaned:
        for word in reversed(phrase.split()):
            if len(word) > 2:
                yield from _inflections(word)


def _bare(phrase: str) -> str:
    bare = " ".join(phrase.casefold().split()).strip(".!?… ")
    for article in _ARTICLES:
        bare = bare.removeprefix(article)
    return bare


def _inflections(word: str) -> Iterator[str]:
    """The word, then what it may be a plural, participle or past tense of."""
    yield word
    for ending, stem in (
        ("ies", "y"),
        ("es", ""),
        ("s", ""),
        ("ing", ""),
        ("ing", "e"),
        ("ied", "y"),
        ("ed", ""),
        ("d", ""),
        ("ly", ""),
    ):
        if len(word) > len(ending) + 2 and word.endswith(ending):
            yield word.removesuffix(ending) + stem
    if len(word) > 6 and word.endswith("ing") and word[-4] == word[-5]:
        yield word[:-4]
