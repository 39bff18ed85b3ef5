"""WordNet: the senses of English words, the commonest first, and what is a kind of what.

Packed into `semantic_data/wordnet.npz` by `scripts/build_semantics.py`, without glosses and proper names.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "semantic_data" / "wordnet.npz"
MOST_USES = 255
"""More are stored as so many."""

_NOUNS = (
    *(
        "top",
        "act",
        "animal",
        "artifact",
        "attribute",
        "body",
        "cognition",
        "communication",
        "event",
    ),
    *("feeling", "food", "group", "location", "motive", "object", "person", "phenomenon", "plant"),
    *("possession", "process", "quantity", "relation", "shape", "state", "substance", "time"),
)
_VERBS = (
    *("body", "change", "cognition", "communication", "competition", "consumption", "contact"),
    *("creation", "emotion", "motion", "perception", "possession", "social", "stative", "weather"),
)
FIELDS: Sequence[str] = (
    *("adjective.all", "adjective.pertainym", "adverb.all"),
    *(f"noun.{field}" for field in _NOUNS),
    *(f"verb.{field}" for field in _VERBS),
    "adjective.participle",
)
"""WordNet's lexicographer files, by their numbers (lexnames(5WN))."""

CONCRETE = frozenset(
    f"noun.{field}"
    for field in (
        *("animal", "artifact", "body", "food", "location", "object", "person", "phenomenon"),
        *("plant", "shape", "substance"),
    )
)
"""Fields of what can be seen."""

_PHYSICAL_MAYBE = frozenset({"noun.communication", "noun.group", "noun.top"})
"""Fields of which WordNet's hierarchy decides: a book is an artifact, a proverb is not."""


@dataclass(frozen=True)
class WordSense:
    """One sense of a word: the number of its synset, and how often the word was met in it, 0 to MOST_USES."""

    synset: int
    uses: int


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of unequal length behind one another; `ends` are where each ends."""

    ends: NDArray[np.int64]
    values: NDArray[np.int64]

    def row(self, number: int) -> list[int]:
        start = int(self.ends[number - 1]) if number else 0
        return self.values[start : self.ends[number]].tolist()

    def turned(self, count: int) -> "_Rows":
        """For each of `count` values, in which rows it stands."""
        rows = np.repeat(np.arange(len(self.ends)), np.diff(self.ends, prepend=0))
        order = np.argsort(self.values, kind="stable")
        ends = np.cumsum(np.bincount(self.values, minlength=count))
        return _Rows(ends, rows[order])


class WordNet:
    """Synsets are numbers. Several threads may share one; `wordnet()` is the one that everybody shares."""

    def __init__(self, file: Path = FILE) -> None:
        with np.load(file) as columns:
            self._words = columns["words"].tobytes().decode().split("\n")
            ends = np.cumsum(columns["sense_counts"], dtype=np.int64)
            self._senses = _Rows(ends, columns["sense_synsets"].astype(np.int64))
            self._uses: NDArray[np.uint8] = columns["sense_uses"]
            self._names: NDArray[np.uint32] = columns["names"]
            self._fields: NDArray[np.uint8] = columns["fields"]
            self._kind_of = _rows(columns["kind_of_counts"], columns["kind_of_steps"])
            self._related = _rows(columns["related_counts"], columns["related_steps"])

    def senses(self, word: str) -> tuple[WordSense, ...]:
        """Of a word or fixed phrase in lower case, the commonest first; none of one that is not known."""
        at = bisect_left(self._words, word)
        if at == len(self._words) or self._words[at] != word:
            return ()
        start = int(self._senses.ends[at - 1]) if at else 0
        uses = self._uses[start : self._senses.ends[at]].tolist()
        return tuple(map(WordSense, self._senses.row(at), uses))

    def field(self, synset: int) -> str:
        """ "noun.animal", "verb.motion", "adjective.all", "adverb.all": one of FIELDS."""
        return FIELDS[int(self._fields[synset])]

    def part_of_speech(self, synset: int) -> str:
        """noun, verb, adjective or adverb."""
        return self.field(synset).partition(".")[0]

    def words(self, synset: int) -> tuple[str, ...]:
        """Words that mean it, the one that WordNet calls it by first."""
        name = int(self._names[synset])
        others = [word for word in self._meant_by.row(synset) if word != name]
        known = name < len(self._words)
        return tuple(self._words[word] for word in ([name] if known else []) + others)

    def main_words(self, synset: int) -> tuple[str, ...]:
        """Those of the words that mean this before anything else of its part of speech."""
        return tuple(word for word in self.words(synset) if self._main_sense(word, synset))

    def kind_of(self, synset: int) -> list[int]:
        """What it is directly a kind of."""
        return self._kind_of.row(synset)

    def kinds(self, synset: int) -> list[int]:
        """What is directly a kind of it."""
        return self._kinds.row(synset)

    def related(self, synset: int) -> list[int]:
        """Derived from one another, attribute and value, pertaining to it, similar."""
        return self._related.row(synset)

    def levels_above(self, synset: int) -> Iterator[list[int]]:
        """What it is a kind of, then what those are kinds of, and so on, each once."""
        seen, level = {synset}, [synset]
        while level := list(dict.fromkeys(up for one in level for up in self.kind_of(one))):
            level = [one for one in level if one not in seen]
            seen.update(level)
            if level:
                yield level

    def is_concrete(self, synset: int) -> bool:
        """Whether it can be seen: an animal or a thing rather than an act, a state or a thought."""
        field = self.field(synset)
        return field in CONCRETE or (field in _PHYSICAL_MAYBE and self._is_physical(synset))

    def _is_physical(self, synset: int) -> bool:
        return any(
            self.field(one) in CONCRETE for level in self.levels_above(synset) for one in level
        )

    def _main_sense(self, word: str, synset: int) -> bool:
        part = self.part_of_speech(synset)
        same = (one.synset for one in self.senses(word) if self.part_of_speech(one.synset) == part)
        return next(same, None) == synset

    @cached_property
    def _meant_by(self) -> _Rows:
        return self._senses.turned(len(self._fields))

    @cached_property
    def _kinds(self) -> _Rows:
        return self._kind_of.turned(len(self._fields))


@lru_cache(maxsize=1)
def wordnet() -> WordNet:
    """Read at the first call: a tenth of a second, 30 MB."""
    return WordNet()


def _rows(counts: NDArray[np.uint16], steps: NDArray[np.int32]) -> _Rows:
    """Values are stored as differences to their row's number."""
    ends = np.cumsum(counts, dtype=np.int64)
    return _Rows(ends, steps + np.repeat(np.arange(len(counts), dtype=np.int64), counts))
