"""What the parts of the engine's benchmark compute, and what its command line takes."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.engine.__main__ import PARTS, Options, parse
from benchmarks.engine.cost import Curve, plot
from benchmarks.engine.memory import told


def test_everything_is_measured_unless_told_otherwise():
    assert parse([]) == Options()
    assert set(Options().what) == set(PARTS)


def test_settings_are_read_as_their_defaults_are():
    options = parse(["what=cost,memory", "steps=2,4", "pictures=10", "plot=out/a.svg"])
    assert (options.what, options.steps) == (("cost", "memory"), (2, 4))
    assert (options.pictures, options.plot) == (10, Path("out/a.svg"))


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("step=2", "Unknown setting 'step=2'; known: what"),
        ("what=speed", "Unknown part speed; known: alone"),
        ("steps=2,x", "'steps=2,x' needs whole numbers"),
        ("pictures=", "'pictures=' needs whole numbers"),
    ],
)
def test_what_is_unknown_ends_in_one_sentence(argument: str, sentence: str):
    with pytest.raises(SystemExit, match=sentence):
        parse([argument])


COUNTS = list(range(10, 210, 10))


def test_memory_that_only_fills_its_caches_first_is_flat():
    filling = [100.0, 140.0, 150.0, 151.0, *(151.0 + 0.1 * (one % 2) for one in range(16))]
    assert "flat: slope within noise" in told(COUNTS, filling)
    assert "not" not in told(COUNTS, filling)


def test_a_leak_is_told_with_its_size():
    leaking = [100 + 0.05 * count + 0.1 * (count % 20 == 0) for count in COUNTS]
    assert told(COUNTS, leaking).startswith("+5.0")
    assert "not flat" in told(COUNTS, leaking)


def test_too_few_samples_have_no_slope():
    assert "at least 40 pictures" in told(COUNTS[:3], [1.0, 2.0, 3.0])
    assert "per 100 pictures" in told(COUNTS[:4], [1.0, 2.0, 3.0, 3.5])


def test_the_plot_is_a_small_file_and_the_same_for_the_same_figures(tmp_path: Path):
    curves = [Curve("steps", [4, 8, 16], [1.0, 2.1, 3.9]), Curve("pictures", [1, 2], [1.0, 2.0])]
    for name in ("one.svg", "other.svg"):
        plot(curves, tmp_path / name)
    drawing = (tmp_path / "one.svg").read_bytes()
    assert drawing == (tmp_path / "other.svg").read_bytes()
    assert len(drawing) < 60_000
    texts = {"".join(one.itertext()) for one in ElementTree.fromstring(drawing).iter()}
    assert {"steps", "pictures", "seconds"} <= texts
