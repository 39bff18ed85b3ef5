"""The doctor: what is here, what is missing, what to type next."""

import shutil
from pathlib import Path

import pytest

from writing_service.config import load_settings
from writing_service.diffusion.checkpoints.capacity import Machine
from writing_service.diffusion.checkpoints.parts import EMBEDDED
from writing_service.doctor import Finding, advice, examine

GIB = 2**30
ROOMY = Machine(lambda _: 500 * GIB, lambda: 500 * GIB)


def findings(*overrides: str, machine: Machine = ROOMY) -> dict[str, Finding]:
    """By what was looked at."""
    settings = load_settings(["ai_generation.gpu.device=cpu", *overrides])
    return {one.what: one for one in examine(settings, machine)}


@pytest.fixture
def cache(tmp_path: Path) -> str:
    """An empty one, as a setting."""
    return f"ai_generation.cache.huggingface={tmp_path / 'cache'}"


def test_the_shipped_checkpoint_is_whole_and_the_next_step_is_to_serve() -> None:
    found = findings()

    assert not [one for one in found.values() if one.failed]
    assert "heads checked" in found["base model"].detail
    assert "million of weights" in found["base model"].detail
    assert "nothing to fetch" in found["disk"].detail
    assert "weights take" in found["memory"].detail
    assert advice([*found.values()], ["api.port=1"]) == ["writing-service serve api.port=1"]


@pytest.mark.parametrize(("machine", "what"), [("cpu", "CPU, "), ("cpu", "computes in ")])
def test_the_device_says_what_it_can_do(machine: str, what: str) -> None:
    assert what in findings(f"ai_generation.gpu.device={machine}")["device"].detail


def test_models_to_be_fetched_are_counted_against_the_disk(cache: str) -> None:
    found = findings("pipeline=sdxl_fast", cache)
    assert "to be fetched at first use, about 6.4 GiB" in found["base model"].detail
    assert "to be fetched" in found["LoRA sdxl_lightning_8step_lora"].detail
    assert found["disk"].good
    assert found["disk"].detail.startswith("9.4 GiB to fetch")

    small = Machine(lambda _: 4 * GIB, lambda: 500 * GIB)
    found = findings("pipeline=sdxl_fast", cache, machine=small)
    assert found["disk"].failed
    assert "need 9.4 GiB" in found["disk"].detail
    assert advice([*found.values()], []) == ["export HF_HOME=/a/larger/disk"]


def test_models_of_unknown_size_are_named(cache: str) -> None:
    segmentation = "ai_generation.models.controlnet_models.segmentation=who/knows"
    assert (
        "and who/knows, of unknown size"
        in findings("pipeline=sdxl", segmentation, cache)["disk"].detail
    )


@pytest.mark.parametrize(
    ("pipeline", "next_one"), [("sdxl", "sdxl_union"), ("sdxl_union", "embedded")]
)
def test_too_little_memory_names_a_smaller_pipeline(
    cache: str, pipeline: str, next_one: str
) -> None:
    small = Machine(lambda _: 500 * GIB, lambda: GIB)
    found = findings(f"pipeline={pipeline}", cache, machine=small)

    assert found["memory"].failed
    assert "of main memory and 1.0 GiB are free" in found["memory"].detail
    assert advice([*found.values()], []) == [f"writing-service doctor pipeline={next_one}"]


def test_damaged_weights_are_found_and_the_way_on_is_told(tmp_path: Path) -> None:
    own = Path(shutil.copytree(EMBEDDED, tmp_path / "own"))
    weights = own / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    found = findings(f"ai_generation.models.base_model={own}")

    assert found["base model"].failed
    assert "is damaged or cut short" in found["base model"].detail
    assert advice([*found.values()], [])[0].startswith("writing-service serve pipeline=embedded")


def test_a_gpu_that_is_asked_for_in_vain_is_told() -> None:
    found = findings("ai_generation.gpu.device=cuda:63")

    assert found["device"].failed
    assert "writing-service doctor ai_generation.gpu.device=auto" in advice([*found.values()], [])
