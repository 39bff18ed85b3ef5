"""Write docs/scripts.md: every script of Unicode, whether it is drawn, and by which face; and draw some.

    python scripts/list_scripts.py

Counts only what comes with the installation: no system fonts, none of the user's own.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.scripts import INVENTED, NEUTRAL, script_of
from writing_service.rendering.system_fonts import NoSystemFonts
from writing_service.types import Box, FaceKind, Size, TextDirection

DOCS = Path(__file__).parent.parent / "docs"
TARGET, SPECIMEN = DOCS / "scripts.md", DOCS / "pictures" / "scripts.webp"

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
    """Write the table and the specimen."""
    specimen().save(SPECIMEN, quality=80)
    rows = [row_of(script, characters) for script, characters in sorted(repertoires().items())]
    unicode_rows = [row for row in rows if row.script not in INVENTED]
    TARGET.write_text("\n".join(page(unicode_rows, [r for r in rows if r.script in INVENTED])))


def specimen() -> Image.Image:
    """Words edge to edge, eight in a row."""
    renderer = WordRenderer(LIBRARY)
    cell = Size(176, 176)
    whole = Image.new("RGB", (8 * cell.width, -(-len(WORDS) // 8) * cell.height), "white")
    for number, (word, face, direction) in enumerate(WORDS):
        room = Box(12, 12, cell.width - 24, cell.height - 24)
        drawn = renderer.render(word, "auto", cell, room, face=face, direction=direction)
        whole.paste(drawn.image, (number % 8 * cell.width, number // 8 * cell.height))
    return whole


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
    yield "![Words in many scripts](pictures/scripts.webp)\n"
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


_PLAIN = (FaceKind.SANS, TextDirection.AUTO)
WORDS = (
    *(
        (word, *_PLAIN)
        for word in [
            "学习",
            "さくら",
            "사랑",
            "العربية",
            "हिन्दी",
            "ภาษา",
            "ភាសា",
            "བོད་ཡིག",
            "მზე",
            "հաց",
            "ቋንቋ",
            "தமிழ்",
            "తెలుగు",
            "ಕನ್ನಡ",
            "മലയാളം",
            "සිංහල",
            "မြန်မာ",
            "ລາວ",
            "ᠮᠣᠩᠭᠣᠯ",
            "ᏣᎳᎩ",
            "ᐃᓄᒃᑎᑐᑦ",
            "ⵜⴰⵎⴰⵣⵉⵖⵜ",
            "ߒߞߏ",
            "ꦗꦮ",
            "ᚱᚢᚾᚨ",
            "𓂀𓆣",
            "𒀭𒈗",
            "𐌰𐍄𐍄𐌰",
            "👩\u200d🚀🐈",
        ]
    ),
    ("\ue000\ue040\ue014\ue046\ue010", *_PLAIN),  # Tengwar
    ("\ue089\ue0a1\ue08c", *_PLAIN),  # Cirth
    ("\uf8e4\uf8d7\uf8dc\uf8d0\uf8db", *_PLAIN),  # Klingon
    *((word, FaceKind.SERIF, TextDirection.AUTO) for word in ("Word", "слово", "سلام")),
    *((word, FaceKind.BRUSH, TextDirection.AUTO) for word in ("学习", "さくら", "사랑")),
    *((word, FaceKind.SANS, TextDirection.VERTICAL) for word in ("カメラ「猫」", "学而时习之")),
)
"""In sans; by ConScript; in serif; in brush; downwards."""

LANGUAGES = {"Hiragana": "ja", "Katakana": "ja", "Hangul": "ko"}
"""Where the face of the CJK package depends on it."""

LIBRARY = FontLibrary(system=NoSystemFonts())

if __name__ == "__main__":
    main()
