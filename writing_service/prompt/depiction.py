"""How a meaning is shown: a thing as it is, an act by someone who does it, all else by a metaphor or its kin."""

import re
from collections.abc import Iterator

from writing_service.prompt.inflection import gerund
from writing_service.prompt.metaphors import Metaphor, metaphors
from writing_service.prompt.relatives import nearest_concrete
from writing_service.prompt.senses import Found
from writing_service.prompt.wordnet import WordNet
from writing_service.types import Depiction

_UNCOUNTED = frozenset({"noun.substance", "noun.food", "noun.phenomenon"})
"""Fields whose words mostly take no article."""

_DONE = frozenset({"noun.act", "noun.communication", "noun.event"})
"""Fields whose words are often verbs as well, and then mean what somebody does."""


def depict(net: WordNet, subject: str, found: Found | None) -> Depiction:
    """A short scene for the subject, a phrase in lower case as the translation has it."""
    if found is None:
        metaphor = metaphors().get(subject)
        return Depiction(metaphor.scene, "metaphor") if metaphor else Depiction(subject, "words")
    if net.is_concrete(found.synset):
        return Depiction(_with_article(net, subject, found), "noun")
    if metaphor := metaphor_for(net, found):
        return Depiction(metaphor.scene, "metaphor")
    return _unseen(net, subject, found)


def metaphor_for(net: WordNet, found: Found) -> Metaphor | None:
    """Of the word itself, else of one that means the same, else of its nearest kin."""
    return next((metaphors()[word] for word in _near(net, found) if word in metaphors()), None)


def _near(net: WordNet, found: Found) -> Iterator[str]:
    yield found.word
    yield from net.words(found.synset)
    part = net.part_of_speech(found.synset)
    kin = {"adjective": net.related, "noun": net.kind_of}.get(part, lambda _: [])
    yield from (word for one in kin(found.synset) for word in net.main_words(one))


def _unseen(net: WordNet, subject: str, found: Found) -> Depiction:
    part = net.part_of_speech(found.synset)
    if net.field(found.synset) == "verb.weather":
        return Depiction(f"a landscape where it is {gerund(subject)}", "action")
    if net.field(found.synset) == "verb.stative":
        return Depiction(subject, "words")
    done = net.field(found.synset) in _DONE and _has_verb(net, found)
    if (part == "verb" or done) and subject.startswith(found.word[:-1]):
        return Depiction(f"someone {gerund(subject)}", "action")
    if part == "adjective":
        return Depiction(f"something {subject}", "quality")
    if kin := nearest_concrete(net, found.synset):
        return Depiction(f"{_article(kin)} {kin}", "relative")
    return Depiction(subject, "words")


def _has_verb(net: WordNet, found: Found) -> bool:
    return any(net.part_of_speech(one) == "verb" for one in found.every)


def _with_article(net: WordNet, subject: str, found: Found) -> str:
    """A word that had to be looked up by another form is a plural."""
    single = re.search(rf"\b{re.escape(found.word)}\b", subject)
    counted = single and net.field(found.synset) not in _UNCOUNTED
    return f"{_article(subject)} {subject}" if counted else subject


def _article(phrase: str) -> str:
    return "an" if phrase[:1] in "aeiou" else "a"
