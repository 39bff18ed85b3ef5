"""A straight line through points: how much is fixed, how much grows, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import linregress

SURE = 2.0
"""A slope of so many standard errors is no accident."""


@dataclass(frozen=True)
class Line:
    """`fixed + slope * x`; `slope_error` is the slope's standard error."""

    fixed: float
    slope: float
    slope_error: float

    @classmethod
    def through(cls, xs: Sequence[float], ys: Sequence[float]) -> "Line":
        """By least squares. Raises ValueError for fewer than two different `xs`."""
        found = linregress(xs, ys)
        return cls(float(found.intercept), float(found.slope), float(found.stderr))

    def at(self, x: float) -> float:
        """The line's y."""
        return self.fixed + self.slope * x

    def departure(self, xs: Sequence[float], ys: Sequence[float]) -> float:
        """The point farthest from the line, as a share of its own y, which must not be 0."""
        return max(abs(y - self.at(x)) / abs(y) for x, y in zip(xs, ys, strict=True))

    @property
    def flat(self) -> bool:
        """Whether the slope is within the noise."""
        return abs(self.slope) <= SURE * self.slope_error
