"""What characters are: their script, their clusters, whether they are emoji."""

from collections.abc import Iterator, Sequence

import regex
from fontTools import unicodedata as script_data

EAST_ASIAN = frozenset({"Han", "Hiragana", "Katakana", "Hangul", "Bopomofo"})
"""Scripts that stand together in one word, and upright in a column."""

NEUTRAL = frozenset({"Common", "Inherited", "Unknown"})
"""Script values of what belongs to no script or to many."""

INVENTED = {
    "Tengwar": range(0xE000, 0xE080),
    "Cirth": range(0xE080, 0xE100),
    "Klingon": range(0xF8D0, 0xF900),
}
"""Private-use characters by the ConScript Unicode Registry."""

INVENTED_SIGNS = r"\ue040-\ue05a\ue07d\ue0ea-\ue0ec"
"""Tengwar's and Cirth's, of which Unicode does not know that they combine: part of a regular expression's class."""

_CLUSTER = regex.compile(rf"\X[{INVENTED_SIGNS}]*")

_EMOJI = regex.compile(
    r"\p{Emoji_Presentation}(?!\ufe0e)|\p{Emoji}\ufe0f|\p{Extended_Pictographic}\ufe0f?\u200d"
)


def count_graphemes(text: str) -> int:
    """User-perceived characters (extended grapheme clusters, UAX #29)."""
    return len(split_graphemes(text))


def split_graphemes(text: str) -> list[str]:
    """Extended grapheme clusters, in logical order."""
    return _CLUSTER.findall(text)


def is_emoji(cluster: str) -> bool:
    """Whether it is to be drawn as a picture: by itself, by U+FE0F or in a joined sequence."""
    return _EMOJI.match(cluster) is not None


def script_of(character: str) -> str:
    """Unicode script name ("Han", "Common", ...), or that of a ConScript script."""
    code = ord(character)
    for name, points in INVENTED.items():
        if code in points:
            return name
    return script_data.script_name(script_data.script(character)).replace(" ", "_")


def resolved_scripts(clusters: Sequence[str]) -> list[str]:
    """The script of each cluster. Digits and punctuation go on in the one before, at the start in the one to come."""
    own = [script_of(cluster[0]) for cluster in clusters]
    first = next((script for script in own if script not in NEUTRAL), "Common")
    return list(_carried_on(own, first))


def _carried_on(scripts: Sequence[str], first: str) -> Iterator[str]:
    current = first
    for script in scripts:
        current = current if script in NEUTRAL else script
        yield current
