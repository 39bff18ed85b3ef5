"""The radical of a Han character, and what it shows (`semantic_data/radicals.yaml`)."""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import yaml

from writing_service.types import RadicalHint

FILE = Path(__file__).parent / "semantic_data" / "radicals.yaml"

_KANGXI = range(0x2F00, 0x2FD6)
_RADICALS = "".join(unicodedata.normalize("NFKC", chr(code)) for code in _KANGXI)
_LAST = "\u9fa5"
"""From 一 to here Unicode lists Han characters by their radical in the Kangxi dictionary's order, and each
radical stands before the characters under it (The Unicode Standard, chapter 18)."""


def radical_of(character: str) -> str | None:
    """河 → 水. None for what is no Han character of that range."""
    if len(character) != 1 or not _RADICALS[0] <= character <= _LAST:
        return None
    return _RADICALS[bisect_right(_RADICALS, character) - 1]


def radical_hints(word: str) -> Iterator[RadicalHint]:
    """Of each character in turn whose radical shows something, once."""
    for character in dict.fromkeys(word):
        radical = radical_of(character)
        if radical is not None and radical in _table():
            told = _table()[radical]
            # Simplified forms stand behind the traditional ones: 語 has 言, 语 has 讠.
            form = told["form"] if character >= told["form"] != character else radical
            yield RadicalHint(character, form, told["shows"])


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Mapping[str, str]]:
    return yaml.safe_load(FILE.read_text("utf-8"))
