"""torch.compile with a fixed set of batch sizes: all is compiled before the first request, nothing while serving."""

from bisect import bisect_left
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")

SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Rows for which networks are compiled or recorded: guided pictures, two rows each, fill most of them exactly."""

MOST_FORMS = 256
"""Of one block that torch keeps: one for each of SIZES and each width. Its own limit is 8."""


@dataclass(frozen=True)
class BatchSizes:
    """How many rows the networks are given at once: SIZES, if `fixed`, as for compiled ones, else any number."""

    fixed: bool = False

    def filled(self, rows: Sequence[Item]) -> list[Item]:
        """The rows, the last one repeated until there are as many as the networks take."""
        place = bisect_left(SIZES, len(rows))
        if not self.fixed or place == len(SIZES):
            return list(rows)
        return [*rows, *[rows[-1]] * (SIZES[place] - len(rows))]

    def up_to(self, most: int) -> tuple[int, ...]:
        """Those that batches of at most `most` rows, 1 or more, come to; none where any number will do."""
        return SIZES[: bisect_left(SIZES, most) + 1] if self.fixed else ()


def compile_blocks(networks: Sequence[Any], names: Sequence[str]) -> None:
    """Have the blocks of these class names compiled when they first run, one form for each batch and picture size.

    Only such as repeat: whole networks take minutes and are hardly quicker.
    """
    # torch has no public name for this limit.
    torch._dynamo.config.recompile_limit = MOST_FORMS  # pyright: ignore[reportPrivateUsage]
    for network in networks:
        for block in network.modules():
            if type(block).__name__ in names:
                block.compile(dynamic=False)


@contextmanager
def nothing_compiled() -> Generator[None]:
    """Meanwhile shapes that were not compiled run as they are."""
    with torch.compiler.set_stance("eager_on_recompile"):
        yield
