"""The README's first picture: each of its cells is what the command beside it draws."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.blocks import ROOT

CELL = 256
ROW, COLUMN = 2, 3
"""さくら, in ink."""
CLOSE = 8
"""Of 255, the mean: the picture in the docs is WebP, and may come from another processor."""


@pytest.mark.slow
def test_a_cell_of_the_gallery_is_what_its_command_draws(tmp_path: Path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.search(
        r"^writing-service generate さくら -t '(.+)' -s (\w+) --seed (\d+)", readme, re.M
    )
    assert told
    meaning, style, seed = told.groups()
    asked = ["generate", "さくら", "-t", meaning, "-s", style, "--seed", seed, "-o", "cell.png"]
    subprocess.run(
        [sys.executable, "-m", "writing_service", *asked, "logging.folder=null"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    with Image.open(tmp_path / "cell.png") as drawn:
        found = np.asarray(drawn.resize((CELL, CELL), Image.Resampling.LANCZOS), float)
    with Image.open(ROOT / "docs" / "pictures" / "styles.webp") as whole:
        left, top = COLUMN * CELL, ROW * CELL
        cell = whole.convert("RGB").crop((left, top, left + CELL, top + CELL))
    assert np.abs(found - np.asarray(cell, float)).mean() < CLOSE
