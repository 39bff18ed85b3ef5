"""Lists of words: what is read, and what is refused."""

import re
from pathlib import Path

import pytest

from writing_service.errors import InvalidRequest
from writing_service.lists.reading import read_word_list
from writing_service.types import WritingRequest


@pytest.fixture
def csv(tmp_path: Path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "words.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_cells_become_requests_and_empty_ones_take_the_default(csv):
    path = csv(
        "\ufeffWord, style,seed,width,guidance_scale,hint_writing,pictogram\r\n"
        "学习,ink,7,512,0,,off\r\n"
        ",,,,,,\r\n"
        '猫,,,,,"two\nlines",\r\n'
        "日\r\n"
    )
    words = read_word_list(path, {"style": "watercolor", "seed": 3})
    assert [(one.number, one.line) for one in words] == [(1, 2), (2, 4), (3, 6)]
    first, second, third = (one.request for one in words)
    assert first == WritingRequest(
        "学习", style="ink", seed=7, width=512, guidance_scale=0.0, pictogram="off"
    )
    assert second == WritingRequest("猫", style="watercolor", seed=3, hint_writing="two\nlines")
    assert third == WritingRequest("日", style="watercolor", seed=3)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "'*' is empty; its first line must name the columns."),
        ("\n\n", "'*' is empty; its first line must name the columns."),
        ("word\n", "'*' has a header but no words."),
        ("translation\ncat\n", "Line 1 of '*' has no column 'word'."),
        ("word,word\n猫,猫\n", "Line 1 of '*' has the column 'word' twice."),
        ("word\n猫,cat\n", "Line 2 of '*' has more cells than the 1 columns."),
        ("word,style\n猫,\n,ink\n", "Line 3 of '*' has no word."),
        ("word\n" + "猫" * 51, "Line 2 of '*' is wrong: The word has 51 characters; at most 50 can be drawn."),
        ('word\n猫\n"学\n', "Line 3 of '*' is no CSV: unexpected end of data."),
        ("word\n猫\n".encode() + "é".encode("latin-1"), "Line 3 of '*' is not UTF-8; save the list as CSV in UTF-8."),
        ("word\n猫".encode("utf-16"), "Line 1 of '*' is not UTF-8; save the list as CSV in UTF-8."),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read_is_refused_in_one_sentence(csv, content, sentence: str):
    path = csv(content)
    with pytest.raises(InvalidRequest, match=f"^{re.escape(sentence.replace('*', str(path)))}$"):
        read_word_list(path, {})


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("seed", "x"),
        ("seed", "-1"),
        ("seed", "1.5"),
        ("width", "20"),
        ("height", "99999999"),
        ("num_inference_steps", "0"),
        ("guidance_scale", "nan"),
        ("style", "x" * 201),
    ],
)
def test_a_cell_out_of_bounds_is_told_with_its_line_and_column(csv, column: str, cell: str):
    path = csv(f"word,{column}\n猫,\n学,{cell}\n")
    with pytest.raises(InvalidRequest, match=f"^Line 3 of '.*' is wrong: '{column}' .*[^.]\\.$"):
        read_word_list(path, {})


def test_an_unknown_column_is_told_with_those_that_there_are(csv):
    with pytest.raises(InvalidRequest, match=r"unknown column 'colour'; there are: word, transl"):
        read_word_list(csv("word,colour\n猫,red\n"), {})


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path):
    with pytest.raises(InvalidRequest, match=r"^'.*none\.csv' cannot be read: No such file"):
        read_word_list(tmp_path / "none.csv", {})


def test_columns_may_be_named_from_outside(csv):
    words = read_word_list(csv("学习,xué,study\n猫,māo,cat\n"), {}, ["word", "-", "Translation"])
    told = [(one.number, one.line, one.request) for one in words]
    assert told == [(1, 1, WritingRequest("学习", "study")), (2, 2, WritingRequest("猫", "cat"))]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["word", "colour"], "There is no column 'colour'; there are: word, "),
        (["-", "translation"], "is the word; name them: --columns"),
        (["word", "word"], "The column 'word' of"),
    ],
)
def test_wrong_names_from_outside_are_one_sentence(csv, columns: list[str], sentence: str):
    with pytest.raises(InvalidRequest, match=re.escape(sentence)):
        read_word_list(csv("猫,cat\n"), {}, columns)


def test_a_file_of_tabs_is_read_by_its_ending(tmp_path: Path):
    path = tmp_path / "words.tsv"
    path.write_text("word\ttranslation\n猫\tcat, kitty\n", encoding="utf-8")
    assert read_word_list(path, {})[0].request == WritingRequest("猫", "cat, kitty")
