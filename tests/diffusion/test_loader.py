"""Loading: once, off the event loop, and with one sentence where it cannot work."""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import ControlNetModel

from tests.diffusion.conftest import Loaders, gpu_settings, make_job, model_settings
from tests.diffusion.tiny_models import KINDS, tiny_vae
from writing_service.diffusion.hub import INSTEAD_OF, HubModel
from writing_service.diffusion.loader import FAILURE_TOLD_FOR_SECONDS
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.errors import ModelsUnavailable
from writing_service.types import ConditioningKind


class FolderHub:
    """A hub whose models lie in a folder, by the last part of their id."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.fetched = list[str]()

    def cached(self, model: HubModel) -> Path | None:
        return None

    def fetch(self, model: HubModel) -> Path:
        self.fetched.append(model.id)
        if self.folder is None:
            raise ModelsUnavailable(f"Model '{model.id}' of the hub cannot be fetched.")
        return self.folder / model.id.rpartition("/")[2]

    def obstacle(self, model: HubModel) -> str | None:
        return None if self.folder else f"Model '{model.id}' is not in the cache"


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
    break_pickle: "pickle files, which can run code",
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
    wider = config.read_text().replace('"cross_attention_dim": 48', '"cross_attention_dim": 64')
    config.write_text(wider)
    now = [0.0]
    loader = make_loader(model_settings(own_tiny), clock=lambda: now[0])
    assert loader.check() == []

    with pytest.raises(ModelsUnavailable, match=r"base model .* do not fit together"):
        await loader.load()

    # Not ready for a while, then hopeful again: else nobody would ever try.
    assert "do not fit together" in loader.check()[0]
    now[0] += FAILURE_TOLD_FOR_SECONDS
    assert loader.check() == []


async def test_controlnet_of_another_family_is_refused(
    own_tiny: Path, make_loader: Loaders
) -> None:
    ControlNetModel(
        in_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        cross_attention_dim=48,
        norm_num_groups=8,
        conditioning_embedding_out_channels=(4, 8, 16, 32),
    ).save_pretrained(own_tiny / "base" / "depth")

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
