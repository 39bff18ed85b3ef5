"""Lists of words: what is read, what is refused, what is saved."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.fakes import fake_generator
from writing_service.errors import InvalidRequest, UnknownPictogram
from writing_service.types import ImageFormat, WritingRequest
from writing_service.word_list import ListedWord, draw_word_list, file_name, read_word_list

PNG = ImageFormat.PNG


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


@given(word=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_word_makes_a_safe_file_name(word: str):
    name = file_name(ListedWord(7, 8, WritingRequest(word)), PNG, total=20)
    assert re.fullmatch(r'007-[^/\\:*?"<>|\s\x00-\x1f]+\.png', name)
    assert len(name.encode()) < 255


def test_names_count_as_far_as_the_list_goes():
    word = ListedWord(1, 2, WritingRequest("ice cream/../x"))
    assert file_name(word, ImageFormat.WEBP, total=1000) == "0001-ice-cream-x.webp"


async def drawn(words: list[ListedWord], folder: Path, image_format: ImageFormat = PNG):
    generator, _ = fake_generator()
    finished = draw_word_list(generator.generate, words, folder, image_format)
    return {word.number: outcome async for word, outcome in finished}


async def test_pictures_are_saved_by_number_and_a_row_that_fails_leaves_the_others_alone(
    csv, tmp_path: Path
):
    words = read_word_list(
        csv("word,pictogram\n学习,\n猫,no such thing\n日,off\n"), {"width": 128, "height": 128}
    )
    folder = tmp_path / "deep" / "folder"
    outcomes = await drawn(words, folder, ImageFormat.JPEG)
    assert isinstance(outcomes.pop(2), UnknownPictogram)
    assert outcomes == {1: folder / "001-学习.jpeg", 3: folder / "003-日.jpeg"}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (128, 128))


async def test_a_file_that_cannot_be_written_fails_its_row_alone(csv, tmp_path: Path):
    words = read_word_list(csv("word\n猫\n日\n"), {"width": 128, "height": 128})
    (tmp_path / "001-猫.png").mkdir()
    outcomes = await drawn(words, tmp_path)
    assert "cannot be written: Is a directory." in str(outcomes[1])
    assert outcomes[2] == tmp_path / "002-日.png"


async def test_a_folder_that_cannot_be_made_is_told_before_anything_is_drawn(csv):
    path = csv("word\n猫\n")
    with pytest.raises(InvalidRequest, match="cannot be made: File exists"):
        await drawn(read_word_list(path, {}), path)
