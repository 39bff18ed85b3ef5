"""Ids of the Hugging Face hub, without the hub."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import from_regex, text

from writing_service.diffusion.checkpoints.hub import (
    HubModel,
    HuggingFaceHub,
    choose_files,
    model_at,
)
from writing_service.diffusion.checkpoints.weights import FOLDERS

SDXL = [
    "model_index.json",
    "README.md",
    "sd_xl_base_1.0.safetensors",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder/flax_model.msgpack",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.safetensors",
]


def test_base_model_takes_one_set_of_weights() -> None:
    files = choose_files(SDXL, HubModel("a/b", variant="fp16", folders=FOLDERS))

    weights = [file for file in files if file.endswith(".safetensors")]
    assert weights == [
        "text_encoder/model.fp16.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert {"model_index.json", "tokenizer/merges.txt", "scheduler/scheduler_config.json"} <= {
        *files
    }
    assert not [file for file in files if file.endswith((".bin", ".msgpack", ".md"))]


def test_network_takes_its_own_name_or_its_shards() -> None:
    union = ["config.json", "diffusion_pytorch_model.safetensors"]
    other = ["diffusion_pytorch_model_promax.safetensors", "config_promax.txt2"]
    shards = [f"diffusion_pytorch_model-0000{one}-of-00002.safetensors" for one in (1, 2)]
    index = "diffusion_pytorch_model.safetensors.index.json"

    assert choose_files(union + other, HubModel("a/b", variant="fp16")) == union
    assert choose_files([index, *shards], HubModel("a/b")) == [index, *shards]


@pytest.mark.parametrize(
    ("source", "model"),
    [
        ("some/model", HubModel("some/model", "v0", "fp16")),
        ("some/model@v1", HubModel("some/model", "v1", "fp16")),
        ("some/model@refs/pr/7", HubModel("some/model", "refs/pr/7", "fp16")),
        ("some/model/a.safetensors", HubModel("some/model", "v0", None, (), "a.safetensors")),
        ("some/model@v1/b/a.ckpt", HubModel("some/model", "v1", None, (), "b/a.ckpt")),
        ("some/model-1.5_x", HubModel("some/model-1.5_x", "v0", "fp16")),
        ("./some/model", Path("some/model")),
        ("/some/model.safetensors", Path("/some/model.safetensors")),
        ("~/model", Path.home() / "model"),
        ("model", Path("model")),
        ("a/b/c", Path("a/b/c")),
    ],
)
def test_sources_are_ids_revisions_files_or_folders(source: str, model: HubModel | Path) -> None:
    assert model_at(source, "v0", "fp16") == model


@given(text(max_size=30) | from_regex(r"~?\w*/[\w.@/-]*", fullmatch=True))
def test_any_source_leads_somewhere(source: str) -> None:
    found = model_at(source)
    assert isinstance(found, Path) or found.id.count("/") == 1


def test_a_folder_that_exists_goes_before_an_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert model_at("some/model") == Path("some/model")


def test_only_one_file_is_taken_where_it_is_named() -> None:
    files = ["config.json", "a.safetensors", "b.safetensors", "unet/model.safetensors"]
    assert choose_files(files, HubModel("a/b", folders=(), file="b.safetensors")) == [
        "config.json",
        "b.safetensors",
    ]


def test_configurations_are_taken_without_weights() -> None:
    files = choose_files(SDXL, HubModel("a/b", folders=FOLDERS, weights=False))
    assert "unet/config.json" in files
    assert not [file for file in files if file.endswith(".safetensors")]


def test_cache_is_looked_up_without_the_network(tmp_path: Path) -> None:
    repository = tmp_path / "models--some--one"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    hub = HuggingFaceHub(str(tmp_path))

    assert hub.cached(HubModel("some/one")) == repository / "snapshots" / "abc"
    assert hub.cached(HubModel("some/other")) is None


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "is not whole in the cache and HF_HUB_OFFLINE forbids"),
        # A port that nobody listens on: what a machine without a network sees.
        ({"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}, "hub is not reachable"),
    ],
)
def test_unreachable_hub_is_one_sentence(environment: dict[str, str], told: str) -> None:
    program = (
        "from writing_service.diffusion.checkpoints.hub import HubModel, HuggingFaceHub\n"
        "from writing_service.errors import ModelsUnavailable\n"
        "try: HuggingFaceHub().fetch(HubModel('some/model'))\n"
        "except ModelsUnavailable as error: print(error)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout.startswith("Model 'some/model'")
    assert told in done.stdout
    assert done.stderr == ""
