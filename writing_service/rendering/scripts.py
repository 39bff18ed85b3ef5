"""Which script and language a word is in, and what of a text is the word."""

import unicodedata

import regex
from fontTools import unicodedata as script_data

from writing_service.errors import FieldError, InvalidRequest
from writing_service.types import ScriptReport

LONGEST_WORD = 50
"""User-perceived characters in a word."""

_CODES = {
    "chinese": "zh",
    "mandarin": "zh",
    "cantonese": "zh-hk",
    "japanese": "ja",
    "korean": "ko",
    "english": "en",
    "german": "de",
    "french": "fr",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "russian": "ru",
    "ukrainian": "uk",
    "greek": "el",
    "arabic": "ar",
    "persian": "fa",
    "urdu": "ur",
    "hebrew": "he",
    "hindi": "hi",
    "marathi": "mr",
    "nepali": "ne",
    "thai": "th",
    "turkish": "tr",
    "polish": "pl",
    "dutch": "nl",
    "swedish": "sv",
    "vietnamese": "vi",
}
"""Names that people write, by ISO 639 code."""

_SCRIPTS = {
    "zh": {"Han", "Bopomofo"},
    "ja": {"Han", "Hiragana", "Katakana"},
    "ko": {"Hangul", "Han"},
    "ru": {"Cyrillic"},
    "uk": {"Cyrillic"},
    "el": {"Greek"},
    "ar": {"Arabic"},
    "fa": {"Arabic"},
    "ur": {"Arabic"},
    "he": {"Hebrew"},
    "hi": {"Devanagari"},
    "mr": {"Devanagari"},
    "ne": {"Devanagari"},
    "th": {"Thai"},
    **{
        code: {"Latin"}
        for code in ["en", "de", "fr", "es", "it", "pt", "tr", "pl", "nl", "sv", "vi"]
    },
}

_LIKELY = {
    "Hiragana": "ja",
    "Katakana": "ja",
    "Hangul": "ko",
    "Han": "zh",
    "Bopomofo": "zh",
    "Greek": "el",
    "Hebrew": "he",
    "Thai": "th",
}
"""Scripts that (nearly) one language has to itself."""

_UNSEEN = regex.compile(
    r"[\u200b\u2060\ufeff\u00ad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\p{Cc}]"
)
"""Zero-width and direction controls; the joiners U+200C and U+200D stay, for they shape letters."""


def normalize_word(text: str) -> str:
    """NFC, trimmed, spaces single, without invisible controls.

    Raises InvalidRequest for lone surrogates, which are no text.
    """
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        message = "The word holds half of a surrogate pair; send valid Unicode text."
        raise InvalidRequest(message, [FieldError("word", message)])
    spaced = regex.sub(r"\s+", " ", unicodedata.normalize("NFC", text))
    return _UNSEEN.sub("", spaced).strip()


def checked_word(text: str) -> str:
    """The normalized word. Raises InvalidRequest for one that is empty or too long."""
    word = normalize_word(text)
    length = count_graphemes(word)
    if not length:
        message = "The word is empty; send at least one visible character."
    elif length > LONGEST_WORD:
        message = f"The word has {length} characters; at most {LONGEST_WORD} can be drawn."
    else:
        return word
    raise InvalidRequest(message, [FieldError("word", message)])


def count_graphemes(text: str) -> int:
    """User-perceived characters (extended grapheme clusters, UAX #29)."""
    return len(split_graphemes(text))


def split_graphemes(text: str) -> list[str]:
    """Extended grapheme clusters, in logical order."""
    return regex.findall(r"\X", text)


def script_of(character: str) -> str:
    """Unicode script name ("Han", "Common", ...)."""
    return script_data.script_name(script_data.script(character)).replace(" ", "_")


def identify(text: str, language: str = "auto") -> ScriptReport:
    """The word's main script and its language; what is odd about a language given is a warning."""
    scripts = _scripts(text)
    main = _main_script(scripts)
    code = language_code(language)
    if code is None:
        return ScriptReport(main, _likely(scripts, main))
    if code not in _SCRIPTS:
        told = f"Language '{language}' is not known here; the word is taken by its script ({main})."
        return ScriptReport(main, _likely(scripts, main), (told,))
    base = code.split("-")[0]
    if scripts and not _SCRIPTS[code] & set(scripts):
        told = f"Language '{language}' is not usually written in {main} script."
        return ScriptReport(main, _likely(scripts, main), (told,))
    return ScriptReport(main, code if "-" in code else base)


def language_code(language: str) -> str | None:
    """ "Chinese", "zh", "zh_TW", "zh-Hant" → a code of `_SCRIPTS`; None for "auto"; anything else in lower case."""
    asked = language.strip().casefold().replace("_", "-")
    if asked in ("", "auto"):
        return None
    code = _CODES.get(asked, asked)
    return _REGIONS.get(code, code if code in _SCRIPTS else _without_region(code))


_REGIONS = {"zh-tw": "zh-tw", "zh-hant": "zh-tw", "zh-hk": "zh-hk", "zh-mo": "zh-hk"}
_SCRIPTS.update({"zh-tw": _SCRIPTS["zh"], "zh-hk": _SCRIPTS["zh"]})


def _without_region(code: str) -> str:
    base = code.split("-")[0]
    return base if base in _SCRIPTS else code


def _scripts(text: str) -> list[str]:
    found = (script_of(character) for character in text)
    return [script for script in found if script not in ("Common", "Inherited", "Unknown")]


def _main_script(scripts: list[str]) -> str:
    """The most frequent one, the first of equals."""
    return max(dict.fromkeys(scripts), key=scripts.count, default="Common")


def _likely(scripts: list[str], main: str) -> str:
    if main == "Han" and {"Hiragana", "Katakana"} & set(scripts):
        return "ja"
    if main == "Han" and "Hangul" in scripts:
        return "ko"
    return _LIKELY.get(main, "")
