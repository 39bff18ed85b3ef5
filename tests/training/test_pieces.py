"""What the training is made of: samples, optimizer, clock, components, windows, tokenizer, export."""

import copy
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training import progress
from training.__main__ import serving_conditions
from training.captions import captions
from training.diffusion import Networks, train_diffusion
from training.encoded import EncodedPool, Window
from training.export import export
from training.models import build_controlnet, build_text_encoders, build_vae
from training.optimizer import MatrixOptimizer
from training.pool import SamplePool, fill, open_pool
from training.progress import Stage
from training.samples import FEW_LOOKS, PLANES, Sample, SampleMaker
from training.tokenizer import load_tokenizer, train_tokenizer
from training.vae import PrincipalComponents, encode
from training.words import HELD_OUT, random_word
from writing_service.config import CacheSettings, load_settings
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader
from writing_service.types import ConditioningKind, Size

SMALL = Size(64, 64)


@pytest.fixture(scope="module")
def maker() -> SampleMaker:
    return SampleMaker(3)


@pytest.fixture(scope="module")
def samples(maker: SampleMaker) -> list[Sample]:
    """Sixteen small ones."""
    return [maker.make(number, SMALL) for number in range(16)]


def pool_of(samples: Sequence[Sample]) -> SamplePool:
    """Full of them."""
    pool = open_pool("a", {SMALL: (len(samples), 1.0)}, torch.device("cpu"))
    for sample in samples:
        pool.buckets[0].add(sample)
    return pool


def test_a_sample_is_drawn_by_number(maker: SampleMaker):
    size = Size(256, 192)
    one, two, other = (
        some.make(number, size) for some, number in ((maker, 8), (SampleMaker(3), 8), (maker, 9))
    )
    assert one.target.shape == (3, 192, 256)
    assert one.controls.shape == (PLANES, 192, 256)
    np.testing.assert_array_equal(one.target, two.target)
    assert one.captions == two.captions
    assert one.captions != other.captions


def test_a_style_can_be_kept_to_few_looks():
    """The corner of a picture shows its ground: few colours for few looks, many for any."""

    def corners(maker: SampleMaker) -> int:
        samples = [maker.make(number, Size(128, 128)) for number in range(60)]
        comics = [one for one in samples if one.style == 0]
        return len({tuple(one.target[:, 20, 20] // 24) for one in comics})

    assert corners(SampleMaker(1, FEW_LOOKS)) < corners(SampleMaker(1))


def test_held_out_words_are_never_trained_on():
    held_out = {word for word, _, _ in HELD_OUT}
    rng = random.Random(1)
    assert not held_out & {random_word(rng)[0] for _ in range(5000)}


def test_the_first_caption_is_the_services_own_prompt():
    prompt, loose = captions("学", "Han", ["cat face", "cat"], "ink", random.Random(1))
    assert prompt.startswith("A traditional ink wash painting of ")
    assert "the Chinese character 学" in prompt
    assert "ink" in loose


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(16, 32, 3), nn.GroupNorm(4, 32), nn.Conv2d(32, 16, 3))
    return layers.to(memory_format=torch.channels_last)


def test_the_optimizer_learns_and_goes_on_where_it_was(network: nn.Module):
    torch.manual_seed(1)
    picture, wanted = torch.randn(2, 16, 12, 12), torch.randn(2, 16, 8, 8)

    def steps(optimizer: MatrixOptimizer, count: int) -> float:
        loss = torch.zeros(())
        for _ in range(count):
            optimizer.set_rate(1e-2)
            loss = (network(picture) - wanted).pow(2).mean()
            optimizer.clear()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    optimizer = MatrixOptimizer([([network], 1.0)], weight_decay=0.0)
    first, later = steps(optimizer, 1), steps(optimizer, 40)
    assert later < 0.7 * first
    weights = [parameter.detach().clone() for parameter in network.parameters()]
    state = copy.deepcopy(optimizer.state_dict())
    on = steps(optimizer, 3)
    with torch.no_grad():
        for parameter, weight in zip(network.parameters(), weights, strict=True):
            parameter.copy_(weight)
    again = MatrixOptimizer([([network], 1.0)], weight_decay=0.0)
    again.load_state_dict(state)
    assert steps(again, 3) == pytest.approx(on, rel=1e-3)


def test_a_stage_goes_on_where_it_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    part = nn.Linear(2, 2)
    stage = Stage("a", tmp_path, 0.5, {"part": part}, save_every=5)
    for step in stage.steps():
        if step == 12:
            break
    kept = {name: value.clone() for name, value in part.state_dict().items()}
    fresh = nn.Linear(2, 2)
    later = Stage("a", tmp_path, 0.5, {"part": fresh})
    assert 0 < later.step <= 12
    torch.testing.assert_close(fresh.state_dict(), kept)
    assert list(later.steps())[-1] > 12
    assert later.progress == 1.0
    assert list(Stage("a", tmp_path, 0.5, {"part": fresh}).steps()) == []


def test_components_keep_colours():
    torch.manual_seed(0)
    flat = torch.rand(60, 3, 1, 1).expand(-1, -1, 32, 32) + 0.05 * torch.rand(60, 3, 32, 32)
    code = PrincipalComponents.of(flat).encode(flat)
    assert code.shape == (60, 16, 2, 2)
    colours = flat.mean((2, 3))
    told = code.mean((2, 3))[:, :3]
    solution = torch.linalg.lstsq(torch.cat([told, torch.ones(60, 1)], 1), colours).solution
    rebuilt = torch.cat([told, torch.ones(60, 1)], 1) @ solution
    assert (rebuilt - colours).abs().max() < 0.05


def test_a_window_in_pixels_cuts_latents():
    latents = torch.arange(64).view(1, 8, 8)
    window = Window(32, 16, Size(64, 48))
    assert window.of(latents).shape == (1, 3, 4)
    assert int(window.of(latents)[0, 0, 0]) == 2 * 8 + 1


def test_a_full_pool_takes_new_samples_only_when_asked_and_they_are_encoded(
    maker: SampleMaker, samples: list[Sample]
):
    """The oldest sample makes room; what the networks are given is always of the sample in its place."""
    pool = pool_of(samples)
    vae, embedding = build_vae().eval(), build_controlnet().controlnet_cond_embedding
    tokenizer = train_tokenizer(["a cat", "a dog"])
    store = EncodedPool(pool, vae, embedding, tokenizer, torch.device("cpu"), None)
    store.update()
    late = maker.make(99, SMALL)
    pool.waiting.put((0, late))
    assert pool.buckets[0].added == 16
    store.update()
    assert (pool.buckets[0].added, pool.buckets[0].count) == (17, 16)
    np.testing.assert_array_equal(pool.buckets[0].images[0], late.target)
    drawn = store.draw(np.random.default_rng(0), np.random.default_rng(0), 8, cropped=False)
    places = torch.from_numpy(drawn.places)
    batch = store.batch(drawn, places, torch.from_numpy(drawn.captions))
    expected = encode(vae, pool.buckets[0].images[places], torch.device("cpu"))
    torch.testing.assert_close(batch.latents, expected, atol=0.05, rtol=0.05)
    assert batch.tokens.shape == (len(places), 77)
    sights = store.sights(drawn, places[:2], torch.tensor([3, 0]))
    assert sights.shape == (2, 96, 4, 4)


def test_training_goes_on_from_what_it_is_given(samples: list[Sample], tmp_path: Path):
    """No gate is opened anew, and the conditioning embedding, left out meanwhile, is there afterwards."""
    pool = pool_of(samples)
    tokenizer = train_tokenizer(["a cat", "a dog"])
    networks = Networks(build_controlnet(), nn.ModuleList(build_text_encoders(tokenizer)))
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    embedding = networks.controlnet.controlnet_cond_embedding
    device = torch.device("cpu")
    store = EncodedPool(pool, build_vae().eval(), embedding, tokenizer, device, None)
    serving = serving_conditions(tokenizer)
    trained = train_diffusion(store, networks, tmp_path, 0.0, device, 4, 0.0, serving)
    torch.testing.assert_close(dict(trained.state_dict()), before)
    networks.controlnet.controlnet_cond_embedding.requires_grad_(False)
    longer = train_diffusion(store, networks, tmp_path, 0.01, device, 4, 0.0, serving)
    changed = longer.unet.state_dict()["conv_in.weight"]
    assert not torch.equal(changed, before["unet.conv_in.weight"])


def test_an_endless_pool_goes_on_where_it_is_full():
    pool = open_pool("a", {SMALL: (4, 1.0)}, torch.device("cpu"))
    filling = fill(pool, 1, SampleMaker(1), endless=True)
    deadline = time.monotonic() + 120
    while pool.waiting.qsize() < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pool.waiting.qsize() >= 3
    assert pool.buckets[0].added == 4
    pool.close()
    filling.join(120)
    assert not filling.is_alive()


def test_the_tokenizer_survives_saving_and_reads_any_script(tmp_path: Path):
    tokenizer = train_tokenizer(["a cat", "a comic cat"] * 20, vocabulary=600)
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    for text in ("a cat", "学习 سلام", ""):
        assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert len(again("cat")["input_ids"]) == 3


async def test_an_exported_checkpoint_is_loaded_by_the_service(tmp_path: Path):
    tokenizer = train_tokenizer(["a cat"] * 20, vocabulary=600)
    networks = Networks(build_controlnet(), nn.ModuleList(build_text_encoders(tokenizer)))
    size = export(tmp_path / "new", build_vae(), tokenizer, networks)
    assert size <= 40 * 2**20
    settings = load_settings(
        [f"ai_generation.models.base_model={tmp_path / 'new'}", "ai_generation.gpu.device=cpu"]
    ).ai_generation
    loader = ModelLoader(
        settings.models, GPUManager(settings.gpu), CacheSettings(huggingface=None, torch=None)
    )
    try:
        pipeline = await loader.load()
        assert set(pipeline.controlnet_models_used) == set(ConditioningKind)
        picture = await pipeline.generate("a cat", width=64, height=64, num_inference_steps=1)
        assert picture.size == (64, 64)
    finally:
        loader.close()
