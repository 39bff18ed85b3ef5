"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from writing_service.errors import InvalidRequest
from writing_service.saving import save


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path):
    path = tmp_path / "a" / "b" / "word.png"
    save(path, b"one")
    assert save(path, b"two") == path
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_saved_leaves_nothing_and_is_one_sentence(tmp_path: Path):
    (tmp_path / "word.png").mkdir()
    with pytest.raises(InvalidRequest, match=r"word\.png' cannot be written: Is a directory\.$"):
        save(tmp_path / "word.png", b"one")
    assert [one.name for one in tmp_path.iterdir()] == ["word.png"]
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest, match="cannot be made: "):
        save(tmp_path / "file" / "word.png", b"one")
