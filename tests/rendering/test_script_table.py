"""docs/scripts.md: what it promises is drawn."""

import re
from pathlib import Path

from fontTools.unicodedata import Scripts, script_name

from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.languages import identify
from writing_service.rendering.system_fonts import NoSystemFonts

PAGE = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text()
LIBRARY = FontLibrary(system=NoSystemFonts())
INVENTED = {"Tengwar": "\ue000", "Cirth": "\ue080", "Klingon": "\uf8d0"}


def test_every_script_of_the_table_has_its_face():
    samples = some_characters() | INVENTED
    for script, drawn, face in re.findall(
        r"^\| ([\w ]+) \| (yes|no) \|[^|]+\| (\S*) \|$", PAGE, re.M
    ):
        found = set()
        for character in samples[script]:
            one = LIBRARY.face_for(character, identify(character).language)
            found.add(one.name if one else "")
        assert (face in found) or drawn == "no", script


def test_at_least_140_scripts_are_drawn():
    told = re.search(r"\*\*(\d+) of the (\d+) scripts of Unicode", PAGE)
    assert told
    assert int(told[1]) >= 140
    assert PAGE.count("| yes |") == int(told[1]) + len(INVENTED)


def some_characters() -> dict[str, str]:
    """The first of each block of every script."""
    found: dict[str, str] = {}
    for first, code in zip(Scripts.RANGES, Scripts.VALUES, strict=True):
        name = script_name(code).replace("_", " ")
        found[name] = found.get(name, "") + chr(first)
    return found
