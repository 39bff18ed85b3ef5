"""Is the style seen? The judge's other answer, over the pictures of legibility and meaning."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from training.evaluation.results import Row, told


@dataclass(frozen=True)
class Style:
    """Of `pictures`, how many are named by their style."""

    pictures: int
    right: int

    def rows(self) -> Iterable[Row]:
        """One."""
        yield Row("styles named", told(self.right, self.pictures), goal="0.99")


def of(*parts: Mapping[str, Any]) -> Style:
    """From the saved figures of parts that count them: `total.pictures` and `style_right`."""
    return Style(
        sum(part["total"]["pictures"] for part in parts), sum(part["style_right"] for part in parts)
    )
