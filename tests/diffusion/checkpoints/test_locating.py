"""Fetching from a hub on loopback, over its real HTTP: what is fetched, what is mended, what is told."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.diffusion.conftest import Loaders, make_job, model_settings
from tests.diffusion.tiny_hub import TinyHub, serving
from writing_service.diffusion.checkpoints.capacity import Machine
from writing_service.diffusion.checkpoints.hub import HuggingFaceHub
from writing_service.diffusion.loader import ModelLoader
from writing_service.errors import ModelNotFound, ModelsUnavailable

UNET = "unet/diffusion_pytorch_model.safetensors"
Loading = Callable[..., ModelLoader]


@pytest.fixture
def tiny_hub(own_tiny: Path) -> Iterator[TinyHub]:
    """some/base and some/depth."""
    (own_tiny / "base" / "depth").rename(own_tiny / "depth")
    with serving({"some/base": own_tiny / "base", "some/depth": own_tiny / "depth"}) as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def loading(tiny_hub: TinyHub, cache: Path, tmp_path: Path, make_loader: Loaders) -> Loading:
    """Loaders of those two, fetched into `cache`; `settings` change them."""

    def make(machine: Machine | None = None, **settings: object) -> ModelLoader:
        chosen = {"base_model": "some/base", "controlnet_models": {"depth": "some/depth"}}
        hub = HuggingFaceHub(str(cache), tiny_hub.address)
        return make_loader(
            model_settings(tmp_path, **{**chosen, **settings}), hub=hub, machine=machine
        )

    return make


def blob_of(cache: Path, name: str) -> Path:
    (found,) = cache.glob(f"models--some--base/snapshots/*/{name}")
    return found.resolve()


def sizes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*")}


async def test_models_are_fetched_once_and_then_need_no_network(
    tiny_hub: TinyHub, loading: Loading, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "writing_service")
    pipeline = await loading().load()
    job = make_job(num_inference_steps=1, conditioning_scales={})
    assert (await pipeline.draw(job)).images
    assert re.search(r"Loading base model: fetching \d+\.\d MiB, 1/2", caplog.text)
    assert tiny_hub.sent.count("config.json") == 5

    tiny_hub.sent.clear()
    tiny_hub.repositories.clear()
    again = loading()
    assert again.check() == []
    await again.load()
    assert tiny_hub.sent == []


async def test_damaged_file_in_the_cache_is_fetched_again(
    tiny_hub: TinyHub, cache: Path, loading: Loading
) -> None:
    await loading().load()
    whole = blob_of(cache, UNET).read_bytes()
    blob_of(cache, UNET).write_bytes(whole[:-100])
    tiny_hub.sent.clear()

    await loading().load()
    assert tiny_hub.sent == ["diffusion_pytorch_model.safetensors"]
    assert blob_of(cache, UNET).read_bytes() == whole


async def test_damage_that_shows_only_at_loading_is_mended_too(
    tiny_hub: TinyHub, cache: Path, loading: Loading
) -> None:
    """Heads are looked at before, tokenizers are not."""
    await loading().load()
    blob = blob_of(cache, "tokenizer/tokenizer.json")
    whole = blob.read_bytes()
    blob.write_bytes(b"{}")
    tiny_hub.sent.clear()

    await loading().load()
    assert {*tiny_hub.sent} == {"tokenizer.json"}
    assert blob_of(cache, "tokenizer/tokenizer.json").read_bytes() == whole


async def test_file_that_was_spoiled_on_the_way_is_fetched_once_more(
    tiny_hub: TinyHub, loading: Loading
) -> None:
    tiny_hub.spoiled[UNET] = 1
    await loading().load()

    assert tiny_hub.spoiled[UNET] == 0


async def test_file_that_is_spoiled_each_time_is_told_and_a_later_request_may_succeed(
    tiny_hub: TinyHub, loading: Loading
) -> None:
    tiny_hub.spoiled[UNET] = 2
    loader = loading()
    with pytest.raises(ModelsUnavailable, match=r"base model 'some/base' .*unet.* is damaged"):
        await loader.load()
    assert tiny_hub.spoiled[UNET] == 0

    await loader.load()


async def test_files_of_the_users_own_are_never_removed(
    own_tiny: Path, make_loader: Loaders
) -> None:
    weights = own_tiny / "base" / UNET
    weights.write_bytes(weights.read_bytes()[:-100])
    before = sizes(own_tiny)
    with pytest.raises(ModelsUnavailable, match="damaged"):
        await make_loader(model_settings(own_tiny)).load()

    assert sizes(own_tiny) == before


async def test_full_disk_is_told_before_anything_is_fetched(
    tiny_hub: TinyHub, cache: Path, loading: Loading
) -> None:
    small = Machine(free_disk=lambda _: 2**20)
    told = (
        rf"need \d\.\d MiB of disk in {cache} and 1\.0 MiB are free: make room for \d\.\d MiB more"
    )
    with pytest.raises(ModelsUnavailable, match=told):
        await loading(small).load()

    assert not [name for name in tiny_hub.sent if name.endswith(".safetensors")]
    await loading().load()
    # What is in the cache needs no room.
    await loading(Machine(free_disk=lambda _: 0)).load()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"controlnet_models": {"depth": "some/nothing"}},
            "'some/nothing' .*does not exist .*known to work: diffusers/controlnet-depth-sdxl-1.0",
        ),
        ({"base_model": "no/base"}, "'no/base' .*known to work: stabilityai/stable-diffusion-xl"),
        ({"base_model": "some/base@v9"}, "'some/base' .*has no revision 'v9'"),
        ({"revision": "v9"}, "'some/base' .*has no revision 'v9'"),
        ({"base_model": "some/base/x.safetensors"}, r"'some/base' .*has no file 'x\.safetensors'"),
    ],
)
async def test_what_the_hub_does_not_have_is_named_with_what_works(
    loading: Loading, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(ModelNotFound, match=told) as failed:
        await loading(**settings).load()
    assert str(failed.value).count("\n") == 0


async def test_revisions_may_be_named(loading: Loading) -> None:
    base, networks = (
        loading(revision="main"),
        loading(controlnet_models={"depth": "some/depth@main"}),
    )

    assert (await base.load_stable_diffusion_xl()).unet
    assert len(await networks.load_controlnet_models()) == 1


async def test_one_file_of_a_repository_is_fetched_alone(
    tiny_hub: TinyHub, own_tiny: Path, loading: Loading
) -> None:
    """Repositories whose file has a name of its own."""
    folder = own_tiny / "depth"
    for name in ("odd.safetensors", "other.safetensors"):
        (folder / name).write_bytes((folder / "diffusion_pytorch_model.safetensors").read_bytes())
    loader = loading(controlnet_models={"depth": "some/depth/odd.safetensors"})

    assert len(await loader.load_controlnet_models()) == 1
    assert [name for name in tiny_hub.sent if name.endswith("safetensors")] == ["odd.safetensors"]


async def test_single_file_without_its_configuration_says_what_to_set(
    tiny_hub: TinyHub, own_tiny: Path, tmp_path: Path, loading: Loading
) -> None:
    """The usual one is on the hub, but this hub does not have it."""
    from diffusers import StableDiffusionXLPipeline

    from tests.diffusion.single_files import write_single_file

    base = StableDiffusionXLPipeline.from_pretrained(own_tiny / "base", add_watermarker=False)
    write_single_file(tmp_path / "one.safetensors", base)
    lone = {"base_model": str(tmp_path / "one.safetensors"), "controlnet_models": {}}
    with pytest.raises(
        ModelsUnavailable, match=r"set ai_generation\.models\.base_config"
    ) as failed:
        await loading(**lone).load()
    assert "stabilityai/stable-diffusion-xl-base-1.0" in str(failed.value)

    tiny_hub.sent.clear()
    await loading(**lone, base_config="some/base").load()
    assert tiny_hub.sent
    assert not [name for name in tiny_hub.sent if name.endswith("safetensors")]
