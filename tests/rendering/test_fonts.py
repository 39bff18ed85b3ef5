"""Which face draws what: the user's own, the bundled ones, the system's."""

import json
from pathlib import Path

import pytest
import regex

from tests.rendering.conftest import MakeFont
from writing_service.errors import ConfigurationError, UndrawableText
from writing_service.rendering.fonts import FACES, FontLibrary, read_bundled
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.system_fonts import Fontconfig, NoSystemFonts, SystemFonts
from writing_service.types import Box, FaceKind, RenderedWord, Size

NOWHERE = "\U00010d50"
"""GARAY CAPITAL LETTER A, which no bundled face has."""


def render(
    text: str, *, folder: Path | None = None, system: SystemFonts | None = None
) -> RenderedWord:
    library = FontLibrary(folder, system or NoSystemFonts())
    return WordRenderer(library).render(text, "auto", Size(200, 100), Box(10, 10, 180, 80))


def program(folder: Path, *lines: str) -> str:
    """A stand-in for fc-list that says these lines whatever it is asked."""
    (folder / "told").write_text("".join(f"{line}\n" for line in lines))
    script = folder / "fc-list"
    script.write_text(f"#!/bin/sh\ncat '{folder}/told'\n")
    script.chmod(0o755)
    return str(script)


def test_a_folder_of_fonts_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"fonts\.folder"):
        FontLibrary(tmp_path / "none")


@pytest.mark.parametrize("name", ["broken.ttf", "broken.woff2", "broken.ttc"])
@pytest.mark.parametrize("content", [b"", b"no font at all", b"\0\1\0\0\0\1" + bytes(40)])
def test_a_broken_font_of_the_users_is_told_by_name_at_the_start(
    tmp_path: Path, name: str, content: bytes
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=name):
        FontLibrary(tmp_path)


def test_what_is_no_font_file_is_left_alone(tmp_path: Path):
    (tmp_path / "README.txt").write_text("fonts go here")
    assert render("a", folder=tmp_path).fonts == ("NotoSans-Bold",)


def test_fonts_of_the_users_own_come_first(tmp_path: Path):
    (tmp_path / "mine.woff2").write_bytes((FACES / "NotoSans-Bold.woff2").read_bytes())
    assert render("abc", folder=tmp_path).fonts == ("mine",)


def test_the_users_own_private_use_characters_are_believed(tmp_path: Path, make_font: MakeFont):
    make_font(tmp_path / "mine.ttf", [0xE900])
    assert render("\ue900", folder=tmp_path).fonts == ("mine",)


def test_the_system_is_asked_for_what_nothing_else_draws(tmp_path: Path, make_font: MakeFont):
    font = make_font(tmp_path / "garay.ttf", [ord(NOWHERE)])
    system = Fontconfig(program(tmp_path, f"{font}\t0", f"{font}\t65536"))
    assert render(f"a{NOWHERE}", system=system).fonts == ("NotoSans-Bold", "garay")


def test_the_systems_word_is_checked(tmp_path: Path, make_font: MakeFont):
    """Files that lack the character after all, are broken, are gone or are no outlines."""
    liar = make_font(tmp_path / "liar.ttf", [0x41])
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    lines = [f"{tmp_path / name}\t0" for name in ("broken.ttf", "gone.ttf", "bitmap.pcf.gz")]
    system = Fontconfig(program(tmp_path, f"{liar}\t0", *lines))
    with pytest.raises(UndrawableText, match="U\\+10D50"):
        render(NOWHERE, system=system)


def test_the_systems_private_use_characters_are_not_believed(tmp_path: Path, make_font: MakeFont):
    font = make_font(tmp_path / "icons.ttf", [0xE900])
    with pytest.raises(UndrawableText, match="private use"):
        render("\ue900", system=Fontconfig(program(tmp_path, f"{font}\t0")))


@pytest.mark.parametrize("name", ["no-such-program", "false"])
def test_a_machine_without_fontconfig_has_no_system_fonts(name: str):
    with pytest.raises(UndrawableText):
        render(NOWHERE, system=Fontconfig(name))


def test_the_table_of_coverage_is_true():
    """Every face is listed and has what the table says; only one claims private-use points."""
    listed = {one.face.path for one in read_bundled()}
    assert listed == set(FACES.glob("*.woff2"))
    for one in read_bundled():
        points = set(one.face.open().face.unicodes)
        ends = one.face.ranges
        said = {c for a, b in zip(ends[::2], ends[1::2], strict=True) for c in range(a, b + 1)}
        assert said <= points
        private = any(regex.match(r"\p{Co}", chr(code)) for code in said)
        assert private == (one.face.name == "ConScript")


def test_every_kind_has_faces_and_every_set_its_licence():
    kinds = {entry["kind"] for entry in json.loads((FACES / "coverage.json").read_bytes())}
    assert kinds == {*map(str, FaceKind), "emoji"}
    licences = {path.stem.removeprefix("LICENSE-") for path in FACES.glob("LICENSE-*.txt")}
    families = {one.face.name for one in read_bundled()}
    assert all(any(name.startswith(one) for one in licences) for name in families)


def test_the_faces_stay_small():
    assert sum(path.stat().st_size for path in FACES.iterdir()) < 9 * 2**20
