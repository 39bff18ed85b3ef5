"""The plot of a training's log."""

import json
from pathlib import Path

import pytest
from PIL import Image

from training.evaluation import curves


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [{"stage": "vae", "step": 0, "minutes": 9.0, "psnr": 20.0}]
    lines += [
        {"stage": "diffusion", "step": n, "minutes": float(n), "missed": 2.0 * n}
        for n in range(2 * curves.SMOOTHED)
    ]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return file


def test_a_point_is_the_mean_of_some_reports_of_one_stage(log: Path):
    told = curves.curve(log, "diffusion", "missed")
    middle = (curves.SMOOTHED - 1) / 2
    assert list(told.minutes) == [middle, middle + curves.SMOOTHED]
    assert list(told.values) == [2 * middle, 2 * (middle + curves.SMOOTHED)]


def test_a_stage_that_is_not_there_is_refused(log: Path):
    with pytest.raises(ValueError, match="'text'"):
        curves.curve(log, "text", "loss")


def test_the_plot_is_a_picture(log: Path, tmp_path: Path):
    curves.plot(tmp_path / "curve.png", [log, log])
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.width > 400
