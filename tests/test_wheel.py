"""The built wheel is whole: settings, fonts, pictograms and checkpoint travel inside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the wheel's content."""
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(out),
        str(ROOT),
    ]
    subprocess.run(command, check=True)
    (wheel,) = out.glob("writing_service-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "content")
    return out / "content"


def test_package_data_is_inside(installed: Path):
    package = installed / "writing_service"
    for path in (
        "conf/config/default.yaml",
        "conf/config/pipeline/embedded.yaml",
        "embedded/checkpoint/unet/diffusion_pytorch_model.safetensors",
        "rendering/faces/LICENSE-Noto.txt",
        "scene/pack/pictograms.zip",
        "scene/pack/LICENSE.txt",
        "prompt/semantic_data/wordnet.npz",
        "prompt/semantic_data/metaphors.yaml",
        "prompt/semantic_data/radicals.yaml",
        "prompt/semantic_data/LICENSE-WordNet.txt",
    ):
        assert (package / path).is_file(), path
    assert not (installed / "tests").exists()
    assert not (installed / "training").exists()


def test_the_studio_is_inside_whole(installed: Path):
    static = Path("writing_service/studio/static")
    files = [one for one in (ROOT / static).rglob("*") if one.is_file()]
    assert files
    for one in files:
        inside = installed / static / one.relative_to(ROOT / static)
        assert inside.read_bytes() == one.read_bytes(), one


def test_it_draws_from_any_folder(installed: Path, tmp_path: Path):
    size = ["ai_generation.generation.width=128", "ai_generation.generation.height=128"]
    done = subprocess.run(
        [sys.executable, "-m", "writing_service", "generate", "学", "-t", "study", *size],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "writing.png").stat().st_size > 1000
