"""The small measures, the saved figures, the galleries, the command's settings."""

from concurrent.futures import Future
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from training.evaluation.__main__ import Options, digest, parse
from training.evaluation.cleanness import chroma, edge_energy, psnr
from training.evaluation.control import sans_styles
from training.evaluation.diversity import hellinger, lab_histogram, spread
from training.evaluation.formats import LENGTHS
from training.evaluation.gallery import MOST_BYTES, fitted, in_rows, save_sheet
from training.evaluation.held_out import HELD_OUT
from training.evaluation.legibility import Asked, Legibility, Tally, tally
from training.evaluation.results import load, save, share, table
from training.evaluation.style import of


def flat(*colour: int) -> np.ndarray:
    return np.full((64, 64, 3), colour, np.uint8)


def answer(read: bool) -> Future[bool]:
    future: Future[bool] = Future()
    future.set_result(read)
    return future


def test_only_words_that_are_read_plain_are_counted():
    asked = [
        Asked(HELD_OUT[0], "ink", answer(drawn), answer(art), answer(plain))
        for drawn, art, plain in [(1, 1, 1), (0, 1, 1), (1, 1, 0), (0, 0, 1)]
    ]
    assert tally(asked) == Tally(pictures=4, plain=3, drawn=1, art=2)


def test_figures_are_found_again_only_with_the_same_settings(tmp_path: Path):
    figures = Legibility(Tally(4, 3, 1, 2), {}, {}, 4, 0, 0)
    save(tmp_path / "a.json", figures, {"words": 1}, 2.0)
    content = load(tmp_path / "a.json", {"words": 1})
    assert content is not None
    assert content["figures"]["total"]["drawn"] == 1
    assert "0.333 (1 of 3)" in content["rows"][0]["drawn"]
    assert load(tmp_path / "a.json", {"words": 2}) is None
    assert load(tmp_path / "b.json", {"words": 1}) is None
    assert of(content["figures"], content["figures"]).right == 8
    assert table(list(figures.rows())).count("\n") == 3
    assert share(1, 0) == 0.0


def test_equal_pictures_do_not_differ_and_others_do():
    red, blue = flat(200, 30, 30), flat(30, 30, 200)
    assert spread([red, red]).colours == pytest.approx(0, abs=1e-3)
    assert spread([red, red]).shapes == pytest.approx(0, abs=1e-6)
    assert hellinger(lab_histogram(red), lab_histogram(blue)) == pytest.approx(1)
    stripes = red.copy()
    stripes[::4] = 255
    assert spread([red, stripes]).shapes > 0.1


def test_cleanness_tells_grey_from_colour_and_soft_from_sharp():
    assert chroma(flat(90, 90, 90)) < 1 < chroma(flat(255, 0, 0))
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    sharp = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB)
    soft = cv2.GaussianBlur(sharp, (0, 0), 2)
    assert edge_energy(sharp, mask) > 2 * edge_energy(soft, mask) > 0
    assert psnr(sharp, sharp) == pytest.approx(100)
    assert psnr(flat(0, 0, 0), flat(255, 255, 255)) == pytest.approx(0)


def test_a_gallery_is_small_whatever_it_shows(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    assert fitted(noise, 50).shape == (50, 50, 3)
    save_sheet(tmp_path / "docs" / "a.webp", in_rows([noise] * 90, 10), 100)
    assert (tmp_path / "docs" / "a.webp").stat().st_size < MOST_BYTES * 2
    with Image.open(tmp_path / "docs" / "a.webp") as image:
        assert image.size == (1000, 900)
    save_sheet(tmp_path / "b.webp", in_rows([flat(1, 2, 3)] * 5, 3), 64)
    assert (tmp_path / "b.webp").stat().st_size < MOST_BYTES


def test_lengths_run_from_one_to_twelve():
    assert [len(entry.word) for entry in LENGTHS] == list(range(1, 13))


def test_plain_styles_are_set_in_sans():
    assert "comic" in sans_styles()
    assert "ink" not in sans_styles()


def test_the_command_reads_its_settings_and_refuses_others():
    options = parse(["what=control", "words=7", "checkpoint=there", "again=true"])
    assert options == Options("control", Path("there"), words=7, again=True)
    assert options.parts == ["control"]
    with pytest.raises(SystemExit, match="legibility"):
        _ = parse(["what=taste"]).parts
    with pytest.raises(SystemExit, match="checkpoint"):
        parse(["speed=1"])


def test_a_checkpoint_is_known_by_its_weights(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        digest(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(b"1")
    before = digest(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(b"2")
    assert digest(tmp_path) != before
