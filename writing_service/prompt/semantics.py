"""What the picture shows, from the translation, the word itself and the learner's hint."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from writing_service.prompt.depiction import depict, metaphor_for
from writing_service.prompt.dictionary import glosses
from writing_service.prompt.radicals import radical_hints
from writing_service.prompt.relatives import relatives
from writing_service.prompt.senses import Found, look_up
from writing_service.prompt.wordnet import WordNet, wordnet
from writing_service.types import Depiction, Meaning, ScriptReport, Sense

_BETWEEN_SENSES = re.compile(r"[;,/|]|\s+or\s+")
_IN_BRACKETS = re.compile(r"[(\[{][^)\]}]*[)\]}]")
_LEADING = re.compile(r"^(to be|to|an?|the|some)\s+", re.IGNORECASE)
_VERB = re.compile(r"\s*to (?!be )", re.IGNORECASE)

_JOINERS = "\u200c\u200d"
"""They decide how letters and emoji join, and are seen."""
_WEIGHTS = re.compile(r"[(){}\[\]<>\\|]|:+\s*[\d.]+|::+|\+\+|--")
"""What prompt tools read as weights: brackets, numbers behind a colon, doubled signs."""
_KEYWORDS = re.compile(r"\b(AND|BREAK|ADDCOMM|ADDBASE|ADDROW|ADDCOL)\b|Negative prompt")
"""What they read as a break between prompts, if it has these capitals."""

_HYPERNYMS, _SYNONYMS = 5, 5
"""So many are told of a sense."""


class SemanticAnalyzer:
    """Finds out what a word means and how that is shown. The first call reads the data: a quarter of a second."""

    def analyze(self, word: str, translation: str, hint: str, report: ScriptReport) -> Meaning:
        """The meaning with all that was concluded; `report` is the word's script and language."""
        meaning, source = _understood(word, translation, hint, report)
        warnings = tuple(_warnings(word, meaning, report))
        radicals = tuple(radical_hints(word)) if report.script == "Han" else ()
        meaning = replace(meaning, radicals=radicals, warnings=warnings)
        return _analyzed(wordnet(), meaning, bool(_VERB.match(source)))


def understand(translation: str, hint: str) -> Meaning:
    """The first sense is the subject, the others and the hint's words are keywords.

    "to study; to learn" → subject "study", keywords ("learn",). Without a translation the hint itself is the subject.
    """
    hint = clean(hint)
    senses = _senses(translation)
    if senses:
        return Meaning(senses[0], hint, "translation", senses[1:])
    if hint:
        return Meaning(hint, "", "hint")
    return Meaning("", "", "none")


def clean(text: str) -> str:
    """User text as data: one line, no control characters, nothing that prompt tools read as weights or breaks."""
    visible = "".join(
        " " if unicodedata.category(c)[0] == "C" and c not in _JOINERS else c for c in text
    )
    plain = _WEIGHTS.sub(" ", visible)
    return " ".join(_KEYWORDS.sub(lambda found: found[0].lower(), plain).split())


def _understood(
    word: str, translation: str, hint: str, report: ScriptReport
) -> tuple[Meaning, str]:
    """The meaning, and the text that it was read from."""
    meaning = understand(translation, hint)
    if meaning.source != "none" or not _is_chinese(report):
        return meaning, translation
    translation = "; ".join(glosses(word))
    meaning = understand(translation, "")
    return (replace(meaning, source="dictionary") if meaning.subject else meaning), translation


def _warnings(word: str, meaning: Meaning, report: ScriptReport) -> Iterator[str]:
    if meaning.source != "none":
        return
    if _is_chinese(report):
        reason = f"'{word}' is not in the dictionary"
    else:
        reason = "only Chinese words are looked up in a dictionary"
    yield f"There is no translation, and {reason}; the picture shows the word alone."


def _is_chinese(report: ScriptReport) -> bool:
    return report.script == "Han" and report.language.partition("-")[0] == "zh"


def _analyzed(net: WordNet, meaning: Meaning, verb: bool) -> Meaning:
    """With its sense, its depiction and its relatives. The learner's hint is shown as it is."""
    if not meaning.subject:
        return meaning
    subject = meaning.subject.casefold()
    found = look_up(net, subject, verb)
    depiction = depict(net, subject, found)
    if meaning.hint or meaning.source == "hint":
        depiction = Depiction(meaning.hint or meaning.subject, "hint")
    if found is None:
        return replace(meaning, depiction=depiction)
    return replace(
        meaning,
        depiction=depiction,
        sense=_told(net, found),
        relatives=tuple(dict.fromkeys((*_shown_for(net, found), *relatives(net, found.alike)))),
    )


def _shown_for(net: WordNet, found: Found) -> Iterator[str]:
    """The concept of the metaphor of what cannot be seen itself."""
    if not net.is_concrete(found.synset) and (metaphor := metaphor_for(net, found)):
        yield metaphor.shows


def _told(net: WordNet, found: Found) -> Sense:
    part, _, field = net.field(found.synset).partition(".")
    above = (net.words(one) for level in net.levels_above(found.synset) for one in level)
    return Sense(
        found.word,
        part,
        field,
        net.is_concrete(found.synset),
        tuple(word for word in net.words(found.synset) if word != found.word)[:_SYNONYMS],
        tuple(islice((words[0] for words in above if words), _HYPERNYMS)),
    )


def _senses(translation: str) -> tuple[str, ...]:
    parts = _BETWEEN_SENSES.split(_IN_BRACKETS.sub(" ", translation))
    return tuple(dict.fromkeys(filter(None, map(_sense, parts))))


def _sense(text: str) -> str:
    return _LEADING.sub("", clean(text)).strip(" .!?")
