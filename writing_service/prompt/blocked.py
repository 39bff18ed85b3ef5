"""Words that the operator does not want drawn."""

import unicodedata
from collections.abc import Iterable, Mapping

import regex

from writing_service.errors import BlockedWord

_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
"""Scripts that write words without spaces: there a blocked word may stand anywhere."""


class BlockedWords:
    """A list of words or phrases, none by default."""

    def __init__(self, words: Iterable[str]) -> None:
        plain = [_plain(word) for word in words]
        self._pattern = regex.compile("|".join(map(_pattern, filter(None, plain))) or r"(?!)")

    def refuse(self, texts: Mapping[str, str]) -> None:
        """Raises BlockedWord for the first of the texts, by field, that holds one as a whole word.

        Case, the encoding of accents, full-width letters and invisible characters make no difference.
        """
        for field, text in texts.items():
            if found := self._pattern.search(_plain(text)):
                raise BlockedWord(field, found[0])


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    seen = "".join(one for one in folded if unicodedata.category(one) != "Cf")
    return " ".join(seen.split())


def _pattern(word: str) -> str:
    spaced = regex.escape(word, literal_spaces=True)
    return spaced if _UNSPACED.search(word) else rf"(?<!\w){spaced}(?!\w)"
