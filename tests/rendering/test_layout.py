"""Glyphs where HarfBuzz puts them; columns, lines and their order."""

import io

import numpy as np
import pytest
import uharfbuzz as hb
from fontTools.ttLib import TTFont

from writing_service.rendering.fonts import FACES, FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.rendering.layout import Flow, flow_of
from writing_service.rendering.scripts import split_graphemes
from writing_service.rendering.shaping import Line, shape_line
from writing_service.rendering.system_fonts import NoSystemFonts
from writing_service.types import Box, DrawnCharacter, RenderedWord, Size, TextDirection

VERTICAL, HORIZONTAL = TextDirection.VERTICAL, TextDirection.HORIZONTAL
LIBRARY = FontLibrary(system=NoSystemFonts())
RENDERER = WordRenderer(LIBRARY)
SHAPED = {
    "NotoSans-Bold": "affluent",
    "NotoSansArabic-Bold": "مُعَلِّمَة",
    "NotoSansHebrew-Bold": "שָׁלוֹם",
    "NotoSansDevanagari-Bold": "क्षत्रिय",
    "NotoSansBengali-Bold": "শিক্ষার্থী",
    "NotoSansTamil-Bold": "மொழியை",
    "NotoSansTelugu-Bold": "తెలుగు",
    "NotoSansSinhala-Bold": "ශ්‍රී",
    "NotoSansThai-Bold": "น้ำที่",
    "NotoSansKhmer-Bold": "ខ្ញុំស្រឡាញ់",
    "NotoSansMyanmar-Bold": "ကျွန်ုပ်",
    "NotoSerifTibetan-Bold": "བསྒྲུབས",
    "ConScript": "\ue003\ue04a\ue010\ue044",
}


@pytest.mark.parametrize(("face", "word"), SHAPED.items())
def test_glyphs_stand_where_harfbuzz_puts_them(face: str, word: str):
    """A run of its own, opened by fontTools and shaped without any of our code."""
    stream = io.BytesIO()
    font = TTFont(FACES / f"{face}.woff2")
    font.flavor = None
    font.save(stream)
    peer = hb.Font(hb.Face(stream.getvalue()))
    peer.scale = (1000, 1000)
    buffer = hb.Buffer()
    buffer.add_str(word)
    buffer.guess_segment_properties()
    hb.shape(peer, buffer)
    pen, expected = 0, []
    for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        expected.append((info.codepoint, pen + place.x_offset, place.y_offset))
        pen += place.x_advance
    pieces = LIBRARY.assign(split_graphemes(word), "")
    ours = list(shape_line(Line(pieces, 0, "", vertical=False), 0.0))
    assert {glyph.face.name for glyph in ours} == {face}
    assert [(glyph.number, glyph.x, glyph.y) for glyph in ours] == expected
    assert sum(glyph.advance for glyph in ours) == pen


@pytest.mark.parametrize(
    ("script", "direction", "flow"),
    [
        ("Latin", TextDirection.AUTO, Flow(vertical=False)),
        ("Han", TextDirection.AUTO, Flow(vertical=False)),
        ("Han", VERTICAL, Flow(vertical=True, step=-1)),
        ("Mongolian", TextDirection.AUTO, Flow(vertical=True, step=1)),
        ("Phags_Pa", TextDirection.AUTO, Flow(vertical=True, step=1)),
        ("Mongolian", HORIZONTAL, Flow(vertical=False, step=1)),
    ],
)
def test_lines_run_as_the_script_is_written_or_as_is_asked(
    script: str, direction: TextDirection, flow: Flow
):
    assert flow_of(script, direction) == flow


def render(text: str, direction: TextDirection, size: Size) -> RenderedWord:
    box = Box(5, 5, size.width - 10, size.height - 10)
    return RENDERER.render(text, "auto", size, box, direction=direction)


def drawn(text: str, direction: TextDirection, size: Size) -> tuple[DrawnCharacter, ...]:
    return render(text, direction, size).characters


def test_vertical_han_stands_upright_one_below_another():
    below = drawn("学习", VERTICAL, Size(100, 300))
    beside = drawn("学习", HORIZONTAL, Size(300, 100))
    assert below[1].box.top >= below[0].box.top + below[0].box.height
    for one, other in zip(below, beside, strict=True):
        assert one.box.width / one.box.height == pytest.approx(
            other.box.width / other.box.height, abs=0.06
        )


def test_columns_of_han_follow_one_another_from_right_to_left():
    first, *_, last = drawn("学习中文学习", VERTICAL, Size(300, 300))
    assert last.box.left + last.box.width < first.box.left


def test_columns_of_mongolian_follow_one_another_from_left_to_right():
    first, *_, last = drawn("ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ", TextDirection.AUTO, Size(300, 300))
    assert first.box.left + first.box.width < last.box.left


def test_vertical_mongolian_is_the_horizontal_line_turned_clockwise():
    across = render("ᠮᠣᠩᠭᠣᠯ", HORIZONTAL, Size(320, 120)).mask
    down = render("ᠮᠣᠩᠭᠣᠯ", TextDirection.AUTO, Size(120, 320)).mask
    difference = np.abs(np.rot90(across, -1).astype(int) - down)
    assert difference.mean() < 2


def test_vertical_text_has_the_vertical_forms_of_its_punctuation():
    """The long mark stands, the bracket opens downwards, the full stop moves to the upper right."""
    mark = drawn("カー", VERTICAL, Size(100, 300))[1].box
    assert mark.height > 3 * mark.width
    bracket = drawn("「カ", VERTICAL, Size(100, 300))[0].box
    assert bracket.width > bracket.height
    letter, stop = drawn("カ。", VERTICAL, Size(100, 300))
    assert stop.box.left > letter.box.left + letter.box.width / 2


def test_scripts_that_are_not_written_downwards_lie_on_their_side():
    across = render("word", HORIZONTAL, Size(320, 120)).mask
    down = render("word", VERTICAL, Size(120, 320)).mask
    assert np.abs(np.rot90(across, -1).astype(int) - down).mean() < 2


def test_long_vertical_text_breaks_into_columns():
    lefts = {
        one.box.left // 40
        for one in drawn("学而时习之不亦说乎有朋自远方来", VERTICAL, Size(300, 300))
    }
    assert len(lefts) >= 3


def test_the_ink_of_stacked_lines_keeps_apart():
    """Tall Tibetan stacks push the next line down."""
    word = "ཧྐྵྨླྺྼྻྂ ཧྐྵྨླྺྼྻྂ"
    first, second = drawn(word, TextDirection.AUTO, Size(60, 400))
    assert second.box.top > first.box.top + first.box.height
