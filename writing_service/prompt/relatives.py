"""Words near a meaning in WordNet, so that what has no picture can be shown by its nearest kin."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from writing_service.prompt.wordnet import WordNet

MOST = 60
"""Words."""

_NEAR, _FAR = 2, 6
"""Levels of hypernyms: those up to the first come before what is a kind of the meaning, the others after."""

_TOO_GENERAL = frozenset(
    (
        *(
            "entity",
            "physical entity",
            "thing",
            "object",
            "whole",
            "unit",
            "living thing",
            "organism",
        ),
        *("being", "causal agent", "matter", "substance", "abstraction", "psychological feature"),
        *("attribute", "group", "relation", "act", "event", "state", "part", "artifact", "measure"),
        *("instrumentality", "location", "region", "process", "phenomenon", "material", "activity"),
        *(
            "device",
            "vehicle",
            "worker",
            "salt",
            "move",
            "travel",
            "change",
            "act",
            "interact",
            "have",
        ),
    )
)
"""What is a kind of these has nothing in common that could be seen."""

_LAST_RESORT = frozenset({"person", "animal", "plant"})
"""They show next to nothing of what is a kind of them."""


def relatives(net: WordNet, synsets: Iterable[int]) -> tuple[str, ...]:
    """Of each: words that mean the same, what it is a kind of, kinds of it, what is derived from it; nearest first.

    Only words that mean just that before anything else, at most MOST, the most general ones last.
    """
    near = chain.from_iterable(_synsets_near(net, synset) for synset in synsets)
    general = {
        word: net.words(one)[0] in _LAST_RESORT for one in near for word in net.main_words(one)
    }
    return tuple(sorted(general, key=general.__getitem__)[:MOST])


def nearest_concrete(net: WordNet, synset: int) -> str | None:
    """The nearest word for something that can be seen: kin of the meaning, then what is a kind of it."""
    for one in chain(net.related(synset), net.kinds(synset), _kin_of_kin(net, synset)):
        if net.is_concrete(one) and (words := net.main_words(one)):
            return words[0]
    return None


def _synsets_near(net: WordNet, synset: int) -> Iterator[int]:
    above = list(islice(net.levels_above(synset), _FAR))
    yield synset
    yield from _specific(net, above[:_NEAR])
    yield from _kinds(net, synset)
    yield from _specific(net, above[_NEAR:])
    yield from net.related(synset)
    yield from _kin_of_kin(net, synset)


def _specific(net: WordNet, levels: Iterable[list[int]]) -> Iterator[int]:
    """Up to where it becomes too general."""
    for level in levels:
        yield from (one for one in level if not _TOO_GENERAL & set(net.words(one)))


def _kinds(net: WordNet, synset: int) -> Iterator[int]:
    """Kinds of it, then kinds of those; of few things only, for of many any one would be as good as another."""
    first = net.kinds(synset)
    yield from first
    if len(first) <= _NEAR:
        yield from chain.from_iterable(map(net.kinds, first))


def _kin_of_kin(net: WordNet, synset: int) -> Iterator[int]:
    return chain.from_iterable(map(net.related, net.related(synset)))
