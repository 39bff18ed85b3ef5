"""Which language a word is in, by what is said of it and by how it is written.

What languages are called and which scripts they are written in stands in languages.json, made from Unicode's
CLDR and IANA's registry by `scripts/build_languages.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import regex

from writing_service.rendering.scripts import NEUTRAL, script_of
from writing_service.types import ScriptReport

TABLE = Path(__file__).parent / "languages.json"

_CHINESE = {
    "mandarin": "zh",
    "cmn": "zh",
    "simplified chinese": "zh",
    "zh-hant": "zh-tw",
    "traditional chinese": "zh-tw",
    "zh-hant-hk": "zh-hk",
    "zh-mo": "zh-hk",
    "yue": "zh-hk",
    "cantonese": "zh-hk",
}
"""Chinese is drawn by region: the shapes of its characters differ."""

_ALSO = {**_CHINESE, "elvish": "sjn", "farsi": "fa", "burmese": "my", "castilian": "es"}

_REGIONS = ("zh-tw", "zh-hk")

_TELLTALE: tuple[tuple[str, str, str], ...] = (
    ("Cyrillic", "be", "ў"),
    ("Cyrillic", "kk", "әғқңұүһ"),
    ("Cyrillic", "uk", "іїєґ"),
    ("Cyrillic", "mk", "ѓќѕ"),
    ("Cyrillic", "sr", "ђћ"),
    ("Arabic", "ps", "ټډړږښ"),
    ("Arabic", "ug", "ۈۋ"),
    ("Arabic", "ur", "ٹڈڑےںہ"),
    ("Arabic", "fa", "پچژگ"),
    ("Hebrew", "yi", "װױײ"),
    ("Bengali", "as", "ৰৱ"),
    ("Latin", "de", "ß"),
    ("Latin", "hu", "őű"),
    # With two marks on one letter: those with one are Yoruba's and Guarani's as well.
    ("Latin", "vi", "ơưấ-ặế-ệố-ợứ-ự"),
    ("Latin", "cs", "řů"),
    ("Latin", "tr", "ğ"),
    ("Latin", "is", "ðþ"),
    ("Latin", "eo", "ĉĝĥĵŝŭ"),
)
"""Script, language, and letters of it that its neighbours lack; the first that fits is likely."""


@dataclass(frozen=True)
class _Table:
    """languages.json. `likely` is the language that a script says, `codes` the code of each name.

    `names` are the English ones, in lower case.
    """

    likely: Mapping[str, str]
    scripts: Mapping[str, Sequence[str]]
    codes: Mapping[str, str]
    names: Mapping[str, str]


def identify(text: str, language: str = "auto") -> ScriptReport:
    """The word's main script and its language; what is odd about a language given is a warning."""
    scripts = _scripts(text)
    main = _main_script(scripts)
    code = language_code(language)
    if code is None:
        return ScriptReport(main, _likely(text, scripts, main))
    known = _table().scripts.get(code.split("-")[0])
    if known is None:
        told = f"Language '{language}' is not known here; the word is taken by its script ({main})."
    elif scripts and not set(known) & set(scripts):
        told = f"Language '{language}' is not usually written in {main} script."
    else:
        return ScriptReport(main, code)
    return ScriptReport(main, _likely(text, scripts, main), (told,))


def language_code(language: str) -> str | None:
    """ "Chinese", "zh", "zh_TW", "deu", "Deutsch" → an ISO 639 code; None for "auto"; what is not known in lower case.

    Regions are left out, but for those that decide how Chinese is drawn: zh-tw and zh-hk.
    """
    asked = " ".join(language.strip().casefold().replace("_", "-").split())
    if asked in ("", "auto"):
        return None
    parts = asked.split("-")
    for length in range(len(parts), 0, -1):
        name = "-".join(parts[:length])
        code = _ALSO.get(name, name)
        if code in _REGIONS or code in _table().scripts:
            return code
        if name in _table().codes:
            return _table().codes[name]
    return asked


def scripts_of(language: str) -> Sequence[str]:
    """Unicode names of the scripts that an ISO 639 language is written in, the usual one first; none if unknown."""
    return _table().scripts.get(language.split("-")[0], ())


def misleading_name(script: str, language: str) -> str:
    """The English name of a language whose script is called after another: "Persian" of Arabic script; else ""."""
    code = language.partition("-")[0]
    script_says = _table().codes.get(script.casefold())
    if code not in _table().scripts or script_says in (None, code):
        return ""
    return _table().names[code].title()


@lru_cache(maxsize=1)
def _table() -> _Table:
    raw = json.loads(TABLE.read_bytes())
    scripts = {code: entry["scripts"] for code, entry in raw["languages"].items()}
    codes: dict[str, str] = {}
    for code, entry in sorted(raw["languages"].items(), key=lambda item: len(item[0])):
        for name in entry["names"]:
            codes.setdefault(name, code)
    names = {code: (entry["names"] or [""])[0] for code, entry in raw["languages"].items()}
    return _Table(raw["likely"], scripts, codes, names)


def _scripts(text: str) -> list[str]:
    return [script for script in map(script_of, text) if script not in NEUTRAL]


def _main_script(scripts: list[str]) -> str:
    """The most frequent one, the first of equals."""
    return max(dict.fromkeys(scripts), key=scripts.count, default="Common")


def _likely(text: str, scripts: list[str], main: str) -> str:
    """Han beside kana is Japanese, beside Hangul Korean; then telltale letters; then the script's own language."""
    if main == "Han" and {"Hiragana", "Katakana"} & set(scripts):
        return "ja"
    if main == "Han" and "Hangul" in scripts:
        return "ko"
    for script, code, letters in _TELLTALE:
        if script == main and regex.search(f"[{letters}]", text.lower()):
            return code
    return _table().likely.get(main, "")
