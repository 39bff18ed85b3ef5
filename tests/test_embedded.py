"""The shipped checkpoint, through the real service: real pictures of any word on a CPU."""

import base64
import io
import json
from collections.abc import Iterator
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
from writing_service.diffusion.parts import EMBEDDED

JSON = "/api/writing/generate-writing-image"
BINARY = "/api/writing/generate-writing-image-binary"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(create_app(load_settings(["ai_generation.gpu.device=cpu"]))) as client:
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
    one, two, other = (draw(client, seed=seed, width=256, height=256) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one.astype(int) - other).mean() > 5


@pytest.mark.parametrize("size", [(100, 100), (333, 250), (256, 512)])
def test_the_answer_has_exactly_the_asked_size(client: httpx.Client, size: tuple[int, int]):
    assert draw(client, width=size[0], height=size[1]).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("style", ["comic", "watercolor", "realistic", "ink", "traditional"])
@pytest.mark.parametrize("word", ["学", "дом", "سلام"])
def test_the_word_stands_out_in_every_style(client: httpx.Client, style: str, word: str):
    """Strokes and the ring around them differ clearly in colour, and the strokes agree among themselves."""
    asked = {
        "word": word,
        "translation": "",
        "style": style,
        "width": 320,
        "height": 320,
        "seed": 2,
    }
    body = client.post(JSON, json={**asked, "include_conditioning_images": True}).json()
    picture = Image.open(io.BytesIO(base64.b64decode(body["generated_image_base64"])))
    plain = Image.open(io.BytesIO(base64.b64decode(body["base_image_base64"])))
    lab = cv2.cvtColor(np.asarray(picture, np.float32) / 255, cv2.COLOR_RGB2LAB)
    mask = (np.asarray(plain.convert("L")) < 128).astype(np.uint8)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    stroke = lab[inside > 3].mean(axis=0)
    # A style may line its strokes; what counts is what stands around that line.
    ring = lab[(outside > 2) & (outside < 7)].mean(axis=0)
    assert np.linalg.norm(stroke - ring) > 20


def test_the_styles_are_plainly_different(client: httpx.Client):
    """Mean colours apart, or colourfulness apart: nobody takes one style for another."""
    looks = {}
    for style in ("comic", "watercolor", "realistic", "ink", "traditional"):
        pictures = [
            draw(client, style=style, width=256, height=256, seed=seed) for seed in range(3)
        ]
        lab = np.stack(
            [cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for p in pictures]
        )
        chroma = np.linalg.norm(lab[..., 1:], axis=-1)
        looks[style] = np.array(
            [lab[..., 0].mean(), lab[..., 0].std(), chroma.mean(), chroma.std()]
        )
    styles = list(looks)
    for number, one in enumerate(styles):
        for other in styles[number + 1 :]:
            assert np.abs(looks[one] - looks[other]).max() > 6, (one, other)


def test_the_subjects_colours_are_followed(client: httpx.Client):
    """An apple is redder than a leaf is."""
    apple = draw(client, word="苹", translation="red apple", style="comic", seed=3)
    leaf = draw(client, word="苹", translation="leaf fluttering in wind", style="comic", seed=3)

    def redness(picture: NDArray[np.uint8]) -> float:
        return float((picture[..., 0].astype(int) - picture[..., 1]).mean())

    assert redness(apple) > redness(leaf) + 5


def test_weight_0_of_all_is_a_picture_without_the_word(client: httpx.Client):
    off = dict.fromkeys(("canny", "depth", "segmentation", "scribble"), 0)
    free = draw(client, conditioning_weights=off, width=256, height=256)
    bound = draw(client, width=256, height=256)
    assert np.abs(free.astype(int) - bound).mean() > 5


def test_a_missing_checkpoint_is_not_ready_and_503(tmp_path: Path):
    folder = tmp_path / "gone"
    settings = load_settings([f"ai_generation.models.base_model={folder}"])
    with serving(create_app(settings)) as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 503
        assert any(str(folder) in reason for reason in ready.json()["reasons"])
        answer = client.post(JSON, json={"word": "a"})
        assert answer.status_code == 503
        assert str(folder) in answer.json()["error"]


def test_a_checkpoint_cut_short_is_not_ready_and_names_the_file(tmp_path: Path):
    import shutil

    broken = Path(shutil.copytree(EMBEDDED, tmp_path / "checkpoint"))
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with serving(
        create_app(load_settings([f"ai_generation.models.base_model={broken}"]))
    ) as client:
        reasons = client.get("/health/ready").json()["reasons"]
        assert any("unet" in reason and "cut short" in reason for reason in reasons)
        assert client.post(JSON, json={"word": "a"}).status_code == 503
