"""Is it the ControlNets that write the word? All at less and less weight, and each alone."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from training.evaluation.bench import Bench, Progress
from training.evaluation.gallery import Picture
from training.evaluation.results import Row, told
from writing_service.config import load_settings
from writing_service.types import ConditioningKind, FaceKind

WORDS = 20
FACTORS = (0.0, 0.25, 0.5, 1.0)
_SHOWN = 6


@dataclass(frozen=True)
class Control:
    """Of `plain` words that are read plain, how many are read in the picture, by what held it."""

    plain: int
    by_weights: dict[str, int]
    by_kind: dict[str, int]

    def rows(self) -> Iterable[Row]:
        """The weights, then the kinds."""
        for factor, count in self.by_weights.items():
            goal = "0" if factor == "0" else ""
            yield Row(
                f"words read at {factor} times the weights", told(count, self.plain), goal=goal
            )
        for kind, count in self.by_kind.items():
            yield Row(f"words read under {kind} alone", told(count, self.plain))


async def measure(bench: Bench) -> Control:
    """The same words under each of the conditions."""
    conditions = [*(f"{factor:g}" for factor in FACTORS), *ConditioningKind]
    words, styles = bench.held_out(WORDS), sans_styles()
    progress = Progress("control", len(words) * len(conditions))
    plain: list[Future[bool]] = []
    read: dict[str, list[Future[bool]]] = {name: [] for name in conditions}
    gallery: list[list[Picture]] = []
    for number, entry in enumerate(words):
        style, row = styles[number % len(styles)], []
        for name, weights in _conditions(style).items():
            drawing = await bench.draw(
                entry.word, entry.meaning, style, number, conditioning_weights=weights
            )
            read[name].append(bench.readers.ask(drawing.picture, drawing.word, entry.language))
            row.append(drawing.picture)
            progress.tick()
        plain.append(bench.readers.ask_plain(drawing.word, entry.language))
        gallery.append(row)
    bench.show("control", gallery[:_SHOWN], 128)
    counted = {name: _both(plain, answers) for name, answers in read.items()}
    kinds = {kind.value: counted.pop(kind) for kind in ConditioningKind}
    return Control(sum(one.result() for one in plain), counted, kinds)


def sans_styles() -> list[str]:
    """Styles whose words are set in plain type."""
    styles = load_settings().ai_generation.styles
    return [name for name, style in styles.items() if style.face is FaceKind.SANS]


def _conditions(style: str) -> Mapping[str, Mapping[ConditioningKind, float]]:
    usual = load_settings().ai_generation.styles[style].controlnet_weights
    conditions: dict[str, Mapping[ConditioningKind, float]] = {
        f"{factor:g}": {kind: factor * usual[kind] for kind in ConditioningKind}
        for factor in FACTORS
    }
    for kind in ConditioningKind:
        conditions[kind] = {other: float(other is kind) for other in ConditioningKind}
    return conditions


def _both(plain: list[Future[bool]], drawn: list[Future[bool]]) -> int:
    return sum(one.result() and other.result() for one, other in zip(plain, drawn, strict=True))
