"""Put style, meaning, word and hint into one prompt that the text encoders can read whole."""

from collections.abc import Callable, Iterator

from writing_service.prompt.semantics import clean, understand
from writing_service.prompt.styles import StyleDefinition, StyleDefinitions
from writing_service.types import Meaning, PromptResult

CountTokens = Callable[[str], int]

_WORD_KINDS = {
    "Han": ("the Chinese character", "the Chinese characters"),
    "Hiragana": ("the Japanese kana", "the Japanese word"),
    "Katakana": ("the Japanese kana", "the Japanese word"),
    "Hangul": ("the Hangul syllable", "the Hangul word"),
}
_HAN_BY_LANGUAGE = {
    "ja": ("the kanji", "the Japanese word"),
    "ko": ("the hanja", "the Korean word"),
}


class PromptBuilder:
    """Builds prompts in the configured styles, at most `max_prompt_length` characters long."""

    def __init__(self, styles: StyleDefinitions, max_prompt_length: int = 500) -> None:
        self._styles = styles
        self._max_prompt_length = max_prompt_length

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
        """The prompt, cut by whole phrases from the end until `count_tokens` of it is at most `max_tokens`."""
        definition = self._styles.get_style_definition(style)
        meaning = meaning or understand(translation, hint)
        text = _fill(definition, meaning, character, word_kind(character, script, language))
        text, dropped = self._shortened(text, count_tokens, max_tokens)
        negative, _ = self._shortened(definition.negative_prompt, count_tokens, max_tokens)
        return PromptResult(
            text, negative, definition.name, dropped, tuple(_warnings(definition, dropped))
        )

    def _shortened(
        self, text: str, count_tokens: CountTokens, max_tokens: int
    ) -> tuple[str, tuple[str, ...]]:
        """Drop phrases from the end, the first one never; what is left of that is cut by words."""
        phrases = text.split(", ")
        kept = len(phrases)

        def fits(candidate: str) -> bool:
            return (
                len(candidate) <= self._max_prompt_length and count_tokens(candidate) <= max_tokens
            )

        while kept > 1 and not fits(", ".join(phrases[:kept])):
            kept -= 1
        words = ", ".join(phrases[:kept]).split(" ")
        while len(words) > 1 and not fits(" ".join(words)):
            words.pop()
        return " ".join(words), tuple(phrases[kept:])


def word_kind(character: str, script: str, language: str = "") -> str:
    """ "the Chinese character", "the Arabic word", "the word": true for the word at hand."""
    one, several = _WORD_KINDS.get(script, (f"the {script} letter", f"the {script} word"))
    if script == "Han":
        one, several = _HAN_BY_LANGUAGE.get(language, (one, several))
    if not script or script == "Common":
        return "the word"
    return one if len(character) == 1 else several


def _fill(definition: StyleDefinition, meaning: Meaning, character: str, kind: str) -> str:
    """Insert by replacing, never by formatting: braces in a user's text are only braces."""
    subject = clean(meaning.subject) or "a calm scene"
    values = {"{meaning}": subject, "{word_kind}": kind, "{character}": clean(character)}
    filled = definition.base_template
    for placeholder, value in values.items():
        filled = filled.replace(placeholder, value.replace("{", "").replace("}", ""))
    if not meaning.hint:
        return filled
    first, comma, rest = filled.partition(", ")
    return f"{first}, {clean(meaning.hint)}{comma}{rest}"


def _warnings(definition: StyleDefinition, dropped: tuple[str, ...]) -> Iterator[str]:
    if not definition.known:
        yield f"Style '{definition.name}' is not one of the configured ones; it was used as the style's phrase."
    if dropped:
        yield f"The prompt was too long for the model; left out: {'; '.join(dropped)}."
