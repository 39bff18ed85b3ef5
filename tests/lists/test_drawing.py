"""Lists of words: what is drawn and saved, and what is not drawn again."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.fakes import fake_generator
from writing_service.config import load_settings
from writing_service.errors import InvalidRequest, UnknownPictogram
from writing_service.lists.drawing import (
    CONTENTS,
    ListPicture,
    Outcome,
    draw_word_list,
    file_name,
    fingerprint,
)
from writing_service.lists.reading import ListedWord, read_word_list
from writing_service.types import ImageFormat, WritingRequest

PNG = ImageFormat.PNG
SETTINGS = load_settings().ai_generation
SMALL = {"width": 128, "height": 128}


@pytest.fixture
def csv(tmp_path: Path):
    def write(content: str) -> Path:
        path = tmp_path / "words.csv"
        path.write_text(content, encoding="utf-8")
        return path

    return write


def paths(outcomes: dict[int, Outcome]) -> dict[int, Path]:
    assert all(isinstance(one, ListPicture) for one in outcomes.values())
    return {number: one.path for number, one in outcomes.items() if isinstance(one, ListPicture)}


@given(word=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_word_makes_a_safe_file_name(word: str):
    name = file_name(ListedWord(7, 8, WritingRequest(word)), PNG, total=20)
    assert re.fullmatch(r'007-[^/\\:*?"<>|\s\x00-\x1f]+\.png', name)
    assert len(name.encode()) < 255


def test_names_count_as_far_as_the_list_goes():
    word = ListedWord(1, 2, WritingRequest("ice cream/../x"))
    assert file_name(word, ImageFormat.WEBP, total=1000) == "0001-ice-cream-x.webp"


async def drawn(
    words: list[ListedWord], folder: Path, image_format: ImageFormat = PNG, again: bool = False
) -> dict[int, Outcome]:
    generator, _ = fake_generator()
    finished = draw_word_list(generator.generate, words, folder, image_format, SETTINGS, again)
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
    assert paths(outcomes) == {1: folder / "001-学习.jpeg", 3: folder / "003-日.jpeg"}
    for path in folder.glob("*.jpeg"):
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (128, 128))


async def test_a_file_that_cannot_be_written_fails_its_row_alone(csv, tmp_path: Path):
    words = read_word_list(csv("word\n猫\n日\n"), {"width": 128, "height": 128})
    (tmp_path / "001-猫.png").mkdir()
    outcomes = await drawn(words, tmp_path)
    assert "cannot be written: Is a directory." in str(outcomes[1])
    assert paths({2: outcomes[2]}) == {2: tmp_path / "002-日.png"}


async def test_a_folder_that_cannot_be_made_is_told_before_anything_is_drawn(csv):
    path = csv("word\n猫\n")
    with pytest.raises(InvalidRequest, match="cannot be made: File exists"):
        await drawn(read_word_list(path, {}), path)


def which_were_drawn(outcomes: dict[int, Outcome]) -> list[int]:
    return sorted(n for n, one in outcomes.items() if isinstance(one, ListPicture) and one.drawn)


async def test_a_list_that_was_stopped_goes_on_where_it_was(csv, tmp_path: Path):
    words = read_word_list(csv("word\n猫\n日\n月\n"), SMALL)
    await drawn(words[:2], tmp_path)
    before = (tmp_path / "001-猫.png").read_bytes()
    assert which_were_drawn(await drawn(words, tmp_path)) == [3]
    assert (tmp_path / "001-猫.png").read_bytes() == before
    assert which_were_drawn(await drawn(words, tmp_path)) == []
    assert which_were_drawn(await drawn(words, tmp_path, again=True)) == [1, 2, 3]


async def test_what_was_changed_or_lost_since_is_drawn_again(csv, tmp_path: Path):
    await drawn(read_word_list(csv("word\n猫\n日\n月\n"), SMALL), tmp_path)
    (tmp_path / "003-月.png").unlink()
    words = read_word_list(csv("word,style\n猫,\n日,ink\n月,\n"), SMALL)
    assert which_were_drawn(await drawn(words, tmp_path)) == [2, 3]


async def test_a_last_line_that_was_never_finished_does_not_count(csv, tmp_path: Path):
    words = read_word_list(csv("word\n猫\n日\n"), SMALL)
    await drawn(words, tmp_path)
    contents = (tmp_path / CONTENTS).read_text(encoding="utf-8").splitlines()
    (tmp_path / CONTENTS).write_text(f"{contents[0]}\n{contents[1][:30]}", encoding="utf-8")
    left = 2 if json.loads(contents[0])["word"] == "猫" else 1
    assert which_were_drawn(await drawn(words, tmp_path)) == [left]


def test_settings_count_where_they_change_what_is_drawn():
    word = WritingRequest("猫")
    other = load_settings(["ai_generation.generation.num_inference_steps=9"]).ai_generation
    device = load_settings(["ai_generation.gpu.max_batch_size=2"]).ai_generation
    assert fingerprint(word, SETTINGS) == fingerprint(word, device)
    assert fingerprint(word, SETTINGS) != fingerprint(word, other)
