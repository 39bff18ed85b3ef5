"""Notes that Anki exported as plain text: their header, and what of a field is text.

    #separator:tab
    #html:true
    #tags column:3
    学习<br>	study	hsk1

See Anki's manual, "Text Files": header lines begin with "#" and stand before the notes.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

_HEADER = re.compile(r"#([a-z ]+):(.*)", re.IGNORECASE)
_KEYS = frozenset(
    ("separator", "html", "tags", "columns", "notetype", "deck", "if matches", "tags column")
) | frozenset(("notetype column", "deck column", "guid column"))
_SEPARATORS: Mapping[str, str] = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "space": " ",
    "pipe": "|",
    "colon": ":",
}
_SOUND = re.compile(r"\[(?:sound|anki):[^\]]*\]")
_CLOZE = re.compile(r"\{\{c\d+::(.*?)(?:::.*?)?\}\}", re.DOTALL)
_BREAKS = frozenset(("br", "div", "p", "li", "tr", "td", "hr"))
_UNSEEN = frozenset(("style", "script"))

SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("front", "expression", "term", "hanzi", "kanji", "simplified"), "word"),
    **dict.fromkeys(("vocabulary", "character", "characters"), "word"),
    **dict.fromkeys(("back", "meaning", "english", "definition", "gloss"), "translation"),
    **dict.fromkeys(("mnemonic", "hint", "notes"), "hint_writing"),
}
"""What note types call the fields."""


@dataclass(frozen=True)
class AnkiHeader:
    """How the notes are written. `lines` is how many the header has, `special` are columns that are no fields, from 1.

    `columns` are the names of all columns, where the file tells them.
    """

    lines: int
    separator: str = "\t"
    html: bool = False
    special: frozenset[int] = frozenset()
    columns: tuple[str, ...] = ()


def read_header(text: str) -> AnkiHeader | None:
    """None for a text that does not begin as Anki's do."""
    told: dict[str, str] = {}
    lines = text.splitlines()
    for line in lines:
        found = _HEADER.match(line)
        if found is None or found[1].casefold() not in _KEYS:
            break
        told[found[1].casefold()] = found[2]
    if not told:
        return None
    name = told.get("separator", "tab").strip(" \r")
    separator = _SEPARATORS.get(name.casefold(), name or "\t")
    special = frozenset(int(value) for key, value in told.items() if key.endswith("column"))
    columns = (
        next(csv.reader([told["columns"]], delimiter=separator), []) if "columns" in told else []
    )
    return AnkiHeader(
        len(told),
        separator,
        told.get("html", "").strip().casefold() == "true",
        special,
        tuple(columns),
    )


def columns_of(header: AnkiHeader, width: int) -> tuple[str, ...]:
    """A name for each of `width` columns, "" for those that are not read: by their names, else the first two fields."""
    if header.columns:
        names = [name.strip().casefold() for name in header.columns]
        return tuple(SYNONYMS.get(name, name) for name in names)
    fields = [at for at in range(1, width + 1) if at not in header.special]
    known = dict(zip(fields, ("word", "translation"), strict=False))
    return tuple(known.get(at, "") for at in range(1, width + 1))


def plain_text(field: str, html: bool) -> str:
    """What a reader of the card sees as text: no tags, sounds or cloze marks."""
    seen = _shown(field) if html else field
    return " ".join(_CLOZE.sub(r"\1", _SOUND.sub(" ", seen)).split())


class _Text(HTMLParser):
    """Collects what is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        self._unseen += tag in _UNSEEN
        self.parts += " " if tag in _BREAKS else ""

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        self.parts += " " if tag in _BREAKS else ""

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        if not self._unseen:
            self.parts.append(data)


def _shown(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)
