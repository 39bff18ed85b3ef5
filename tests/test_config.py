"""Settings: what composes, what is refused, and in which words."""

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from writing_service.config import Settings, config_folder, load_settings
from writing_service.errors import ConfigurationError
from writing_service.types import ConditioningKind


def read(loaded: Settings, key: str) -> object:
    value: object = loaded
    for name in key.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def refusal(*overrides: str, folder: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(overrides, folder)
    return str(caught.value)


def test_the_default_is_the_embedded_pipeline_on_the_documented_port():
    loaded = load_settings()
    assert (loaded.api.host, loaded.api.port) == ("127.0.0.1", 8600)
    models = loaded.ai_generation.models
    assert models.base_model == "embedded"
    assert models.shared_controlnet
    assert models.controlnet_models == dict.fromkeys(ConditioningKind, "./controlnet")
    generation = loaded.ai_generation.generation
    assert (generation.width, generation.height) == (512, 512)
    assert loaded.ai_generation.composition.pictogram
    assert loaded.logging.level == "INFO"


def test_the_five_styles_are_data_with_steps_guidance_and_all_four_weights():
    styles = load_settings().ai_generation.styles
    assert set(styles) == {"comic", "watercolor", "realistic", "ink", "traditional"}
    for style in styles.values():
        assert set(style.controlnet_weights) == set(ConditioningKind)
    comic = styles["comic"]
    assert (comic.recommended_steps, comic.recommended_cfg) == (25, 8.0)


def test_a_pipeline_brings_its_models_size_and_composition():
    sdxl = load_settings(["pipeline=sdxl"]).ai_generation
    assert sdxl.models.base_model == "stabilityai/stable-diffusion-xl-base-1.0"
    assert sdxl.models.variant == "fp16"
    assert sdxl.models.vae == "madebyollin/sdxl-vae-fp16-fix"
    assert set(sdxl.models.controlnet_models) == set(ConditioningKind)
    assert (sdxl.generation.width, sdxl.generation.height) == (1024, 1024)
    assert sdxl.generation.num_inference_steps is None
    assert not sdxl.composition.pictogram


def test_the_fast_pipeline_has_a_lora_its_scheduler_and_few_steps_without_guidance():
    drawing = load_settings(["pipeline=sdxl_fast"]).ai_generation
    assert [lora.source for lora in drawing.models.loras] == ["ByteDance/SDXL-Lightning"]
    assert drawing.models.scheduler
    assert drawing.models.scheduler.options == {"timestep_spacing": "trailing"}
    assert drawing.generation.num_inference_steps == 8
    assert drawing.generation.guidance_scale == 0
    for preset in drawing.presets.values():
        assert (preset.guidance_scale, preset.guidance_until) in [(None, 1.0)]
        assert preset.cache_interval == 1


def test_loras_are_a_list_on_the_command_line_too():
    loras = "ai_generation.models.loras=[{source: /a/b.safetensors, scale: 0.7}, {source: c/d}]"
    found = load_settings([loras]).ai_generation.models.loras
    assert [(one.source, one.scale) for one in found] == [("/a/b.safetensors", 0.7), ("c/d", 1.0)]


def test_the_union_pipeline_names_one_network_for_all_kinds():
    models = load_settings(["pipeline=sdxl_union"]).ai_generation.models
    assert models.controlnet_union == "xinsir/controlnet-union-sdxl-1.0"
    assert models.controlnet_models == {}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("ai_generation.enabled=false", False),
        ("ai_generation.models.base_model=/models/my-sdxl", "/models/my-sdxl"),
        ("ai_generation.models.controlnet_models.canny=xinsir/c", "xinsir/c"),
        ("ai_generation.generation.num_inference_steps=30", 30),
        ("ai_generation.generation.guidance_scale=7.5", 7.5),
        ("ai_generation.generation.width=1024", 1024),
        ("ai_generation.generation.batch_size=1", 1),
        ("ai_generation.generation.deterministic=true", True),
        ("ai_generation.gpu.device=cuda", "cuda"),
        ("ai_generation.gpu.device=cuda:1", "cuda:1"),
        ("ai_generation.gpu.memory_efficient=true", True),
        ("ai_generation.gpu.enable_attention_slicing=true", True),
        ("ai_generation.gpu.enable_cpu_offload=true", True),
        ("ai_generation.gpu.enable_sequential_cpu_offload=true", True),
        ("ai_generation.gpu.enable_xformers=false", False),
        ("ai_generation.gpu.use_torch_compile=true", True),
        ("ai_generation.gpu.max_batch_size=4", 4),
        ("ai_generation.conditioning.methods.canny=opencv_canny", "opencv_canny"),
        ("ai_generation.conditioning.options.opencv_canny.low=30", 30),
        ("ai_generation.detectors.ai_segmentation=null", None),
        ("ai_generation.detectors.ai_depth_estimation=/srv/midas", "/srv/midas"),
        ("ai_generation.composition.pictogram=false", False),
        ("ai_generation.fonts.folder=/srv/fonts", "/srv/fonts"),
        ("ai_generation.cache.huggingface=/srv/hub", "/srv/hub"),
        ("ai_generation.warmup.at_start=true", True),
        ("ai_generation.memory_leaks.check_every=null", None),
        ("ai_generation.memory_leaks.settle=50", 50),
        ("ai_generation.memory_leaks.threshold_mb=200.5", 200.5),
        ("ai_generation.memory_leaks.slope_mb=0.5", 0.5),
        ("ai_generation.styles.comic.recommended_steps=12", 12),
        ("api.port=8700", 8700),
        ("logging.level=DEBUG", "DEBUG"),
        ("logging.level=debug", "DEBUG"),
        ("logging.loggers.ai_models.level=DEBUG", "DEBUG"),
        ("logging.loggers.generation.include_timing=false", False),
    ],
)
def test_every_documented_key_works_as_an_override(override: str, value: object):
    found = read(load_settings([override]), override.partition("=")[0])
    assert found == value
    assert type(found) is type(value)


def test_an_override_wins_over_the_pipeline_whatever_their_order():
    overrides = ["ai_generation.generation.width=768", "pipeline=sdxl"]
    assert load_settings(overrides).ai_generation.generation.width == 768
    assert load_settings(overrides[::-1]).ai_generation.generation.width == 768


def test_settings_are_frozen():
    loaded = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        loaded.api.port = 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("override", "key", "nearest"),
    [
        ("api.prot=1", "api.prot", "api.port"),
        ("apii.port=1", "apii.port", "api.port"),
        ("port=1", "port", "api.port"),
        ("pipelin=sdxl", "pipelin", "pipeline"),
        (
            "gpu.enable_cpu_offload=true",
            "gpu.enable_cpu_offload",
            "ai_generation.gpu.enable_cpu_offload",
        ),
        ("ai_generation.device=cpu", "ai_generation.device", "ai_generation.gpu.device"),
        (
            "ai_generation.conditioning.methods.cany=x",
            "ai_generation.conditioning.methods.cany",
            "ai_generation.conditioning.methods.canny",
        ),
        (
            "ai_generation.styles.comic.recomended_steps=3",
            "ai_generation.styles.comic.recomended_steps",
            "ai_generation.styles.comic.recommended_steps",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(override: str, key: str, nearest: str):
    assert refusal(override) == f"Unknown setting '{key}'; did you mean '{nearest}'?"


def test_an_unknown_key_like_no_other_lists_what_may_stand_there():
    assert refusal("tracing.zzz=1") == (
        "Unknown setting 'tracing.zzz'; known here: endpoint, sample, service_name."
    )
    assert "known here: pipeline, ai_generation, " in refusal("hydra.verbose=true")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("api.port=0", ["api.port", "greater than or equal to 1", "0"]),
        ("api.port=65536", ["api.port", "less than or equal to 65535", "65536"]),
        ("api.port=abc", ["api.port", "valid integer", "'abc'"]),
        ("api.port=8600.5", ["api.port", "valid integer"]),
        ("api.request_timeout_seconds=inf", ["api.request_timeout_seconds", "finite"]),
        ("ai_generation.generation.guidance_scale=nan", ["guidance_scale", "finite"]),
        ("ai_generation.generation.width=99", ["ai_generation.generation.width", "100"]),
        ("ai_generation.gpu.device=tpu", ["ai_generation.gpu.device", "auto, cpu, cuda", "'tpu'"]),
        ("ai_generation.gpu.device=cuda:", ["ai_generation.gpu.device"]),
        ("logging.level=LOUD", ["logging.level", "'DEBUG'", "'LOUD'"]),
        ("api=5", ["api", "5"]),
        ("api.host=${nowhere}", ["api.host", "nowhere"]),
        ("api.host=???", ["api.host"]),
        ("api.port=1,2", ["api.port", "one value"]),
        ("~api.port", ["api.port", "removed"]),
        ("api.port", ["api.port", "key=value"]),
        ("api.port=(", ["api.port=(", "key=value"]),
    ],
)
def test_a_wrong_value_is_one_sentence_with_its_full_key(override: str, words: list[str]):
    sentence = refusal(override)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("port", [1, 65535])
def test_the_port_s_bounds_are_allowed(port: int):
    assert load_settings([f"api.port={port}"]).api.port == port


def test_an_unknown_pipeline_lists_the_known_ones():
    assert refusal("pipeline=sd15") == (
        "Unknown pipeline 'sd15'; choose one of: embedded, sdxl, sdxl_fast, sdxl_union."
    )


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A copy of the configuration that a test may spoil."""
    return Path(shutil.copytree(config_folder(), tmp_path / "config"))


def test_a_folder_of_one_s_own_is_read(own_folder: Path):
    api = own_folder / "api.yaml"
    api.write_text(api.read_text().replace("8600", "8611"))
    assert load_settings(folder=own_folder).api.port == 8611


def test_an_unknown_key_in_a_file_is_named_like_one_on_the_command_line(own_folder: Path):
    with (own_folder / "ai_generation.yaml").open("a") as file:
        file.write("\ngpu.enable_cpu_offload: true\n")
    assert "gpu.enable_cpu_offload" in refusal(folder=own_folder)
    assert "'ai_generation.gpu.enable_cpu_offload'" in refusal(folder=own_folder)


def test_broken_yaml_is_named_by_file_and_line(own_folder: Path):
    (own_folder / "api.yaml").write_text("# @package _global_\napi: {port: [\n")
    sentence = refusal(folder=own_folder)
    assert re.search(r"not valid YAML.*api\.yaml.*line \d", sentence), sentence
    assert "\n" not in sentence


def test_a_missing_key_in_a_file_is_named(own_folder: Path):
    (own_folder / "api.yaml").write_text("# @package _global_\napi: {host: localhost}\n")
    assert refusal(folder=own_folder) == "Setting 'api.port' is missing."


def test_a_missing_folder_is_one_sentence(tmp_path: Path):
    sentence = refusal(folder=tmp_path / "nowhere")
    assert "nowhere" in sentence
    assert "\n" not in sentence


KEYS = st.sampled_from(["api.port", "api", "pipeline", "ai_generation.gpu.device", "logging.level"])


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.text(max_size=30), st.builds(lambda k, v: f"{k}={v}", KEYS, st.text(max_size=20)))
)
def test_any_text_as_an_override_gives_settings_or_a_configuration_error(override: str):
    outcome: Settings | ConfigurationError
    try:
        outcome = load_settings([override])
    except ConfigurationError as error:
        outcome = error
    assert isinstance(outcome, Settings) or str(outcome).strip()


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WRITING_SERVICE_WEBHOOK_SECRET", "whsec_abc")
    monkeypatch.setenv("WRITING_SERVICE_JOBS_URL", "postgresql://a:b@c/d")
    jobs = load_settings().jobs
    assert jobs.webhook_secret is not None
    assert jobs.webhook_secret.get_secret_value() == "whsec_abc"
    assert "whsec_abc" not in repr(jobs)
    assert jobs.url == "postgresql://a:b@c/d"
    monkeypatch.delenv("WRITING_SERVICE_JOBS_URL")
    assert load_settings().jobs.url == "sqlite:///state/jobs.sqlite3"
