"""The line through points, and when its slope is no more than noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.engine.lines import Line

numbers = st.floats(-1e3, 1e3)
places = st.lists(st.integers(0, 100), min_size=3, max_size=20, unique=True)


@given(fixed=numbers, slope=numbers, xs=places)
def test_points_on_a_line_give_that_line(fixed: float, slope: float, xs: list[int]):
    ys = [fixed + slope * x for x in xs]
    line = Line.through(xs, ys)
    for x, y in zip(xs, ys, strict=True):
        assert line.at(x) == pytest.approx(y, abs=1e-4)


@given(xs=places, shift=numbers, seed=st.integers(0, 99))
def test_the_zero_of_the_figures_changes_nothing_but_the_fixed_part(
    xs: list[int], shift: float, seed: int
):
    ys = np.random.default_rng(seed).normal(size=len(xs))
    one, other = Line.through(xs, ys), Line.through(xs, ys + shift)
    assert other.fixed - one.fixed == pytest.approx(shift, abs=1e-6)
    assert (other.slope, other.slope_error) == pytest.approx((one.slope, one.slope_error), abs=1e-6)


def test_the_error_is_that_of_least_squares():
    """By hand: residuals ∓1/6, 1/3, slope 1/2 · 3, their squares 1/6; the error √(1/6 / 1 / 2)."""
    line = Line.through([0, 1, 2], [0.0, 2.0, 3.0])
    assert line.slope == pytest.approx(1.5)
    assert line.fixed == pytest.approx(1 / 6)
    assert line.slope_error == pytest.approx((1 / 12) ** 0.5)


def test_departure_is_a_share_of_the_point_that_is_farthest_off():
    line = Line(fixed=1.0, slope=1.0, slope_error=0.0)
    assert line.departure([0, 1, 3], [1.0, 2.0, 5.0]) == pytest.approx(0.2)
    assert line.departure([0, 1], [1.0, 2.0]) == 0


@given(seed=st.integers(0, 99))
def test_noise_is_flat_only_as_long_as_nothing_grows_under_it(seed: int):
    xs = np.arange(16)
    noise = np.random.default_rng(seed).normal(size=16)
    rising = Line.through(xs, noise + 2 * xs)
    assert not rising.flat
    straightened = noise - Line.through(xs, noise).slope * xs
    assert Line.through(xs, straightened).flat


def test_one_place_gives_no_line():
    with pytest.raises(ValueError, match="identical"):
        Line.through([1, 1], [2.0, 3.0])
