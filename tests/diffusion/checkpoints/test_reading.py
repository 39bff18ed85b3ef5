"""Networks from every form in which they are published: shards, variants, single files, LoRAs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ControlNetModel, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from tests.diffusion.conftest import Loaders, make_job, model_settings
from tests.diffusion.single_files import write_single_file
from tests.diffusion.tiny_models import tiny_vae, write_controlnet, write_lora
from writing_service.config import LoRASettings
from writing_service.errors import ModelsUnavailable
from writing_service.types import ConditioningKind

WEIGHTS = "diffusion_pytorch_model.safetensors"
DEPTH = ConditioningKind.DEPTH


@pytest.fixture(scope="module")
def base(tiny: Path) -> Any:
    """As diffusers reads it."""
    return StableDiffusionXLPipeline.from_pretrained(tiny / "base", add_watermarker=False)


@pytest.fixture(scope="module")
def single(tiny: Path, base: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base model in one file, with nothing beside it."""
    path = tmp_path_factory.mktemp("single") / "model.safetensors"
    write_single_file(path, base)
    return path


@pytest.fixture(scope="module")
def loras(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """one.safetensors, two.safetensors, and one for a UNet that reads narrower text."""
    folder = tmp_path_factory.mktemp("loras")
    write_lora(folder / "one.safetensors", tiny / "base", 1)
    write_lora(folder / "two.safetensors", tiny / "base", 2)
    write_lora(folder / "narrow.safetensors", tiny / "base", 3, cross_attention_dim=24)
    return folder


def lora(path: Path, scale: float = 1.0) -> LoRASettings:
    return LoRASettings(source=str(path.parent), weight_name=path.name, scale=scale)


def weights(base: Any) -> dict[str, torch.Tensor]:
    """Of all networks."""
    names = ("unet", "vae", "text_encoder", "text_encoder_2")
    return {
        f"{name}.{key}": tensor
        for name in names
        for key, tensor in getattr(base, name).state_dict().items()
    }


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


# Shards and variants


def shard(folder: Path, variant: str = "") -> None:
    """The folder's weights in two files and an index."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    stem, index = "diffusion_pytorch_model", "diffusion_pytorch_model.safetensors.index"
    halves = [dict(list(tensors.items())[start::2]) for start in (0, 1)]
    places = dict[str, str]()
    for number, half in enumerate(halves, 1):
        name = f"{stem}{variant}-{number:05}-of-00002.safetensors"
        save_file(half, folder / name, {"format": "pt"})
        places |= dict.fromkeys(half, name)
    total = sum(one.numel() * one.element_size() for one in tensors.values())
    told = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / f"{index}{variant}.json").write_text(json.dumps(told))


@pytest.mark.parametrize("variant", ["", ".fp16"])
async def test_shards_are_read(
    own_tiny: Path, base: Any, make_loader: Loaders, variant: str
) -> None:
    shard(own_tiny / "base" / "unet", variant)
    loader = make_loader(model_settings(own_tiny, variant=variant.strip(".") or None))

    assert loader.check() == []
    assert equal(weights(await loader.load_stable_diffusion_xl()), weights(base))


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("diffusion_pytorch_model-00002-of-00002.safetensors", "lacks 1 of its weight files"),
        ("diffusion_pytorch_model.safetensors.index.json", "lacks the index of its 2"),
    ],
)
async def test_a_lost_shard_is_told(
    own_tiny: Path, make_loader: Loaders, lost: str, told: str
) -> None:
    shard(own_tiny / "base" / "unet")
    (own_tiny / "base" / "unet" / lost).unlink()
    loader = make_loader(model_settings(own_tiny))

    assert told in loader.check()[0]
    with pytest.raises(ModelsUnavailable, match=told):
        await loader.load()


# Single files


async def test_single_file_is_the_same_model(
    tiny: Path, single: Path, base: Any, make_loader: Loaders
) -> None:
    settings = model_settings(
        tiny, base_model=str(single), base_config=str(tiny / "base"), controlnet_models={}
    )
    loader = make_loader(settings)
    assert loader.check() == []

    assert equal(weights(await loader.load_stable_diffusion_xl()), weights(base))
    pipeline = await loader.load()
    job = make_job(num_inference_steps=1, control_images={}, conditioning_scales={})
    assert (await pipeline.draw(job)).images


async def test_configuration_beside_a_single_file_is_taken(
    own_tiny: Path, single: Path, make_loader: Loaders
) -> None:
    beside = Path(shutil.copy(single, own_tiny / "base" / "all.safetensors"))
    for name in ("unet", "text_encoder_2"):
        for path in (own_tiny / "base" / name).glob("*.safetensors"):
            path.unlink()
    settings = model_settings(own_tiny, base_model=str(beside), controlnet_models={})

    assert (await make_loader(settings).load_stable_diffusion_xl()).unet.config.in_channels == 4


async def test_vae_of_its_own_replaces_that_of_a_single_file(
    tiny: Path, own_tiny: Path, single: Path, make_loader: Loaders
) -> None:
    tiny_vae(scaling_factor=0.25).save_pretrained(own_tiny / "vae")
    settings = model_settings(
        tiny,
        base_model=str(single),
        base_config=str(tiny / "base"),
        vae=str(own_tiny / "vae"),
        controlnet_models={},
    )

    loaded = await make_loader(settings).load_stable_diffusion_xl()
    assert loaded.vae.config.scaling_factor == 0.25


async def test_single_file_controlnet_is_read(own_tiny: Path, make_loader: Loaders) -> None:
    """As a repository with a file name of its own has it: the configuration lies beside it."""
    folder = own_tiny / "base" / "depth"
    path = (folder / WEIGHTS).rename(folder / "control_depth.safetensors")
    loader = make_loader(model_settings(own_tiny, controlnet_models={"depth": str(path)}))

    assert loader.check() == []
    network = (await loader.load_controlnet_models())[DEPTH]
    assert torch.equal(network.conv_in.weight, load_file(path)["conv_in.weight"])


def not_sdxl(path: Path) -> None:
    tensors = {"cond_stage_model.x": torch.zeros(1), "model.diffusion_model.y": torch.zeros(1)}
    save_file(tensors, path)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (not_sdxl, r"no tensors 'conditioner\.embedders\.1\.\.\.\.', so it is no SDXL model"),
        (cut_short, "is damaged or cut short"),
        (gone, "there is no file"),
    ],
)
async def test_single_file_that_cannot_be_loaded_is_told(
    tiny: Path, single: Path, tmp_path: Path, make_loader: Loaders, harm: Any, told: str
) -> None:
    own = Path(shutil.copy(single, tmp_path / "own.safetensors"))
    harm(own)
    settings = model_settings(tiny, base_model=str(own), base_config=str(tiny / "base"))
    loader = make_loader(settings)

    assert loader.check()
    with pytest.raises(ModelsUnavailable, match=told):
        await loader.load()


@pytest.mark.parametrize("ending", [".ckpt", ".pt", ".bin"])
async def test_pickles_are_refused_whatever_they_are(
    tiny: Path, tmp_path: Path, make_loader: Loaders, ending: str
) -> None:
    pickled = tmp_path / f"model{ending}"
    pickled.write_bytes(b"\x80\x04.")
    as_base = model_settings(tiny, base_model=str(pickled))
    as_controlnet = model_settings(tiny, controlnet_models={"canny": str(pickled)})
    as_lora = model_settings(tiny, loras=(lora(pickled),))
    on_the_hub = model_settings(tiny, base_model=f"some/model/model{ending}")

    for settings in (as_base, as_controlnet, as_lora, on_the_hub):
        loader = make_loader(settings)
        assert "pickle file, which can run code" in loader.check()[0]
    with pytest.raises(ModelsUnavailable, match="take or convert the weights as safetensors"):
        await loader.load()


# LoRAs


async def test_loras_add_up_with_their_weights(
    tiny: Path, base: Any, loras: Path, make_loader: Loaders
) -> None:
    chosen = (lora(loras / "one.safetensors", 0.5), lora(loras / "two.safetensors", -2))
    loader = make_loader(model_settings(tiny, loras=chosen))
    loaded = await loader.load_stable_diffusion_xl()

    key = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    change = loaded.unet.get_submodule(key).weight - base.unet.get_submodule(key).weight
    one, two = (load_file(loras / f"{name}.safetensors") for name in ("one", "two"))
    low, high = f"unet.{key}.lora_A.weight", f"unet.{key}.lora_B.weight"
    assert torch.allclose(change, 0.5 * one[high] @ one[low] - 2 * two[high] @ two[low], atol=1e-5)
    assert set(loaded.unet.state_dict()) == set(base.unet.state_dict())
    assert {"LoRA one", "LoRA two"} <= set(loader.load_times_ms)


async def test_lora_of_another_program_changes_every_network_it_names(
    tiny: Path, base: Any, tmp_path: Path, make_loader: Loaders
) -> None:
    """Its names, with underscores and a strength in .alpha, are those of most published LoRAs."""
    torch.manual_seed(0)
    places = {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k": (64, 48)}
    for encoder, width in (("te1", 16), ("te2", 32)):
        for layer in ("q_proj", "out_proj"):
            name = f"lora_{encoder}_text_model_encoder_layers_0_self_attn_{layer}"
            places[name] = (width, width)
    tensors = dict[str, torch.Tensor]()
    for name, (rows, columns) in places.items():
        tensors[f"{name}.lora_down.weight"] = torch.randn(2, columns)
        tensors[f"{name}.lora_up.weight"] = torch.randn(rows, 2)
        tensors[f"{name}.alpha"] = torch.tensor(2.0)
    save_file(tensors, tmp_path / "style.safetensors")
    settings = model_settings(
        tiny, loras=(LoRASettings(source=str(tmp_path / "style.safetensors")),)
    )

    after, before = weights(await make_loader(settings).load_stable_diffusion_xl()), weights(base)
    changed = {
        name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert changed == {"unet", "text_encoder", "text_encoder_2"}


def no_lora(folder: Path) -> Path:
    save_file({"down_blocks.0.weight": torch.zeros(1)}, folder / "plain.safetensors")
    return folder / "plain.safetensors"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("narrow.safetensors", "was made for another family .*width 24.*known to work: ByteDance"),
        ("absent.safetensors", "there is no file .*absent"),
        ("plain.safetensors", r"is no LoRA: it holds 'down_blocks\.0\.weight'"),
    ],
)
async def test_lora_that_does_not_fit_is_told_before_anything_is_loaded(
    tiny: Path, loras: Path, make_loader: Loaders, name: str, told: str
) -> None:
    no_lora(loras)
    loader = make_loader(model_settings(tiny, loras=(lora(loras / name),)))

    assert loader.check()
    with pytest.raises(ModelsUnavailable, match=told):
        await loader.load()
    assert not loader.load_times_ms


async def test_controlnet_of_another_family_is_told_before_anything_is_loaded(
    own_tiny: Path, make_loader: Loaders
) -> None:
    """As the ControlNets of Stable Diffusion 1.5 are under SDXL."""
    ControlNetModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        cross_attention_dim=768,
        norm_num_groups=8,
        attention_head_dim=4,
    ).save_pretrained(own_tiny / "sd15")
    write_controlnet(own_tiny / "fits", 1)
    sources = {"canny": str(own_tiny / "sd15"), "depth": str(own_tiny / "fits")}
    loader = make_loader(model_settings(own_tiny, controlnet_models=sources))

    told = r"canny ControlNet '.*sd15' was made for Stable Diffusion 1 .*xinsir/controlnet-canny"
    with pytest.raises(ModelsUnavailable, match=told):
        await loader.load()
    assert "Stable Diffusion 1" in loader.check()[0]
    assert not loader.load_times_ms
