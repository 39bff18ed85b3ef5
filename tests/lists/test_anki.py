"""Notes as Anki exports them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.errors import InvalidRequest
from writing_service.lists.anki import plain_text, read_header
from writing_service.lists.reading import read_word_list
from writing_service.types import WritingRequest

HEADER = """\
#separator:tab
#html:true
#guid column:1
#notetype column:2
#deck column:3
#tags column:7
"""
STUDY = (
    "pX{1",
    "Basic",
    "HSK 1",
    "学习[sound:xuexi.mp3]",
    "to study<br>to <b>learn</b>&nbsp;",
    "xuéxí",
    "hsk1 verb",
)
CAT = ("q7#2", "Basic", "HSK 1", '"<div>猫</div>"', '"cat\tand ""kitty"""', "māo", "")
EXPORT = HEADER + "\t".join(STUDY) + "\n" + "\t".join(CAT) + "\n"


@pytest.fixture
def notes(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "notes.txt"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_first_two_fields_are_word_and_meaning_without_their_markup(notes):
    words = read_word_list(notes(EXPORT), {"style": "ink"})
    assert [(one.number, one.line, one.request) for one in words] == [
        (1, 7, WritingRequest("学习", "to study to learn", style="ink")),
        (2, 8, WritingRequest("猫", 'cat and "kitty"', style="ink")),
    ]


def test_columns_that_the_file_names_are_known_by_what_note_types_call_them(notes):
    text = "#separator:;\n#columns:Reading;Expression;Meaning\nねこ;猫;cat\n"
    assert read_word_list(notes(text), {})[0].request == WritingRequest("猫", "cat")


def test_columns_that_are_named_from_outside_go_before(notes):
    named = ["-", "-", "-", "translation", "-", "word", "-"]
    words = read_word_list(notes(EXPORT), {}, named)
    assert words[1].request == WritingRequest("māo", "猫")


def test_a_file_without_a_word_says_how_to_name_it(notes):
    with pytest.raises(InvalidRequest, match="--columns word,translation,-"):
        read_word_list(notes("#separator:tab\n#columns:Image\tSound\na\tb\n"), {})


def test_a_line_is_told_as_it_stands_in_the_file(notes):
    with pytest.raises(InvalidRequest, match=r"^Line 9 of '.*' has no word\.$"):
        read_word_list(notes(EXPORT + "x\tBasic\tHSK 1\t<br>\tnothing\t\t\n"), {})


def test_a_csv_is_no_export_of_anki():
    assert read_header("word,translation\n#1,one\n") is None
    assert read_header("#1 in the charts:song\n") is None


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("a &lt;b&gt; c", "a <b> c"),
        ("<style>p {}</style>one<p>two</p>", "one two"),
        ("{{c1::学习::study}} hard", "学习 hard"),
        ("<img src='x.png'>", ""),
        ("a < b", "a < b"),
    ],
)
def test_what_is_shown_of_a_field(field: str, text: str):
    assert plain_text(field, html=True) == text


@given(st.text(max_size=80))
def test_any_field_becomes_one_line(field: str):
    for html in (False, True):
        assert len(plain_text(field, html).splitlines()) <= 1
