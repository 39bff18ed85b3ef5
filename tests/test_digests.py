"""Files are told apart by what they hold."""

from pathlib import Path

import pytest

from writing_service.digests import SAMPLE_BYTES, SAMPLES, digest_of

LARGE = 3 * SAMPLES * SAMPLE_BYTES
CHANGED = LARGE // 100


def test_the_same_files_elsewhere_have_the_same_digest(tmp_path: Path):
    for name in ("one", "other"):
        (tmp_path / name / "inside").mkdir(parents=True)
        (tmp_path / name / "inside" / "a.bin").write_bytes(b"1")
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "other")


@pytest.mark.parametrize("at", [0, LARGE // 2, LARGE - CHANGED])
def test_a_large_file_of_which_a_hundredth_changed_has_another(tmp_path: Path, at: int):
    content = bytearray(LARGE)
    (tmp_path / "a").write_bytes(content)
    before = digest_of(tmp_path)
    content[at : at + CHANGED] = b"x" * CHANGED
    (tmp_path / "a").write_bytes(content)
    assert digest_of(tmp_path) != before


def test_names_sizes_and_order_count(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "b").write_bytes(b"3")
    found = {digest_of(tmp_path)}
    (tmp_path / "b").rename(tmp_path / "c")
    found.add(digest_of(tmp_path))
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "c").write_bytes(b"23")
    found |= {digest_of(tmp_path), digest_of(tmp_path / "a", tmp_path / "c")}
    assert len(found) == 4


def test_an_empty_folder_and_none_are_alike(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert digest_of(tmp_path / "empty") == digest_of(tmp_path / "missing")
