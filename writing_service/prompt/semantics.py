"""What the picture shows, from the translation and the learner's hint."""

import re
import unicodedata

from writing_service.types import Meaning

_BETWEEN_SENSES = re.compile(r"[;,/|]|\s+or\s+")
_IN_BRACKETS = re.compile(r"[(\[{][^)\]}]*[)\]}]")
_LEADING = re.compile(r"^(to be|to|an?|the|some)\s+", re.IGNORECASE)


def understand(translation: str, hint: str) -> Meaning:
    """The first sense is the subject, the others and the hint's words are keywords.

    "to study; to learn" → subject "study", keywords ("learn",). Without a translation the hint itself is the subject.
    """
    hint = clean(hint)
    without_notes = _IN_BRACKETS.sub(" ", translation)
    senses = tuple(dict.fromkeys(filter(None, map(_sense, _BETWEEN_SENSES.split(without_notes)))))
    if senses:
        return Meaning(senses[0], hint, "translation", senses[1:])
    if hint:
        return Meaning(hint, "", "hint")
    return Meaning("", "", "none")


def clean(text: str) -> str:
    """User text as data: one line, no control characters, no brackets that prompt tools read as weights."""
    visible = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text)
    return " ".join(re.sub(r"[(){}\[\]<>\\|]", " ", visible).split())


def _sense(text: str) -> str:
    return _LEADING.sub("", clean(text)).strip(" .!?")
