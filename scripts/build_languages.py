"""Write languages.json: what languages are called and which scripts they are written in.

    pip install langcodes==3.5.1 language_data==1.4.0 && python scripts/build_languages.py

Both packages hold tables of Unicode's CLDR and of IANA's registry of language subtags; 10 MB too much to ask of
every installation, so what is needed of them is written down once.
"""

import json
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import language_data
from fontTools import unicodedata as script_data
from langcodes import Language
from langcodes.data_dicts import LANGUAGE_ALPHA3, LANGUAGE_ALPHA3_BIBLIOGRAPHIC, LIKELY_SUBTAGS
from langcodes.registry_parser import parse_registry

TARGET = Path(__file__).parent.parent / "writing_service" / "rendering" / "languages.json"
CLDR = Path(language_data.__file__).parent / "data"

SEVERAL = {
    "Hans": ["Han"],
    "Hant": ["Han"],
    "Jpan": ["Han", "Hiragana", "Katakana"],
    "Kore": ["Hangul", "Han"],
}
"""Codes for how a language is written that stand for more than one script, or for part of one."""

SHARED = {"Latn", "Cyrl", "Arab", "Deva", "Ethi", "Cans", "Brai", "Runr"}
"""Scripts of many languages: they say nothing of which."""

INVENTED = {
    "sjn": ["Tengwar", "Cirth", "Latin"],
    "qya": ["Tengwar", "Latin"],
    "tlh": ["Klingon", "Latin"],
}
"""Languages of scripts that Unicode has no room for."""


def main() -> None:
    """One language a line, by code."""
    registered = {
        item["Subtag"]: item["Description"]
        for item in parse_registry()
        if item["Type"] == "language"
    }
    lines = [
        f"{json.dumps(code)}:{compact({'names': names(code, registered), 'scripts': scripts})}"
        for code, scripts in sorted((written_in() | INVENTED).items())
    ]
    body = ",\n".join(lines)
    TARGET.write_text(f'{{"likely":{compact(likely())},\n"languages":{{\n{body}\n}}}}\n')


def written_in() -> dict[str, list[str]]:
    """Unicode's names of each language's scripts, the customary first."""
    root = ElementTree.parse(CLDR / "supplementalData.xml").getroot()
    found: dict[str, list[str]] = defaultdict(list)
    for entry in root.iterfind("languageData/language"):
        for code in (entry.get("scripts") or "").split():
            found[entry.attrib["type"]] += SEVERAL.get(code, [script_name(code)])
    return {language: list(dict.fromkeys(names)) for language, names in found.items()}


def names(code: str, registered: dict[str, list[str]]) -> list[str]:
    """English, its own, the registry's, and ISO 639's three letters; in lower case."""
    language = Language.get(code)
    given = [language.display_name("en"), language.autonym(), *registered.get(code, [])]
    alpha3 = [LANGUAGE_ALPHA3.get(code), LANGUAGE_ALPHA3_BIBLIOGRAPHIC.get(code)]
    plain = [name.split(" (")[0].casefold() for name in given + [a for a in alpha3 if a]]
    return [name for name in dict.fromkeys(plain) if name != code]


def likely() -> dict[str, str]:
    """The one language that a script says, by CLDR's likely subtags."""
    pairs = ((tag.removeprefix("und-"), full.split("-")[0]) for tag, full in LIKELY_SUBTAGS.items())
    scripts = {tag: code for tag, code in pairs if len(tag) == 4 and code != "und"}
    own = {
        script_name(tag): code
        for tag, code in sorted(scripts.items())
        if tag not in SHARED and tag in script_data.Scripts.NAMES
    }
    return own | {"Klingon": "tlh"}


def script_name(code: str) -> str:
    """Unicode's property value."""
    return script_data.script_name(code, default=code).replace(" ", "_")


def compact(value: object) -> str:
    """JSON in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
