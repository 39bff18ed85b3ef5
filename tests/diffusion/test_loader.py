"""Loading: once, off the event loop, and with one sentence where it cannot work."""

import asyncio
import gc
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel

from tests.api.server import serving
from tests.diffusion.conftest import Loaders, gpu_settings, make_job, model_settings
from tests.diffusion.tiny_detectors import write_dpt
from tests.diffusion.tiny_models import KINDS, tiny_vae
from writing_service.app import assemble_generator, create_app
from writing_service.config import CacheSettings, DetectorSettings, load_settings
from writing_service.diffusion.cache import ModelCache
from writing_service.diffusion.checkpoints.capacity import Machine
from writing_service.diffusion.checkpoints.hub import HubModel
from writing_service.diffusion.checkpoints.known_models import INSTEAD_OF
from writing_service.diffusion.detection.detectors import learned_methods
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import FAILURE_TOLD_FOR_SECONDS, ModelLoader
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.errors import ConfigurationError, ModelsUnavailable
from writing_service.types import ConditioningKind, WritingRequest


class FolderHub:
    """A hub whose models lie in a folder, by the last part of their id."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path("/nowhere")
        self.reachable = folder is not None
        self.fetched = list[str]()

    def missing_bytes(self, model: HubModel) -> int:
        return 0

    def discard_damaged(self, model: HubModel) -> int:
        return 0

    def cached(self, model: HubModel) -> Path | None:
        return self.folder / model.id.rpartition("/")[2] if model.id in self.fetched else None

    def fetch(self, model: HubModel) -> Path:
        self.fetched.append(model.id)
        if not self.reachable:
            raise ModelsUnavailable(f"Model '{model.id}' of the hub cannot be fetched.")
        return self.folder / model.id.rpartition("/")[2]

    def obstacle(self, model: HubModel) -> str | None:
        return None if self.reachable else f"Model '{model.id}' is not in the cache"


async def test_many_first_calls_load_once(
    tiny: Path, make_loader: Loaders, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "writing_service")
    loader = make_loader(model_settings(tiny))

    pipelines = await asyncio.gather(*(loader.load() for _ in range(100)))

    assert len(set(map(id, pipelines))) == 1
    assert caplog.text.count("Loading base model 1/5") == 1
    assert caplog.text.count("Loading canny ControlNet 2/5") == 1
    assert caplog.text.count("Loading scribble ControlNet 5/5") == 1
    assert loader.status()["models_loaded"] is True
    assert loader.status()["loading"] is None
    assert set(loader.load_times_ms) == {"base model", *(f"{kind} ControlNet" for kind in KINDS)}
    assert min(loader.load_times_ms.values()) > 0


async def test_event_loop_runs_on_while_loading(tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(tiny))
    seen = set[str | None]()
    load = asyncio.create_task(loader.load())
    while not load.done():
        seen.add(loader.status()["loading"])
        await asyncio.sleep(0.001)

    assert any("ControlNet" in (part or "") for part in seen)


async def test_cancelled_first_caller_does_not_stop_the_others(
    tiny: Path, make_loader: Loaders
) -> None:
    loader = make_loader(model_settings(tiny))
    first, second = (asyncio.create_task(loader.load()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).model_used == str(tiny / "base")
    with pytest.raises(asyncio.CancelledError):
        await first


def test_loads_for_several_event_loops(tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(tiny))

    assert asyncio.run(loader.load()) is asyncio.run(loader.load())


async def test_failed_load_is_tried_again(own_tiny: Path, make_loader: Loaders) -> None:
    index = own_tiny / "base" / "model_index.json"
    index.rename(own_tiny / "aside")
    loader = make_loader(model_settings(own_tiny))
    with pytest.raises(ModelsUnavailable, match=r"there is no .*model_index\.json"):
        await loader.load()
    (own_tiny / "aside").rename(index)

    pipeline = await loader.load()

    assert (await pipeline.draw(make_job(num_inference_steps=1))).images


async def test_says_what_it_uses(
    pipeline: MultiControlNetPipeline,
    union_pipeline: MultiControlNetPipeline,
    tiny: Path,
    make_loader: Loaders,
) -> None:
    shared = model_settings(
        tiny, controlnet_models=dict.fromkeys(KINDS, "./canny"), shared_controlnet=True
    )
    loader = make_loader(shared)
    loaded = await loader.load()

    assert dict(loaded.controlnet_models_used) == dict.fromkeys(ConditioningKind, "./canny")
    assert len(loader.load_times_ms) == 2
    assert set(pipeline.controlnet_models_used) == set(ConditioningKind)
    assert set(union_pipeline.controlnet_models_used.values()) == {str(tiny / "union")}


async def test_separate_kinds_do_not_share_a_network(tiny: Path, make_loader: Loaders) -> None:
    networks = await make_loader(model_settings(tiny)).load_controlnet_models()

    assert len(set(map(id, networks.values()))) == 4


async def test_guide_methods_load_what_they_are_told(tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(tiny, base_model="nowhere", controlnet_models={}))

    base = await loader.load_stable_diffusion_xl(str(tiny / "base"))
    networks = await loader.load_controlnet_models({"depth": str(tiny / "base" / "depth")})
    pipeline = await loader.setup_multi_controlnet_pipeline(networks, base)
    drawn = await pipeline.draw(make_job(conditioning_scales={ConditioningKind.DEPTH: 1.0}))
    pipeline.close()

    assert drawn.images[0].image.size == (64, 48)


async def test_variant_is_taken_where_there_is_one(own_tiny: Path, make_loader: Loaders) -> None:
    network = ControlNetModel.from_pretrained(own_tiny / "base" / "canny")
    torch.nn.init.constant_(network.conv_in.bias, 0.25)
    network.save_pretrained(own_tiny / "base" / "canny", variant="fp16")

    settings = model_settings(own_tiny, variant="fp16")
    networks = await make_loader(settings).load_controlnet_models()

    assert (networks[ConditioningKind.CANNY].conv_in.bias == 0.25).all()
    assert not (networks[ConditioningKind.DEPTH].conv_in.bias == 0.25).all()


async def test_vae_that_overflows_in_half_precision_stays_whole(
    own_tiny: Path, make_loader: Loaders
) -> None:
    tiny_vae(force_upcast=True).save_pretrained(own_tiny / "upcast")
    tiny_vae(force_upcast=False).save_pretrained(own_tiny / "fine")

    formats = list[torch.dtype]()
    for name in ("upcast", "fine"):
        settings = model_settings(own_tiny, vae=str(own_tiny / name))
        loader = make_loader(settings, gpu_settings=gpu_settings(dtype="float16"))
        formats.append((await loader.load_stable_diffusion_xl()).vae.dtype)

    assert formats == [torch.float32, torch.float16]


def break_no_folder(own: Path) -> None:
    (own / "base").rename(own / "elsewhere")


def break_index(own: Path) -> None:
    (own / "base" / "model_index.json").write_text("{")


def break_no_index(own: Path) -> None:
    (own / "base" / "model_index.json").unlink()


def break_other_family(own: Path) -> None:
    index = own / "base" / "model_index.json"
    parts = json.loads(index.read_text())
    del parts["text_encoder_2"]
    index.write_text(json.dumps(parts))


def break_config(own: Path) -> None:
    (own / "base" / "unet" / "config.json").write_text("not json")


def break_no_weights(own: Path) -> None:
    (own / "base" / "vae" / "diffusion_pytorch_model.safetensors").unlink()


def break_pickle(own: Path) -> None:
    weights = own / "base" / "depth" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


def break_cut_short(own: Path) -> None:
    weights = own / "base" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def break_header(own: Path) -> None:
    weights = own / "base" / "text_encoder" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[8:12] = b"\0\0\0\0"
    weights.write_bytes(content)


def break_empty(own: Path) -> None:
    (own / "base" / "canny" / "diffusion_pytorch_model.safetensors").write_bytes(b"")


def break_no_tokenizer(own: Path) -> None:
    for path in (own / "base" / "tokenizer").iterdir():
        path.unlink()


def break_no_scheduler(own: Path) -> None:
    (own / "base" / "scheduler" / "scheduler_config.json").unlink()


def break_class(own: Path) -> None:
    config = own / "base" / "scribble" / "config.json"
    config.write_text(config.read_text().replace("ControlNetModel", "UNet2DConditionModel"))


BREAKAGES = {
    break_no_folder: "there is no folder",
    break_index: r"model_index\.json is no valid JSON",
    break_no_index: r"there is no .*model_index\.json",
    break_other_family: "names no text_encoder_2, so this is no SDXL model",
    break_config: r"unet/config\.json is no valid JSON",
    break_no_weights: "no safetensors weights in .*vae",
    break_pickle: "pickle file, which can run code",
    break_cut_short: "unet/.* is damaged or cut short",
    break_header: "text_encoder/.* is damaged or cut short",
    break_empty: "canny/.* is damaged or cut short",
    break_no_tokenizer: "there is no .*tokenizer",
    break_no_scheduler: r"there is no .*scheduler_config\.json",
    break_class: "holds a UNet2DConditionModel, which is no scribble ControlNet",
}


@pytest.mark.parametrize(("harm", "reason"), BREAKAGES.items())
async def test_broken_files_are_told_before_and_at_loading(
    own_tiny: Path, make_loader: Loaders, harm: Callable[[Path], None], reason: str
) -> None:
    harm(own_tiny)
    loader = make_loader(model_settings(own_tiny))

    found = loader.check()
    with pytest.raises(ModelsUnavailable, match=reason) as failed:
        await loader.load()

    assert re.search(reason, found[0])
    assert str(failed.value).count(". ") == 0
    assert loader.status()["models_loaded"] is False


async def test_union_and_single_networks_are_not_mistaken(tiny: Path, make_loader: Loaders) -> None:
    as_single = model_settings(tiny, controlnet_models={"canny": str(tiny / "union")})
    as_union = model_settings(
        tiny, controlnet_models={}, controlnet_union=str(tiny / "base" / "canny")
    )

    assert "no canny ControlNet" in make_loader(as_single).check()[0]
    assert "no union ControlNet" in make_loader(as_union).check()[0]


async def test_misfit_found_only_in_the_tensors_is_one_sentence(
    own_tiny: Path, make_loader: Loaders
) -> None:
    config = own_tiny / "base" / "unet" / "config.json"
    longer = config.read_text().replace('"layers_per_block": 1', '"layers_per_block": 2')
    config.write_text(longer)
    now = [0.0]
    loader = make_loader(model_settings(own_tiny), clock=lambda: now[0])
    assert loader.check() == []

    with pytest.raises(ModelsUnavailable, match=r"base model .* do not fit together"):
        await loader.load()

    # Not ready for a while, then hopeful again: else nobody would ever try.
    assert "do not fit together" in loader.check()[0]
    now[0] += FAILURE_TOLD_FOR_SECONDS
    assert loader.check() == []


def write_misfit(folder: Path) -> None:
    """It reads the same text as the base model, but looks at pictures of another scale."""
    ControlNetModel(
        in_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        cross_attention_dim=48,
        norm_num_groups=8,
        conditioning_embedding_out_channels=(4, 8, 16, 32),
    ).save_pretrained(folder)


async def test_controlnet_of_another_family_is_refused(
    own_tiny: Path, make_loader: Loaders
) -> None:
    write_misfit(own_tiny / "base" / "depth")

    with pytest.raises(ModelsUnavailable, match="depth ControlNet does not fit"):
        await make_loader(model_settings(own_tiny)).load()


def test_check_is_cheap_and_soon_sees_changes(own_tiny: Path, make_loader: Loaders) -> None:
    now = [0.0]
    loader = make_loader(model_settings(own_tiny), clock=lambda: now[0])
    started = time.perf_counter()
    assert loader.check() == []
    assert time.perf_counter() - started < 0.5

    break_no_index(own_tiny)
    assert loader.check() == []
    now[0] += 5
    assert len(loader.check()) == 1


async def test_loaded_models_need_their_files_no_more(own_tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(own_tiny))
    await loader.load()
    break_no_folder(own_tiny)

    assert loader.check() == []


async def test_hub_ids_are_fetched(tiny: Path, make_loader: Loaders) -> None:
    hub = FolderHub(tiny)
    settings = model_settings(
        tiny, base_model="someone/base", controlnet_models={}, controlnet_union="someone/union"
    )
    loader = make_loader(settings, hub=hub)

    assert loader.check() == []
    pipeline = await loader.load()

    assert hub.fetched == ["someone/base", "someone/union"]
    assert pipeline.model_used == "someone/base"


async def test_unreachable_hub_is_one_sentence_with_the_id(
    tiny: Path, make_loader: Loaders
) -> None:
    settings = model_settings(tiny, base_model="someone/base")
    loader = make_loader(settings, hub=FolderHub())

    assert "someone/base" in loader.check()[0]
    with pytest.raises(ModelsUnavailable, match="someone/base"):
        await loader.load()


@pytest.mark.parametrize(("absent", "instead"), INSTEAD_OF.items())
async def test_ids_that_do_not_exist_name_the_one_that_works(
    tiny: Path, make_loader: Loaders, absent: str, instead: str
) -> None:
    loader = make_loader(model_settings(tiny, controlnet_models={"canny": absent}))

    assert f"use '{instead}' instead" in loader.check()[0]
    with pytest.raises(ModelsUnavailable, match=f"use '{instead}' instead"):
        await loader.load()


async def test_closed_loader_loads_no_more(tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(tiny))
    loader.close()

    with pytest.raises(ModelsUnavailable, match="shutting down"):
        await loader.load()


# What it takes


async def test_time_and_memory_of_each_model_are_told(tiny: Path, make_loader: Loaders) -> None:
    loader = make_loader(model_settings(tiny))
    pipeline = await loader.load()
    status = loader.status()

    assert set(status["load_memory_mb"]) == set(status["load_times_ms"])
    network = await make_loader(model_settings(tiny)).load_controlnet_models({"canny": "./canny"})
    size = sum(one.numel() * 4 for one in network[ConditioningKind.CANNY].parameters()) / 2**20
    assert status["load_memory_mb"]["canny ControlNet"] == pytest.approx(size, abs=0.1)
    (cached,) = status["model_cache"]["models"]
    assert cached["name"] == "pipeline tiny"
    assert cached["memory_mb"] == pytest.approx(sum(status["load_memory_mb"].values()), abs=0.5)
    assert pipeline.controlnet_models_used


@pytest.mark.parametrize(("free", "told"), [(1, "main memory and 1.0 MiB are free"), (100, "")])
async def test_memory_is_counted_before_anything_is_loaded(
    tiny: Path, make_loader: Loaders, free: int, told: str
) -> None:
    loader = make_loader(model_settings(tiny), machine=Machine(free_memory=lambda: free * 2**20))
    if not told:
        assert await loader.load()
        return
    with pytest.raises(ModelsUnavailable, match=told):
        await loader.load()

    assert not loader.load_times_ms
    assert told in loader.check()[0]


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


async def test_nothing_half_loaded_stays_in_memory(own_tiny: Path, make_loader: Loaders) -> None:
    """The last of the parts fails, when all others are in memory."""
    write_misfit(own_tiny / "base" / "scribble")
    loader, before = make_loader(model_settings(own_tiny)), alive(UNet2DConditionModel)
    with pytest.raises(ModelsUnavailable, match="does not fit") as failed:
        await loader.load()

    assert len(loader.load_times_ms) == 5
    assert alive(UNet2DConditionModel) == before
    assert loader.status()["model_cache"]["models"] == []
    del failed


# Several pipelines


async def test_several_pipelines_stay_and_the_least_used_goes(
    tiny: Path, make_loader: Loaders
) -> None:
    lone = model_settings(tiny, name="lone", controlnet_models={})
    depth = model_settings(tiny, name="depth", controlnet_models={"depth": "./depth"})
    loader = make_loader(lone)
    first, second = await loader.load(), await loader.load_pipeline(depth)
    assert await loader.load() is first
    assert await loader.load_pipeline(depth) is second
    assert [one["name"] for one in loader.status()["model_cache"]["models"]] == [
        "pipeline lone",
        "pipeline depth",
    ]

    # The one that is evicted still ends what it draws.
    job = make_job(conditioning_scales={}, control_images={}, num_inference_steps=1)
    drawing = asyncio.create_task(first.draw(job))
    assert loader.models.evict()
    assert (await drawing).images
    assert loader.loaded is False
    assert await loader.load() is not first


async def test_memory_bound_of_the_settings_evicts(tiny: Path, make_loader: Loaders) -> None:
    lone = model_settings(tiny, name="lone", controlnet_models={})
    depth = model_settings(tiny, name="depth", controlnet_models={"depth": "./depth"})
    loader = make_loader(lone, memory_gb=6 / 1024)
    await loader.load()
    await loader.load_pipeline(depth)

    assert [one["name"] for one in loader.status()["model_cache"]["models"]] == ["pipeline depth"]


# Auxiliary models


async def test_auxiliary_models_are_loaded_or_say_what_they_need(
    tiny: Path, tmp_path: Path, make_loader: Loaders
) -> None:
    write_dpt(tmp_path / "dpt")
    sources = DetectorSettings(
        hed_edge_detection=None,
        ai_depth_estimation=str(tmp_path / "dpt"),
        ai_segmentation="/no/such/folder",
    )
    gpu, none = GPUManager(gpu_settings()), CacheSettings(huggingface=None, torch=None)
    models = ModelCache(gpu)
    detectors = learned_methods(sources, none, gpu, [(0, 0, 0), (1, 1, 1)], models=models)
    loader = make_loader(model_settings(tiny), models=models, detectors=detectors)

    told = await loader.load_auxiliary_models()

    assert told["ai_depth_estimation"] is None
    assert "is switched off" in (told["hed_edge_detection"] or "")
    assert "/no/such/folder" in (told["ai_segmentation"] or "")
    status = loader.status()
    assert [one["name"] for one in status["model_cache"]["models"]] == ["ai_depth_estimation"]
    assert status["load_times_ms"]["ai_depth_estimation"] > 0
    assert status["load_memory_mb"]["ai_depth_estimation"] > 0


# Folders


def test_cache_folders_are_made_at_the_start(tiny: Path, tmp_path: Path) -> None:
    cache = CacheSettings(huggingface=str(tmp_path / "a" / "hub"), torch=str(tmp_path / "torch"))
    before = torch.hub.get_dir()
    loader = ModelLoader(model_settings(tiny), GPUManager(gpu_settings()), cache)
    torch.hub.set_dir(before)
    loader.close()

    assert (tmp_path / "a" / "hub").is_dir()
    assert (tmp_path / "torch").is_dir()


def test_cache_folder_that_cannot_be_made_ends_the_start(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = CacheSettings(huggingface=str(tmp_path / "file" / "hub"), torch=None)

    with pytest.raises(ConfigurationError, match=r"ai_generation\.cache\.huggingface' is wrong"):
        ModelLoader(model_settings(tiny), GPUManager(gpu_settings()), cache)


# Through the whole service


async def test_a_hundred_first_requests_load_once(
    tiny: Path, make_loader: Loaders, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "writing_service")
    loader = make_loader(model_settings(tiny))
    settings = load_settings(["ai_generation.gpu.device=cpu"]).ai_generation
    generator = assemble_generator(settings, loader, GPUManager(settings.gpu))
    # The flow alone: control images would take most of the time.
    off = dict.fromkeys(ConditioningKind, 0.0)
    plain = WritingRequest(
        "i",
        width=100,
        height=100,
        num_inference_steps=1,
        guidance_scale=0,
        conditioning_weights=off,
    )
    requests = [replace(plain, seed=seed) for seed in range(100)]

    results = await asyncio.gather(*(generator.generate(request) for request in requests))

    assert [one.images[0].seed for one in results] == list(range(100))
    assert len({one.images[0].image.tobytes() for one in results}) == 100
    assert caplog.text.count("Loading base model 1/5") == 1
    assert caplog.text.count("Loading scribble ControlNet 5/5") == 1
    assert generator.get_status()["models_loaded"] is True
    assert set(generator.get_status()["load_memory_mb"]) == set(loader.load_times_ms)


def test_app_keeps_pipeline_and_detectors_in_one_cache(tiny: Path, tmp_path: Path) -> None:
    """As `/health/detailed` tells it."""
    write_dpt(tmp_path / "dpt")
    settings = load_settings(
        [
            "ai_generation.gpu.device=cpu",
            f"ai_generation.models.base_model={tiny / 'base'}",
            *(f"ai_generation.models.controlnet_models.{kind}=./{kind}" for kind in KINDS),
            f"ai_generation.detectors.ai_depth_estimation={tmp_path / 'dpt'}",
            "ai_generation.generation.render_at=requested",
            "ai_generation.cache.memory_gb=1",
            "cache.enabled=false",
        ]
    )
    only_depth = dict.fromkeys(("canny", "segmentation", "scribble"), 0)
    request = {
        "word": "学",
        "width": 100,
        "height": 100,
        "num_inference_steps": 1,
        "conditioning_weights": only_depth,
        "conditioning_methods": {"depth": "ai_depth_estimation"},
    }
    with serving(create_app(settings)) as client:
        drawn = client.post("/api/writing/generate-writing-image", json=request)
        detailed = client.get("/health/detailed").json()

    assert drawn.status_code == 200, drawn.text
    status = detailed["service_status"]["ai_status"]
    assert {one["name"] for one in status["model_cache"]["models"]} == {
        "pipeline embedded",
        "ai_depth_estimation",
    }
    assert status["model_cache"]["limit_mb"] == 1024
    assert {"base model", "depth ControlNet", "ai_depth_estimation"} <= {*status["load_times_ms"]}
    assert min(status["load_memory_mb"].values()) > 0
