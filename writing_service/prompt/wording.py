"""What a word is called in a prompt: "the Chinese character", "the Arabic word", "the Tengwar inscription"."""

import regex

_KINDS = {
    "Han": ("the Chinese character", "the Chinese characters"),
    "Hiragana": ("the Japanese kana", "the Japanese word"),
    "Katakana": ("the Japanese kana", "the Japanese word"),
    "Hangul": ("the Hangul syllable", "the Hangul word"),
    "Latin": ("the Latin letter", "the word in Latin letters"),
    "Runic": ("the rune", "the runic inscription"),
    "Egyptian Hieroglyphs": ("the Egyptian hieroglyph", "the Egyptian hieroglyphs"),
    "Anatolian Hieroglyphs": ("the Anatolian hieroglyph", "the Anatolian hieroglyphs"),
    "Braille": ("the Braille sign", "the word in Braille"),
}
"""One user-perceived character, and several."""

_HAN_BY_LANGUAGE = {
    "ja": ("the kanji", "the Japanese word"),
    "ko": ("the hanja", "the Korean word"),
    "vi": ("the Vietnamese character", "the Vietnamese characters"),
}

_OF_SYLLABLES = frozenset(
    {"Bopomofo", "Canadian Aboriginal", "Cherokee", "Ethiopic", "Vai", "Yi", "Kpelle", "Bamum"}
)
_OF_SIGNS = frozenset(
    {"Cuneiform", "Cypriot", "Cypro Minoan", "Linear A", "Linear B", "SignWriting"}
)
_OF_INSCRIPTIONS = frozenset(
    ("Tengwar", "Cirth", "Klingon", "Ogham", "Gothic", "Phoenician", "Old Italic", "Old Persian")
) | frozenset(
    ("Old Turkic", "Old Hungarian", "Ugaritic", "Brahmi", "Kharoshthi", "Lydian", "Lycian")
)
"""Scripts that are carved, or read by few: their words are seen as inscriptions."""


def word_kind(character: str, script: str, language: str = "", language_name: str = "") -> str:
    """True for the word at hand. `script` is Unicode's name, `language` an ISO code.

    `language_name` is given where the script's name would name another language: Persian in Arabic script.
    """
    script = script.replace("_", " ")
    single = len(regex.findall(r"\X", character)) == 1
    if script in ("", "Common", "Inherited", "Unknown"):
        return _of_no_script(character)
    if language_name and not single:
        return f"the {language_name} word"
    one, several = _KINDS.get(script, _regular(script))
    if script == "Han":
        one, several = _HAN_BY_LANGUAGE.get(language, (one, several))
    return one if single else several


def _regular(script: str) -> tuple[str, str]:
    if script in _OF_INSCRIPTIONS:
        return f"the {script} letter", f"the {script} inscription"
    if script in _OF_SIGNS:
        return f"the {script} sign", f"the {script} inscription"
    part = "syllable" if script in _OF_SYLLABLES else "letter"
    return f"the {script} {part}", f"the {script} word"


def _of_no_script(character: str) -> str:
    if character.isnumeric():
        return "the number"
    if regex.fullmatch(
        r"[\p{Emoji_Presentation}\p{Extended_Pictographic}\ufe0f\u200d\p{EMod}]+", character
    ):
        return "the emoji"
    return "the word"
