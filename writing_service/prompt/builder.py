"""Put style, meaning, word and hint into one prompt that the text encoders can read whole."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from writing_service.prompt.semantics import clean, understand
from writing_service.prompt.styles import StyleDefinition, StyleDefinitions
from writing_service.prompt.wording import word_kind
from writing_service.types import Meaning, PromptResult, RadicalHint

CountTokens = Callable[[str], int]
Fits = Callable[[str], bool]
NameLanguage = Callable[[str, str], str]
"""Script and ISO code → the English name of the language where the script's own would mislead, else ""."""

CALM = "a calm scene"
"""Shown where nothing is known of the meaning."""

_PLACEHOLDER = re.compile(r"\{(meaning|word_kind|character)\}")
_MOST_RADICALS = 2
_LONGEST_WORD = 30
"""Characters. Longer ones are of a script without spaces, or nonsense."""


class Importance(IntEnum):
    """What is kept the longest where a prompt is too long, most important first."""

    SUBJECT = 0
    WORD = 1
    HINT = 2
    STYLE = 3
    RADICAL = 4


@dataclass(frozen=True)
class Phrase:
    """A part of the prompt that stays or goes as a whole."""

    text: str
    importance: Importance


class PromptBuilder:
    """Builds prompts in the configured styles, at most `max_prompt_length` characters long.

    With `scene` the meaning's depiction and the word's radicals are described, else the subject is only named.
    """

    def __init__(
        self,
        styles: StyleDefinitions,
        max_prompt_length: int = 500,
        scene: bool = False,
        name_language: NameLanguage = lambda script, language: "",
    ) -> None:
        self._styles = styles
        self._max_prompt_length = max_prompt_length
        self._scene = scene
        self._name_language = name_language

    async def build_prompt(
        self,
        character: str,
        translation: str = "",
        style: str = "comic",
        *,
        hint: str = "",
        meaning: Meaning | None = None,
        script: str = "",
        language: str = "",
        count_tokens: CountTokens = len,
        max_tokens: int = 10_000,
    ) -> PromptResult:
        """The prompt. Its least important phrases go until `count_tokens` of it is at most `max_tokens`."""
        definition = self._styles.get_style_definition(style)
        meaning = meaning or understand(translation, hint)

        def fits(text: str) -> bool:
            return len(text) <= self._max_prompt_length and count_tokens(text) <= max_tokens

        kind = word_kind(character, script, language, self._name_language(script, language))
        phrases = list(self._phrases(definition, meaning, clean(character), kind))
        text, dropped = _shortened(phrases, fits)
        unwanted = [Phrase(one, Importance.STYLE) for one in definition.negative_prompt.split(", ")]
        negative, _ = _shortened(unwanted, fits)
        warnings = tuple(_warnings(definition, dropped))
        return PromptResult(text, negative, definition.name, dropped, warnings)

    def _phrases(
        self, definition: StyleDefinition, meaning: Meaning, character: str, kind: str
    ) -> Iterator[Phrase]:
        """Of the template, filled; the hint behind the subject, the radicals at the end."""
        values = {"meaning": self._subject(meaning), "word_kind": kind, "character": character}
        for part in definition.base_template.split(", "):
            importance = _importance(part)
            yield Phrase(_filled(part, values), importance)
            if importance is Importance.SUBJECT and meaning.hint:
                yield Phrase(clean(meaning.hint), Importance.HINT)
        if self._scene and not meaning.hint and (seen := _fitting(meaning)):
            yield Phrase(f"with {' and '.join(seen)} as a detail", Importance.RADICAL)

    def _subject(self, meaning: Meaning) -> str:
        """The depiction where scenes are wanted, but beside a hint, which is the learner's own."""
        subject = clean(meaning.subject) or CALM
        shown = meaning.depiction
        if not self._scene or shown is None or meaning.hint:
            return subject
        # A metaphor alone would hide what it stands for.
        scene = clean(shown.scene)
        return f"{scene} as an image of {subject}" if shown.by == "metaphor" else scene


def _importance(template: str) -> Importance:
    if "{meaning}" in template:
        return Importance.SUBJECT
    return Importance.WORD if "{character}" in template else Importance.STYLE


def _filled(template: str, values: Mapping[str, str]) -> str:
    """In one pass, so that braces in a user's text stay text."""
    return " ".join(_PLACEHOLDER.sub(lambda found: values[found[1]], template).split())


def _fitting(meaning: Meaning) -> list[str]:
    """What the radicals show, but for what would be a second subject: the picture of a cat needs no dog."""
    words = set(meaning.subject.casefold().split())
    others = dict.fromkeys(one.shows for one in meaning.radicals if _beside(one, words, meaning))
    return list(others)[:_MOST_RADICALS]


def _beside(radical: RadicalHint, words: set[str], meaning: Meaning) -> bool:
    alive = meaning.sense is not None and meaning.sense.field in ("animal", "person", "body")
    return not alive and not words & set(radical.shows.split())


def _shortened(phrases: Sequence[Phrase], fits: Fits) -> tuple[str, tuple[str, ...]]:
    """The text, and what was dropped, in its order. The most important phrase stays, as far as it fits."""
    kept = list(range(len(phrases)))

    def text() -> str:
        return ", ".join(phrases[at].text for at in kept)

    while len(kept) > 1 and not fits(text()):
        kept.remove(max(kept, key=lambda at: (phrases[at].importance, at)))
    dropped = tuple(one.text for at, one in enumerate(phrases) if at not in kept)
    begun = _begun(text(), fits)
    rest = text()[len(begun) :].strip()
    return begun, (*((rest,) if rest else ()), *dropped)


def _begun(phrase: str, fits: Fits) -> str:
    """All of it or as many words as fit, one at least; a word that no language has falls into characters."""
    words = phrase.split(" ")
    whole = len(words)
    while whole > 1 and not fits(" ".join(words[:whole])):
        whole -= 1
    begun = " ".join(words[:whole])
    if whole == len(words) or len(words[whole]) <= _LONGEST_WORD:
        return begun
    parts = (f"{begun} {words[whole][:end]}" for end in range(len(words[whole]), 0, -1))
    return next(filter(fits, parts), begun)


def _warnings(definition: StyleDefinition, dropped: tuple[str, ...]) -> Iterator[str]:
    if not definition.known:
        yield f"Style '{definition.name}' is not one of the configured ones; it was used as the style's phrase."
    if dropped:
        yield f"The prompt was too long for the model; left out: {'; '.join(dropped)}."
