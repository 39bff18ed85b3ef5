"""The order in which the pieces of a line stand: the Unicode bidirectional algorithm (UAX #9)."""

import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeVar, cast

import regex
from bidi import algorithm as _bidi

# Typed loosely once, here: the package has no annotations for its stages.
bidi: Any = cast("Any", _bidi)

Piece = TypeVar("Piece")


_STAND_INS = {r"\p{bc=R}": "א", r"\p{bc=AL}": "ا", r"\p{bc=NSM}": "\u0301", r"\p{bc=ON}": "!"}
"""By bidi class, for characters newer than Python's own tables, which the package cannot place."""


def embedding_levels(text: str) -> list[int]:
    """Of each character; odd is right to left."""
    text = "".join(map(_known, text))
    base = bidi.get_base_level(text)
    storage = bidi.get_empty_storage()
    storage["base_level"], storage["base_dir"] = base, ("L", "R")[base]
    bidi.get_embedding_levels(text, storage)
    bidi.explicit_embed_and_overrides(storage)
    bidi.resolve_weak_types(storage)
    bidi.resolve_neutral_types(storage, False)
    bidi.resolve_implicit_levels(storage, False)
    levels = [character["level"] for character in storage["chars"]]
    # Characters that the algorithm removes (explicit controls) keep the paragraph's own level.
    return levels if len(levels) == len(text) else [base] * len(text)


def visual_order(pieces: Sequence[Piece], level_of: Callable[[Piece], int]) -> list[Piece]:
    """Rule L2: from the highest level down to the lowest odd one, reverse what is at least that deep."""
    ordered = list(pieces)
    for level in range(max(map(level_of, pieces), default=0), 0, -1):
        ordered = [
            piece
            for deep, group in groupby(ordered, key=lambda piece: level_of(piece) >= level)
            for piece in (list(group)[::-1] if deep else group)
        ]
    return ordered


def _known(character: str) -> str:
    """The character, or one of its class that every table knows."""
    if unicodedata.bidirectional(character):
        return character
    fitting = (one for kind, one in _STAND_INS.items() if regex.match(kind, character))
    return next(fitting, "a")
