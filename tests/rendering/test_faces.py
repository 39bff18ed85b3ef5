"""Kinds of face, emoji, and that every bundled face draws."""

from collections.abc import Iterator

import pytest
import regex

from writing_service.rendering.fonts import Bundled, FontLibrary, read_bundled
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.scripts import NEUTRAL, script_of
from writing_service.rendering.system_fonts import NoSystemFonts
from writing_service.types import Box, FaceKind, Size

CANVAS = Size(320, 240)
BOX = Box(20, 30, 280, 180)


@pytest.fixture(scope="module")
def renderer() -> WordRenderer:
    return WordRenderer(FontLibrary(system=NoSystemFonts()))


@pytest.mark.parametrize("face", FaceKind)
@pytest.mark.parametrize(
    "word", ["学习", "さくら", "사랑", "house", "дом", "سلام", "कमल", "ภาษา", "ᚠᚢᚦ"]
)
def test_every_kind_of_face_draws_every_word(renderer: WordRenderer, word: str, face: FaceKind):
    assert renderer.render(word, "auto", CANVAS, BOX, face=face).mask.max() == 255


@pytest.mark.parametrize(
    ("face", "word", "language", "font"),
    [
        (FaceKind.SERIF, "a house", "en", "NotoSerif-Bold"),
        (FaceKind.SERIF, "дом", "auto", "NotoSerif-Bold"),
        (FaceKind.SERIF, "سلام", "auto", "NotoNaskhArabic-Bold"),
        (FaceKind.SERIF, "नमस्ते", "auto", "NotoSerifDevanagari-Bold"),
        (FaceKind.SERIF, "ᠮᠣᠩᠭᠣᠯ", "auto", "NotoSansMongolian-Regular"),
        (FaceKind.BRUSH, "学习", "auto", "MaShanZheng"),
        (FaceKind.BRUSH, "さくら", "auto", "YujiBoku"),
        (FaceKind.BRUSH, "사랑", "auto", "NanumBrushScript"),
        # One character is missing from the brush: the whole word is drawn without it.
        (FaceKind.BRUSH, "学龘", "auto", "NotoSansCJK-Regular#2"),
        # Its Han have the Chinese shapes.
        (FaceKind.BRUSH, "学ぶ", "ja", "NotoSansCJK-Regular"),
        (FaceKind.BRUSH, "house", "auto", "NotoSans-Bold"),
    ],
)
def test_a_style_may_ask_for_a_kind_of_face(
    renderer: WordRenderer, face: FaceKind, word: str, language: str, font: str
):
    assert renderer.render(word, language, CANVAS, BOX, face=face).fonts == (font,)


def test_what_belongs_to_no_script_does_not_change_the_face_of_the_rest(renderer: WordRenderer):
    word = renderer.render("3月😀", "zh", CANVAS, BOX, face=FaceKind.BRUSH)
    assert set(word.fonts) == {"NotoSansCJK-Regular#2", "MaShanZheng", "NotoEmoji"}


def test_an_emoji_sequence_is_one_picture_and_an_unknown_one_is_its_parts(renderer: WordRenderer):
    def shape(text: str) -> float:
        (whole,) = renderer.render(text, "auto", CANVAS, BOX).characters
        return whole.box.width / whole.box.height

    assert shape("👩‍🚀") < 1.3 * shape("👩")
    assert shape("👩‍🍕") > 1.7 * shape("👩")


@pytest.mark.parametrize("text", ["👍🏽", "🏽", "❤️", "#️⃣", "🇦🇦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"])
def test_emoji_of_every_make_are_drawn_by_the_emoji_face(renderer: WordRenderer, text: str):
    assert renderer.render(text, "auto", CANVAS, BOX).fonts == ("NotoEmoji",)


def test_every_bundled_face_draws_its_script(renderer: WordRenderer):
    for bundled in read_bundled():
        if bundled.kind == FaceKind.SANS:
            letter = own_letter(bundled)
            word = renderer.render(letter, "auto", Size(64, 64), Box(4, 4, 56, 56))
            assert word.fonts == (bundled.face.name,)
            assert word.mask.max() > 127


def own_letter(bundled: Bundled) -> str:
    """A character of its script that no other face of the kind has, and that is more than a mark."""
    others = [one.face for one in read_bundled() if one != bundled and one.kind == bundled.kind]
    return next(
        character
        for character in covered(bundled)
        if (bundled.script in NEUTRAL or script_of(character) == bundled.script)
        and regex.match(r"[\p{L}\p{N}\p{S}\p{Co}]", character)
        and not any(other.covers(character) for other in others)
    )


def covered(bundled: Bundled) -> Iterator[str]:
    ends = bundled.face.ranges
    for first, last in zip(ends[::2], ends[1::2], strict=True):
        yield from map(chr, range(first, last + 1))
