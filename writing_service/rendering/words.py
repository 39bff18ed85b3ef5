"""What of a text is the word: hostile text is text, and is cleaned before anything is drawn."""

import unicodedata
from dataclasses import dataclass

import regex

from writing_service.errors import FieldError, InvalidRequest
from writing_service.rendering.scripts import INVENTED_SIGNS, count_graphemes

LONGEST_WORD = 50
"""User-perceived characters in a word."""

MOST_CODE_POINTS = 800
"""Of all of them: fifty of the longest emoji; one cluster could go on for ever."""

MOST_MARKS = 8
"""Combining marks on one letter: Vietnamese has two, pointed Hebrew four, the tallest Tibetan stacks eight."""

_TOLD = 5
"""Dropped characters named in a warning."""

# Format characters that shape or show something stay: signs around Arabic numbers, quadrats of
# hieroglyphs, shorthand; a flag's tags; and joiners, behind a letter, a mark or an emoji.
_SHAPING = (
    r"\p{Prepended_Concatenation_Mark}\u180e\U00013430-\U0001345f\U0001bca0-\U0001bca3\u200c\u200d"
)
_KEPT = (
    r"\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
    r"|(?<=[[\p{L}\p{M}\p{N}\p{Co}\p{Extended_Pictographic}\p{Emoji_Modifier}]--\u034f])[\u200c\u200d]"
)
_UNSEEN = regex.compile(
    rf"(?V1)(?P<kept>{_KEPT})|[[\p{{Cc}}\p{{Cf}}\u034f--[{_SHAPING}]]\u200c\u200d]"
)
_MARK = rf"[\p{{M}}{INVENTED_SIGNS}]"
_TOO_MANY_MARKS = regex.compile(rf"({_MARK}{{{MOST_MARKS}}})({_MARK}+)")


@dataclass(frozen=True)
class _Cleaned:
    """The word; the characters that were dropped from it, each once; and how many marks were too many."""

    word: str
    unseen: tuple[str, ...]
    marks: int


def normalize_word(text: str) -> str:
    """NFC, trimmed, spaces single, without invisible controls, at most MOST_MARKS marks on a letter.

    Raises InvalidRequest for lone surrogates, which are no text.
    """
    return _cleaned(text).word


def dropped_from(text: str) -> tuple[str, ...]:
    """Warnings of what `normalize_word` drops; spaces at the ends and doubled ones are not worth one."""
    cleaned = _cleaned(text)
    warnings: list[str] = []
    if cleaned.unseen:
        named = ", ".join(map(_named, cleaned.unseen[:_TOLD]))
        more = ", ..." if len(cleaned.unseen) > _TOLD else ""
        warnings.append(f"Invisible characters were dropped from the word: {named}{more}.")
    if cleaned.marks:
        warnings.append(
            f"Of the marks on one letter only {MOST_MARKS} are drawn; {cleaned.marks} were dropped."
        )
    return tuple(warnings)


def checked_word(text: str) -> str:
    """The normalized word. Raises InvalidRequest for one that is empty or too long."""
    word = normalize_word(text)
    length = count_graphemes(word)
    if not length:
        message = "The word is empty; send at least one visible character."
    elif length > LONGEST_WORD:
        message = f"The word has {length} characters; at most {LONGEST_WORD} can be drawn."
    elif len(word) > MOST_CODE_POINTS:
        message = f"The word has {len(word)} code points; at most {MOST_CODE_POINTS} can be drawn."
    else:
        return word
    raise InvalidRequest(message, [FieldError("word", message)])


def _cleaned(text: str) -> _Cleaned:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        message = "The word holds half of a surrogate pair; send valid Unicode text."
        raise InvalidRequest(message, [FieldError("word", message)])
    spaced = regex.sub(r"\s+", " ", text).strip()
    unseen = (found[0] for found in _UNSEEN.finditer(spaced) if not found["kept"])
    seen = _UNSEEN.sub(lambda found: found["kept"] or "", spaced)
    composed = unicodedata.normalize("NFC", seen)
    marks = sum(len(found[2]) for found in _TOO_MANY_MARKS.finditer(composed))
    bounded = _TOO_MANY_MARKS.sub(r"\1", composed)
    word = unicodedata.normalize("NFC", regex.sub(" +", " ", bounded).strip())
    return _Cleaned(word, tuple(dict.fromkeys(unseen)), marks)


def _named(character: str) -> str:
    name = unicodedata.name(character, "control character")
    return f"U+{ord(character):04X} {name}"
