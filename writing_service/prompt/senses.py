"""Which sense of which word of a phrase is meant."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from writing_service.prompt.inflection import base_forms
from writing_service.prompt.metaphors import metaphors
from writing_service.prompt.wordnet import WordNet, WordSense

_CLEARLY = 8
"""A sense that can be seen is taken if it is met at least an eighth as often as the commonest."""
_FAR_COMMONER = 3
"""A verb or adjective is taken in place of a noun if it is met so many times as often."""


@dataclass(frozen=True)
class Found:
    """What WordNet has on a subject: the word of it that was looked up, the synset that it means, all its
    synsets, and those of them that may be meant as well."""

    word: str
    synset: int
    every: tuple[int, ...] = ()
    alike: tuple[int, ...] = ()


def look_up(net: WordNet, subject: str, verb: bool) -> Found | None:
    """The whole phrase, in lower case, else the word that it is about; `verb` says that it is one."""
    for phrase in dict.fromkeys((subject, _head(subject, verb))):
        known = [form for form in base_forms(phrase) if net.senses(form)]
        # "raining" is an adjective that nobody means: the form of a common verb is one of that verb.
        known.sort(key=lambda form: form.endswith("ing") and not net.senses(form)[0].uses)
        if known:
            senses = net.senses(known[0])
            chosen = _chosen(net, known[0], senses, verb)
            every = tuple(one.synset for one in senses)
            return Found(known[0], chosen.synset, every, _alike(net, senses, chosen))
    return None


def _head(phrase: str, verb: bool) -> str:
    """ "birds of prey" → "birds", "red apple" → "apple", "eat dinner" → "eat" if it is said to be a verb."""
    words = re.split(r"\s+(?:of|with|in|on|for|from)\s+", phrase)[0].split()
    return (words[0] if verb else words[-1]) if words else phrase


def _chosen(net: WordNet, word: str, senses: Sequence[WordSense], verb: bool) -> WordSense:
    """The sense that is meant; of a noun one that can be seen, if that is clearly in use."""
    first = _first(net, senses, verb)
    shown = net.is_concrete(first.synset) or word in metaphors()
    if shown or net.part_of_speech(first.synset) != "noun":
        return first
    least = first.uses / _CLEARLY if net.field(first.synset) != "noun.group" else 1
    seen = (one for one in senses if net.is_concrete(one.synset) and one.uses >= max(1, least))
    return next(seen, first)


def _first(net: WordNet, senses: Sequence[WordSense], verb: bool) -> WordSense:
    """The commonest of the part of speech that is asked for, which is a noun unless another is far commoner."""
    part = "verb" if verb else "noun"
    asked = next((one for one in senses if net.part_of_speech(one.synset) == part), None)
    if asked is None:
        others = (one for one in senses if net.part_of_speech(one.synset) != "adverb")
        return next(others, senses[0])
    rivals = (one for one in senses if net.part_of_speech(one.synset) in ("verb", "adjective"))
    rival = next(rivals, asked)
    return rival if not verb and rival.uses > _FAR_COMMONER * (asked.uses + 1) else asked


def _alike(net: WordNet, senses: Sequence[WordSense], chosen: WordSense) -> tuple[int, ...]:
    """The chosen synset, then the other concrete ones that are about as common."""
    others = (one for one in senses if net.is_concrete(one.synset))
    near = (one.synset for one in others if one.uses * _CLEARLY >= chosen.uses)
    return tuple(dict.fromkeys((chosen.synset, *near)))
