"""Learned conditioning methods: real classes with tiny random weights, through the service's own loading."""

import logging
import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.api.server import serving
from tests.diffusion.conftest import gpu_settings
from tests.diffusion.tiny_detectors import (
    write_depth_anything,
    write_dpt,
    write_hybrid_dpt,
    write_sam,
)
from tests.fakes import fake_app
from writing_service.conditioning.fan_out import build_fan_out
from writing_service.config import CacheSettings, DetectorSettings, load_settings
from writing_service.diffusion.detection.detectors import (
    CHECKED_FOR_SECONDS,
    FAILURE_TOLD_FOR_SECONDS,
    LearnedDetector,
    learned_methods,
)
from writing_service.diffusion.detection.networks import (
    MIDDLE_GREY,
    MOST_PARTS,
    Reader,
    grey_levels,
    part_classes,
    thickest_points,
)
from writing_service.diffusion.detection.sources import HED_FILE, DetectorSource, detector_sources
from writing_service.diffusion.gpu import GPUManager
from writing_service.doctor import examine
from writing_service.errors import GenerationFailed, MethodUnavailable, ModelsUnavailable
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.types import Box, ConditioningKind, RenderedWord, Scene, Size

HED, DEPTH, SAM = "hed_edge_detection", "ai_depth_estimation", "ai_segmentation"
PALETTE = ((9, 9, 9), (255, 0, 0), (0, 255, 0), (0, 0, 255))
NO_CACHE = CacheSettings(huggingface=None, torch=None)
URL = "/api/writing/generate-writing-image"


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dpt/, hybrid/, anything/, metric/ and sam/."""
    folder = tmp_path_factory.mktemp("detectors")
    write_dpt(folder / "dpt")
    write_hybrid_dpt(folder / "hybrid")
    write_depth_anything(folder / "anything")
    write_depth_anything(folder / "metric", depth_estimation_type="metric", max_depth=20)
    write_sam(folder / "sam")
    return folder


@pytest.fixture(scope="module")
def glyph() -> RenderedWord:
    """Neither square nor a multiple of anything."""
    renderer = WordRenderer(FontLibrary())
    return renderer.render("学习", "auto", Size(201, 123), Box(8, 8, 185, 107))


def detectors(cache: Path | str | None = None, clock: Any = None, dtype="float32", **sources: Any):
    """By name. Those that no source is given for are switched off."""
    settings = DetectorSettings(**dict.fromkeys((HED, DEPTH, SAM)) | sources)
    made = learned_methods(
        settings,
        CacheSettings(huggingface=cache and str(cache), torch=None),
        GPUManager(gpu_settings(dtype=dtype)),
        PALETTE,
        **({"clock": clock} if clock else {}),
    )
    return {one.name: one for one in made}


def depth_of(folder: Path, **arguments: Any) -> LearnedDetector:
    return detectors(ai_depth_estimation=str(folder), **arguments)[DEPTH]


def parts_of(folder: Path, **arguments: Any) -> LearnedDetector:
    return detectors(ai_segmentation=str(folder), **arguments)[SAM]


def blank() -> RenderedWord:
    return RenderedWord("", "", "", np.zeros((70, 90), np.uint8))


# What the networks draw


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("dpt", "bfloat16"), ("hybrid", "float32"), ("anything", "bfloat16"), ("metric", "float32")],
)
def test_depth_is_a_grey_picture_of_the_whole_range(
    networks: Path, glyph: RenderedWord, name: str, dtype: str
) -> None:
    before = glyph.mask.copy()
    first, again = (depth_of(networks / name, dtype=dtype).draw(glyph) for _ in range(2))

    assert (first.mode, first.size) == ("L", (201, 123))
    assert first.getextrema() == (0, 255)
    assert np.asarray(first).std() > 5
    assert first.tobytes() == again.tobytes()
    assert (glyph.mask == before).all()


def test_near_is_white_for_networks_that_tell_metres_too(
    networks: Path, glyph: RenderedWord
) -> None:
    """The same weights: what the one calls nearness, the other calls distance."""
    near, far = (
        np.asarray(depth_of(networks / name).draw(glyph), float).ravel()
        for name in ("anything", "metric")
    )
    assert np.corrcoef(near, far)[0, 1] < -0.5


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_segmentation_paints_the_ink_in_the_palette(
    networks: Path, glyph: RenderedWord, dtype: str
) -> None:
    before = glyph.mask.copy()
    first, again = (parts_of(networks / "sam", dtype=dtype).draw(glyph) for _ in range(2))

    assert (first.mode, first.size) == ("RGB", (201, 123))
    background = (np.asarray(first) == PALETTE[0]).all(-1)
    assert (background == (glyph.mask <= 127)).all()
    assert {colour for _, colour in first.getcolors()} <= set(PALETTE)
    assert first.tobytes() == again.tobytes()
    assert (glyph.mask == before).all()


def test_a_word_without_ink_is_all_background(networks: Path) -> None:
    assert parts_of(networks / "sam").draw(blank()).getcolors() == [(90 * 70, PALETTE[0])]
    assert depth_of(networks / "dpt").draw(blank()).size == (90, 70)


@pytest.mark.filterwarnings(
    "default"
)  # controlnet-aux imports all its detectors, and they their past
def test_hed_draws_lines(tmp_path: Path, glyph: RenderedWord) -> None:
    hed = pytest.importorskip("controlnet_aux.hed")
    torch.manual_seed(1)
    torch.save(hed.ControlNetHED_Apache2().state_dict(), tmp_path / HED_FILE)

    drawn = [detectors(hed_edge_detection=str(tmp_path))[HED].draw(glyph) for _ in range(2)]

    assert (drawn[0].mode, drawn[0].size) == ("L", (201, 123))
    assert np.asarray(drawn[0]).std() > 0
    assert drawn[0].tobytes() == drawn[1].tobytes()


# The pure steps


def test_grey_levels_fill_the_range_and_a_flat_map_is_middle_grey() -> None:
    assert grey_levels(np.float32([[-3, 0, 1]])).tolist() == [[0, 191, 255]]
    for level in (0, 7, -1e6):
        flat = np.full((2, 3), level, np.float32) * np.float32(1 + 1e-6)
        assert (grey_levels(flat) == MIDDLE_GREY).all()
    flat[0, 0] *= 1 + 1e-6
    assert (grey_levels(flat) == MIDDLE_GREY).all()


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_numbers_that_overflowed_are_told(wrong: float) -> None:
    with pytest.raises(GenerationFailed, match="dtype=float32"):
        grey_levels(np.float32([[0, 1, wrong]]))


def test_points_lie_where_each_part_is_thickest_and_the_largest_come_first() -> None:
    solid = np.zeros((40, 60), np.uint8)
    solid[5:12, 3:10] = 1
    solid[20:35, 20:35] = 1
    solid[27, 35:58] = 1
    assert thickest_points(solid) == [(27, 27), (6, 8)]

    many = np.zeros((20, 200), np.uint8)
    many[4:8, ::8] = 1
    assert len(thickest_points(many)) == MOST_PARTS
    assert thickest_points(np.zeros((3, 3), np.uint8)) == []
    assert len(thickest_points(np.ones((3, 3), np.uint8))) == 1


def test_the_smallest_claim_wins_and_unclaimed_ink_is_of_the_first_class() -> None:
    solid = np.uint8([[1, 1, 1, 1, 0]])
    claims = np.array([[[1, 0, 0, 0, 0]], [[1, 1, 1, 0, 1]], [[0, 0, 1, 0, 0]]], bool)
    assert part_classes(solid, claims, 2).tolist() == [[1, 2, 1, 1, 0]]
    assert part_classes(solid, claims, 3).tolist() == [[1, 2, 3, 1, 0]]
    assert solid.tolist() == [[1, 1, 1, 1, 0]]


# What is at hand


def test_a_method_may_be_switched_off() -> None:
    for name, method in detectors().items():
        assert method.missing() == f"is switched off (ai_generation.detectors.{name} is null)"
        assert method.model == ""


def cached(cache: Path, identifier: str, files: Path | None) -> None:
    """As the hub's library lays a repository down."""
    repository = cache / f"models--{identifier.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text("abc")
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True, exist_ok=True)
    if files:
        shutil.copytree(files, snapshot, dirs_exist_ok=True)


def test_weights_that_are_not_in_the_cache_are_named_with_the_way_to_get_them(
    tmp_path: Path, networks: Path, glyph: RenderedWord
) -> None:
    now = [0.0]
    identifier = "Intel/dpt-hybrid-midas"
    method = detectors(tmp_path, lambda: now[0], ai_depth_estimation=identifier)[DEPTH]

    assert method.missing() == (
        "needs the weights of Intel/dpt-hybrid-midas: run 'hf download Intel/dpt-hybrid-midas "
        f"--cache-dir {tmp_path}' or set ai_generation.detectors.ai_depth_estimation to a folder "
        "that holds them"
    )
    with pytest.raises(ModelsUnavailable, match="hf download"):
        method.draw(glyph)

    cached(tmp_path, identifier, None)
    now[0] += CHECKED_FOR_SECONDS
    assert "(in the cache: there is no " in (method.missing() or "")

    # What arrives later is noticed without a new start.
    cached(tmp_path, identifier, networks / "hybrid")
    assert method.missing() is not None
    now[0] += CHECKED_FOR_SECONDS
    assert method.missing() is None
    assert method.model == identifier
    assert method.draw(glyph).size == (201, 123)


def test_an_id_that_no_hub_could_have_is_not_in_the_cache_either(tmp_path: Path) -> None:
    method = detectors(tmp_path, ai_segmentation="some/one..else")[SAM]
    assert (method.missing() or "").startswith("needs the weights of some/one..else: ")


def test_one_file_of_a_large_collection_is_enough_for_hed(tmp_path: Path) -> None:
    source = edges("lllyasviel/Annotators")
    assert f"'hf download lllyasviel/Annotators {HED_FILE}'" in (source.missing() or "")
    (tmp_path / HED_FILE).touch()
    assert edges(str(tmp_path)).missing() is None
    assert HED_FILE in (edges(str(tmp_path / "..")).missing() or "")


def edges(place: str) -> DetectorSource:
    """As if its packages were there."""
    settings = DetectorSettings(
        hed_edge_detection=place, ai_depth_estimation=None, ai_segmentation=None
    )
    return replace(detector_sources(settings, NO_CACHE, EmptyHub())[0], packages=())


class EmptyHub:
    """Nothing was ever fetched."""

    def cached(self, model: object) -> None:
        return None

    def fetch(self, model: object) -> Path:
        raise AssertionError("nothing is fetched during a request")

    def obstacle(self, model: object) -> None:
        return None


def test_absent_packages_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    (tmp_path / HED_FILE).touch()
    absent = replace(edges(str(tmp_path)), packages=("torch", "no_such_package"))
    assert absent.missing() == "needs the gpu extra: pip install 'writing-service[gpu]'"


def break_nothing_there(folder: Path) -> None:
    shutil.rmtree(folder)


def break_preprocessor(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()


def break_family(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"dpt"', '"bert"'))


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def break_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"12345")


def break_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (break_nothing_there, "there is no folder"),
        (break_preprocessor, "there is no .*preprocessor_config.json"),
        (break_family, "holds a model of the family 'bert', not dpt or depth_anything"),
        (break_config, "is no valid JSON"),
        (break_weights, "damaged or cut short"),
        (break_no_weights, "no safetensors weights"),
    ],
)
def test_a_folder_that_does_not_hold_the_network_is_told_why(
    networks: Path, tmp_path: Path, harm: Callable[[Path], None], told: str
) -> None:
    own = Path(shutil.copytree(networks / "dpt", tmp_path / "own"))
    harm(own)
    missing = depth_of(own).missing() or ""
    assert missing.startswith("cannot be used: ")
    assert missing.endswith(f"(ai_generation.detectors.{DEPTH} names it)")
    with pytest.raises(MethodUnavailable, match=told):
        build_fan_out(learned=[depth_of(own)]).choose_methods(
            {ConditioningKind.DEPTH: DEPTH}, {}, seed=1
        )


def test_weights_in_the_old_format_are_read(
    networks: Path, tmp_path: Path, glyph: RenderedWord
) -> None:
    from safetensors.torch import load_file

    own = Path(shutil.copytree(networks / "dpt", tmp_path / "own"))
    torch.save(load_file(own / "model.safetensors"), own / "pytorch_model.bin")
    (own / "model.safetensors").unlink()
    assert depth_of(own).missing() is None
    assert depth_of(own).draw(glyph).tobytes() == depth_of(networks / "dpt").draw(glyph).tobytes()


# When they are loaded


def test_many_first_words_load_once(
    networks: Path, glyph: RenderedWord, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "writing_service")
    method = depth_of(networks / "dpt")
    with ThreadPoolExecutor(8) as pool:
        drawn = set(pool.map(lambda _: method.draw(glyph).tobytes(), range(8)))
    assert len(drawn) == 1
    assert caplog.text.count(f"Loading {DEPTH}") == 1


def test_loaded_networks_need_their_files_no_more_until_they_are_let_go(
    networks: Path, tmp_path: Path, glyph: RenderedWord
) -> None:
    own = Path(shutil.copytree(networks / "dpt", tmp_path / "own"))
    method = depth_of(own)
    method.draw(glyph)
    shutil.rmtree(own)
    assert method.missing() is None
    method.draw(glyph)
    method.close()
    assert "there is no folder" in (method.missing() or "")


def test_loading_leaves_torch_as_it_was(networks: Path, glyph: RenderedWord) -> None:
    """Somebody else's picture may be drawn meanwhile."""
    depth_of(networks / "dpt", dtype="bfloat16").draw(glyph)
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_a_failed_load_is_one_sentence_told_for_a_while_and_tried_again(
    networks: Path, tmp_path: Path, glyph: RenderedWord
) -> None:
    own = Path(shutil.copytree(networks / "dpt", tmp_path / "own"))
    config = (own / "config.json").read_text()
    (own / "config.json").write_text(config.replace('"hidden_size": 16', '"hidden_size": 32'))
    now = [0.0]
    method = depth_of(own, clock=lambda: now[0])
    assert method.missing() is None

    with pytest.raises(ModelsUnavailable, match="files do not fit together") as failed:
        method.draw(glyph)
    assert str(failed.value).startswith(f"The depth method '{DEPTH}' cannot be loaded from {own}:")
    assert "\n" not in str(failed.value)
    assert "do not fit together" in (method.missing() or "")

    (own / "config.json").write_text(config)
    now[0] += FAILURE_TOLD_FOR_SECONDS
    assert method.missing() is None
    assert method.draw(glyph).size == (201, 123)


def test_weights_of_another_network_are_not_drawn_with(
    networks: Path, tmp_path: Path, glyph: RenderedWord
) -> None:
    """transformers would fill what is absent with random numbers."""
    own = Path(shutil.copytree(networks / "dpt", tmp_path / "own"))
    shutil.copy(networks / "anything" / "model.safetensors", own)
    with pytest.raises(ModelsUnavailable, match="files do not fit together"):
        depth_of(own).draw(glyph)


@pytest.mark.skipif(find_spec("controlnet_aux") is not None, reason="controlnet-aux is installed")
def test_packages_that_do_not_work_are_told_until_the_next_start(
    tmp_path: Path, glyph: RenderedWord
) -> None:
    from writing_service.diffusion.detection.networks import load_edges

    (tmp_path / HED_FILE).touch()
    now = [0.0]
    method = LearnedDetector(
        edges(str(tmp_path)), load_edges, GPUManager(gpu_settings()), lambda: now[0]
    )
    with pytest.raises(ModelsUnavailable, match=r"packages do not work .*\[gpu\]"):
        method.draw(glyph)
    now[0] += 1e9
    assert "controlnet_aux" in (method.missing() or "")


def failing(errors: list[Exception]) -> Callable[..., Reader]:
    """A network that fails so often."""

    def draw(glyph: RenderedWord) -> Image.Image:
        if errors:
            raise errors.pop()
        return glyph.image

    return lambda *_: Reader(draw)


@pytest.mark.parametrize(
    ("error", "told"),
    [(ValueError("shapes"), r"\(ValueError\)"), (torch.OutOfMemoryError(), "GPU's memory")],
)
def test_a_failure_on_a_word_is_one_sentence_and_the_next_word_works(
    tmp_path: Path, glyph: RenderedWord, error: Exception, told: str
) -> None:
    method = LearnedDetector(edges(str(tmp_path)), failing([error]), GPUManager(gpu_settings()))
    with pytest.raises(GenerationFailed, match=f"canny method '{HED}'.*{told}"):
        method.draw(glyph)
    assert method.draw(glyph).size == (201, 123)


# Among the other methods


def test_chance_never_chooses_what_cannot_be_used(networks: Path) -> None:
    learned = [parts_of(Path("/no/such/folder")), depth_of(networks / "dpt")]
    fan_out = build_fan_out(learned=learned)
    chosen = [fan_out.choose_methods({}, {}, seed) for seed in range(300)]
    names = {name for methods in chosen for name in methods.values()}
    # It can be used, but on a CPU it takes seconds.
    assert not {DEPTH, SAM} & names
    assert set(fan_out.missing_methods()) == {SAM}
    assert DEPTH in fan_out.methods()[ConditioningKind.DEPTH]


async def test_control_images_tell_their_network(networks: Path, glyph: RenderedWord) -> None:
    fan_out = build_fan_out(learned=[parts_of(networks / "sam"), depth_of(networks / "anything")])
    wanted = {ConditioningKind.DEPTH: DEPTH, ConditioningKind.SEGMENTATION: SAM}
    images = await fan_out.generate(Scene(glyph, "centred"), wanted, seed=1)
    for kind, folder in zip(wanted, ("anything", "sam"), strict=True):
        assert images[kind].model == str(networks / folder)
        assert (images[kind].image.mode, images[kind].image.size) == ("RGB", (201, 123))


def test_a_request_asks_for_a_learned_method_by_name(networks: Path, tmp_path: Path) -> None:
    app = fake_app(
        None,
        f"ai_generation.detectors.{DEPTH}={networks / 'dpt'}",
        f"ai_generation.cache.huggingface={tmp_path}",
    )
    ask = {"word": "学习", "translation": "study", "width": 128, "height": 112}
    with serving(app) as client:
        good = client.post(URL, json={**ask, "conditioning_methods": {"depth": DEPTH}})
        bad = client.post(URL, json={**ask, "conditioning_methods": {"segmentation": SAM}})

    told = good.json()["generation_metadata"]
    assert good.status_code == 200
    assert told["conditioning_methods_used"]["depth"] == [DEPTH]
    assert told["detector_models_used"] == {"depth": str(networks / "dpt")}
    assert bad.status_code == 422
    assert f"The segmentation method '{SAM}' needs the weights of facebook/sam-vit-base" in bad.text
    assert "hf download facebook/sam-vit-base" in bad.text


def test_the_doctor_lists_what_learned_methods_need_and_does_not_fail_for_them(
    networks: Path, tmp_path: Path
) -> None:
    settings = load_settings(
        [
            f"ai_generation.detectors.{DEPTH}={networks / 'dpt'}",
            f"ai_generation.detectors.{HED}=null",
            f"ai_generation.cache.huggingface={tmp_path}",
        ]
    )
    found = {one.what: one for one in examine(settings)}
    assert (found[DEPTH].verdict, found[SAM].verdict, found[HED].verdict) == (
        "ok",
        "absent",
        "absent",
    )
    assert "hf download facebook/sam-vit-base" in found[SAM].detail
    assert "switched off" in found[HED].detail
    assert not any(found[name].failed for name in (HED, DEPTH, SAM))
