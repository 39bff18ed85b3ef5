"""The shipped checkpoint, through the real service: real pictures of any word on a CPU."""

import base64
import io
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.api.server import serving
from writing_service.app import create_app
from writing_service.config import load_settings
from writing_service.diffusion.checkpoints.parts import EMBEDDED

JSON = "/api/writing/generate-writing-image"
BINARY = "/api/writing/generate-writing-image-binary"
QUICK = {"width": 256, "height": 256, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(
        create_app(load_settings(["ai_generation.gpu.device=cpu", "cache.enabled=false"]))
    ) as client:
        yield client


def draw(client: httpx.Client, **fields: object) -> NDArray[np.uint8]:
    answer = client.post(BINARY, json={"word": "学习", "translation": "study", "seed": 1, **fields})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def test_it_has_sdxls_layout_and_is_small():
    index = json.loads((EMBEDDED / "model_index.json").read_text("utf-8"))
    assert index["_class_name"] == "StableDiffusionXLPipeline"
    assert index["unet"][1] == "UNet2DConditionModel"
    assert index["text_encoder_2"][1] == "CLIPTextModelWithProjection"
    files = [file for file in EMBEDDED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 40 * 2**20
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".ckpt"}]


def test_the_readmes_request(client: httpx.Client):
    asked = {
        "word": "学习",
        "translation": "study",
        "language": "chinese",
        "style": "traditional",
        "width": 1024,
        "height": 1024,
        "include_conditioning_images": True,
        # The request takes its time from its size already.
        "num_inference_steps": 2,
    }
    body = client.post(JSON, json=asked).json()
    told = body["generation_metadata"]
    picture = Image.open(io.BytesIO(base64.b64decode(body["generated_image_base64"])))
    assert picture.size == (1024, 1024)
    assert told["model_used"] == "embedded"
    assert told["pictogram_used"]["name"] == "books"
    assert len(told["controlnet_models_used"]) == 4
    assert set(body["conditioning_images_base64"]) == {"canny", "depth", "segmentation", "scribble"}
    assert told["stage_times_ms"]["denoise"] > 0
    assert body["warnings"] == []


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(client: httpx.Client):
    one, two, other = (draw(client, seed=seed, **QUICK) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one.astype(int) - other).mean() > 5


@pytest.mark.parametrize("size", [(100, 100), (333, 250), (256, 512)])
def test_the_answer_has_exactly_the_asked_size(client: httpx.Client, size: tuple[int, int]):
    assert draw(client, width=size[0], height=size[1], num_inference_steps=1).shape == (
        size[1],
        size[0],
        3,
    )


STYLES = ("comic", "watercolor", "realistic", "ink", "traditional")
WORDS = ("学", "дом", "سلام")


@dataclass(frozen=True)
class Painted:
    """A word's picture, (320, 320, 3) in CIE Lab, and its ink, (320, 320): 1 in the strokes, else 0."""

    lab: NDArray[np.float32]
    ink: NDArray[np.uint8]


@pytest.fixture(scope="module")
def painted(client: httpx.Client) -> Mapping[tuple[str, str], Painted]:
    """Each word in each style."""
    return {(style, word): paint(client, style, word) for style in STYLES for word in WORDS}


def paint(client: httpx.Client, style: str, word: str) -> Painted:
    asked = {"word": word, "style": style, "width": 320, "height": 320, "seed": 2}
    body = client.post(JSON, json={**asked, "include_conditioning_images": True}).json()
    picture = Image.open(io.BytesIO(base64.b64decode(body["generated_image_base64"])))
    plain = Image.open(io.BytesIO(base64.b64decode(body["base_image_base64"])))
    return Painted(
        cv2.cvtColor(np.asarray(picture, np.float32) / 255, cv2.COLOR_RGB2LAB),
        (np.asarray(plain.convert("L")) < 128).astype(np.uint8),
    )


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("word", WORDS)
def test_the_word_stands_out_in_every_style(
    painted: Mapping[tuple[str, str], Painted], style: str, word: str
):
    """Strokes and the ring around them differ clearly in colour, and the strokes agree among themselves."""
    lab, ink = painted[style, word].lab, painted[style, word].ink
    inside = cv2.distanceTransform(ink, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - ink, cv2.DIST_L2, 5)
    stroke = lab[inside > 3].mean(axis=0)
    # A style may line its strokes; what counts is what stands around that line.
    ring = lab[(outside > 2) & (outside < 7)].mean(axis=0)
    assert np.linalg.norm(stroke - ring) > 20


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(STYLES, 2)))
def test_the_styles_are_plainly_different(
    painted: Mapping[tuple[str, str], Painted], one: str, other: str
):
    """Mean colours apart, or colourfulness apart: nobody takes one style for another."""

    def look(style: str) -> NDArray[np.float32]:
        lab = np.stack([painted[style, word].lab for word in WORDS])
        chroma = np.linalg.norm(lab[..., 1:], axis=-1)
        return np.array([lab[..., 0].mean(), lab[..., 0].std(), chroma.mean(), chroma.std()])

    assert np.abs(look(one) - look(other)).max() > 6


def test_the_subjects_colours_are_followed(client: httpx.Client):
    """An apple is redder than a leaf is."""
    apple = draw(client, word="苹", translation="red apple", style="comic", seed=3)
    leaf = draw(client, word="苹", translation="leaf fluttering in wind", style="comic", seed=3)

    def redness(picture: NDArray[np.uint8]) -> float:
        return float((picture[..., 0].astype(int) - picture[..., 1]).mean())

    assert redness(apple) > redness(leaf) + 5


def test_weight_0_of_all_is_a_picture_without_the_word(client: httpx.Client):
    off = dict.fromkeys(("canny", "depth", "segmentation", "scribble"), 0)
    free = draw(client, conditioning_weights=off, **QUICK)
    bound = draw(client, **QUICK)
    assert np.abs(free.astype(int) - bound).mean() > 5


def test_a_missing_checkpoint_is_not_ready_and_503(tmp_path: Path):
    folder = tmp_path / "gone"
    settings = load_settings([f"ai_generation.models.base_model={folder}", "cache.enabled=false"])
    with serving(create_app(settings)) as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 503
        assert any(str(folder) in reason for reason in ready.json()["reasons"])
        answer = client.post(JSON, json={"word": "a"})
        assert answer.status_code == 503
        assert str(folder) in answer.json()["error"]


def test_a_checkpoint_cut_short_is_not_ready_and_names_the_file(tmp_path: Path):
    broken = Path(shutil.copytree(EMBEDDED, tmp_path / "checkpoint"))
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with serving(
        create_app(load_settings([f"ai_generation.models.base_model={broken}"]))
    ) as client:
        reasons = client.get("/health/ready").json()["reasons"]
        assert any("unet" in reason and "cut short" in reason for reason in reasons)
        assert client.post(JSON, json={"word": "a"}).status_code == 503
