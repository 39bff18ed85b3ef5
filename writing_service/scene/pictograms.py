"""From a meaning to a piece of openly licensed art: by its words and their inflections, else by the nearest kin."""

import difflib
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from writing_service.errors import UnknownPictogram
from writing_service.prompt.inflection import base_forms
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
        self._by_name = _index_names(self._concepts)
        self._by_word = _index_words(self._concepts, self._by_name)
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
        """The picture that fits best, or None: never one that has nothing to do with the meaning.

        One of its own words may be any keyword of a concept; a relative must be what the concept is called.
        """
        phrases = tuple(map(_bare, (meaning.subject, *meaning.keywords)))
        by_word = [(word, self._by_word.get(word)) for word in _whole(phrases)]
        by_part = [(word, self._by_word.get(word)) for word in _parts(phrases)]
        by_kin = [(word, self._by_name.get(word)) for word in meaning.relatives]
        # WordNet's kin of "guinea pig" come before its "pig"; of "fat pig", where it knows only "pig", after.
        rest = [*by_kin, *by_part] if _knows_whole(meaning) else [*by_part, *by_kin]
        for word, name in [*by_word, *rest]:
            if name is not None:
                return replace(self.named(name), found_by=word)
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


def _index_names(concepts: Mapping[str, _Concept]) -> dict[str, str]:
    """What a concept is called → concept. Everyday words first, then names, then their head nouns."""
    words: dict[str, str] = {}
    for concept in concepts.values():
        for word in concept.everyday:
            words.setdefault(word, concept.name)
    for name in concepts:
        words.setdefault(name, name)
    for name in sorted(concepts, key=lambda name: name.count(" ")):
        words.setdefault(_head_noun(name), name)
    return words


def _index_words(concepts: Mapping[str, _Concept], names: Mapping[str, str]) -> dict[str, str]:
    """Word → concept: after what concepts are called, their keywords, by their position; no codes of countries."""
    words = dict(names)
    longest = max(len(concept.keywords) for concept in concepts.values())
    for position in range(longest):
        for concept in concepts.values():
            if position < len(concept.keywords) and len(concept.keywords[position]) > 2:
                words.setdefault(concept.keywords[position], concept.name)
    return words


def _head_noun(name: str) -> str:
    """ "red heart" → "heart", "face with tears" → "face": an adjective alone is another meaning."""
    head = name.partition(" with ")[0].partition(" of ")[0].partition(":")[0]
    return head.split()[-1]


def _whole(phrases: tuple[str, ...]) -> Iterator[str]:
    """Each phrase, and what it may be a form of."""
    for phrase in phrases:
        yield from base_forms(phrase)


def _parts(phrases: tuple[str, ...]) -> Iterator[str]:
    """The last, then the other words of each."""
    for phrase in phrases:
        for word in reversed(phrase.split()):
            if len(word) > 2:
                yield from base_forms(word)


def _knows_whole(meaning: Meaning) -> bool:
    """Whether the sense is that of the whole subject, not of a word of it."""
    sense = meaning.sense
    return sense is not None and len(sense.word.split()) == len(meaning.subject.split())


def _bare(phrase: str) -> str:
    bare = " ".join(phrase.casefold().split()).strip(".!?… ")
    for article in _ARTICLES:
        bare = bare.removeprefix(article)
    return bare
