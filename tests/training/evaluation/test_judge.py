"""The judge: learns, is saved with its names, sees any size; and the art it learns from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.art import STYLES
from training.evaluation.classifier import Plan, Store, augmented, parse, train
from training.evaluation.clean_art import ArtMaker, Batch
from training.evaluation.judge import SIDE, Judge, Network
from training.evaluation.vocabulary import Vocabulary

TWO = Vocabulary((("cat face", "cat"), ("red apple",)))


def test_art_is_made_by_number_and_all_classes_come_equally_often():
    maker = ArtMaker(TWO, seed=3)
    batch = maker.batch(0, 4)
    assert batch.pictures.shape == (4, 3, SIDE, SIDE)
    assert sorted(batch.concepts) == [0, 0, 1, 1]
    np.testing.assert_array_equal(maker.make(2)[0], batch.pictures[2])
    assert not np.array_equal(batch.pictures[0], batch.pictures[2])


def test_a_judge_is_saved_with_its_names(tmp_path: Path):
    torch.manual_seed(0)
    judge = Judge(Network(2, len(STYLES)), TWO, STYLES)
    judge.save(tmp_path / "judge.safetensors")
    again = Judge.load(tmp_path / "judge.safetensors")
    assert again.vocabulary.classes == TWO.classes
    assert again.styles == STYLES
    pictures = [np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)]
    one, other = judge.judge(pictures), again.judge(pictures)
    np.testing.assert_allclose(one.concepts, other.concepts, atol=0.02)
    assert one.concepts.shape == (1, 2)
    assert one.styles.sum() == pytest.approx(1, abs=1e-4)


def test_a_full_judge_is_small_enough_to_ship(tmp_path: Path):
    classes = Vocabulary(tuple((f"some longer name {index}",) for index in range(1250)))
    Judge(Network(1250, 5), classes, STYLES).save(tmp_path / "judge.safetensors")
    assert (tmp_path / "judge.safetensors").stat().st_size < 5 * 2**20


def test_without_a_file_there_is_no_judge(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="classifier"):
        Judge.load(tmp_path / "none.safetensors")


def test_training_tells_two_colours_apart():
    """Two colours for two classes are learnt in a few steps; the mean of the weights has learnt them too."""
    torch.manual_seed(0)
    store = Store(8, torch.device("cpu"), side=32)
    labels = np.arange(8) % 2
    pictures = np.random.default_rng(0).integers(0, 120, (8, 3, 32, 32), np.uint8)
    pictures[labels == 0, 0] += 130
    pictures[labels == 1, 2] += 130
    store.add(Batch(0, pictures, labels, labels))
    plan = Plan(samples=8, batch=8, rate=2e-3)
    network = train(Network(2, 2), store, np.linspace(0, 1, 20), plan).eval()
    with torch.inference_mode():
        _, concepts, styles = network(store.pictures.float() / 255)
    assert concepts.argmax(1).tolist() == labels.tolist()
    assert styles.argmax(1).tolist() == labels.tolist()


def test_augmenting_keeps_the_shape_and_makes_every_picture_its_own():
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 32, 32).expand(4, -1, -1, -1)
    changed = augmented(pictures)
    assert changed.shape == pictures.shape
    assert (changed[0] - changed[1]).abs().mean() > 0.01


def test_unknown_settings_are_refused():
    assert parse(["minutes=2", "device=cuda"]) == Plan(minutes=2.0, device="cuda")
    with pytest.raises(SystemExit, match="minutes"):
        parse(["hours=2"])
