"""Write docs/scripts.md: every script of Unicode, whether it is drawn, and by which face.

    python scripts/list_scripts.py

Counts only what comes with the installation: no system fonts, none of the user's own.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.scripts import INVENTED, NEUTRAL, script_of
from writing_service.rendering.system_fonts import NoSystemFonts

TARGET = Path(__file__).parent.parent / "docs" / "scripts.md"

DRAWN = 0.2
"""Of a script's characters, so that it counts as drawn: a few strays in a font of symbols do not. Han, Hiragana
and the hieroglyphs have the least of those that do: most of theirs are historic forms."""


@dataclass(frozen=True)
class Row:
    """One script: how many of its characters have a face, and the face that has most of them."""

    script: str
    covered: int
    total: int
    face: str

    @property
    def drawn(self) -> bool:
        return self.covered >= DRAWN * self.total


def main() -> None:
    """Write the table."""
    rows = [row_of(script, characters) for script, characters in sorted(repertoires().items())]
    unicode_rows = [row for row in rows if row.script not in INVENTED]
    TARGET.write_text("\n".join(page(unicode_rows, [r for r in rows if r.script in INVENTED])))


def repertoires() -> dict[str, list[str]]:
    """The assigned characters of every script, and those of the ConScript ones."""
    found: dict[str, list[str]] = {}
    for character in map(chr, range(sys.maxunicode + 1)):
        script = script_of(character)
        if script not in NEUTRAL:
            found.setdefault(script, []).append(character)
    return found


def row_of(script: str, characters: list[str]) -> Row:
    """Ask the library for every character."""
    faces = Counter(
        face.name for c in characters if (face := LIBRARY.face_for(c, LANGUAGES.get(script, "")))
    )
    name = faces.most_common(1)[0][0] if faces else ""
    return Row(script, faces.total(), len(characters), name)


def page(rows: list[Row], invented: list[Row]) -> Iterator[str]:
    """Markdown."""
    count = sum(row.drawn for row in rows)
    yield "# Scripts\n"
    yield (
        f"**{count} of the {len(rows)} scripts of Unicode are drawn** with what is installed with the "
        "service, and three more that Unicode has no room for. Others, and characters that are "
        "missing here, are drawn when `ai_generation.fonts.folder` or the system has a font for them; "
        "what nothing draws is refused by name, never drawn as a box.\n"
    )
    yield "This page is written by `scripts/list_scripts.py`.\n"
    yield from table(rows)
    yield "\nBy the private-use points of the ConScript Unicode Registry:\n"
    yield from table(invented)
    yield ""


def table(rows: list[Row]) -> Iterator[str]:
    """One script a row."""
    yield "| script | drawn | characters | face |\n|---|---|---|---|"
    for row in rows:
        told = "yes" if row.drawn else "no"
        yield f"| {row.script.replace('_', ' ')} | {told} | {row.covered} of {row.total} | {row.face} |"


LANGUAGES = {"Hiragana": "ja", "Katakana": "ja", "Hangul": "ko"}
"""Where the face of the CJK package depends on it."""

LIBRARY = FontLibrary(system=NoSystemFonts())

if __name__ == "__main__":
    main()
