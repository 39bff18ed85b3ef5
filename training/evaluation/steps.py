"""How many steps are enough? The same words and subjects at several numbers of steps."""

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from training.art import STYLES
from training.evaluation.bench import Bench, Drawing, Progress
from training.evaluation.results import Row, told

STEPS = (6, 8, 10, 12)
WORDS = 40


@dataclass(frozen=True)
class AtSteps:
    """Of `plain` words that are read plain, how many are read; of `subjects`, how many the judge names first."""

    plain: int
    read: int
    subjects: int
    named: int
    seconds_each: float


@dataclass(frozen=True)
class Steps:
    """By number of steps."""

    at: dict[str, AtSteps]

    def rows(self) -> Iterable[Row]:
        """Legibility, meaning and time of each."""
        for steps, figures in self.at.items():
            read, named = told(figures.read, figures.plain), told(figures.named, figures.subjects)
            told_all = f"{read}, {named}, {figures.seconds_each:.2f} s"
            yield Row(f"{steps} steps: words read, subjects named, a picture", told_all)


async def measure(bench: Bench) -> Steps:
    """Every word at every number."""
    progress = Progress("steps", len(STEPS) * len(bench.held_out(WORDS)))
    return Steps({str(steps): await _at(bench, steps, progress) for steps in STEPS})


async def _at(bench: Bench, steps: int, progress: Progress) -> AtSteps:
    plain: list[Future[bool]] = []
    read: list[Future[bool]] = []
    drawings: list[Drawing] = []
    for number, entry in enumerate(bench.held_out(WORDS)):
        style = STYLES[number % len(STYLES)]
        drawing = await bench.draw(
            entry.word, entry.meaning, style, number, num_inference_steps=steps
        )
        plain.append(bench.readers.ask_plain(drawing.word, entry.language))
        read.append(bench.readers.ask(drawing.picture, drawing.word, entry.language))
        drawings.append(drawing)
        progress.tick()
    told_concepts = bench.judge.judge([drawing.seen for drawing in drawings]).concepts.argmax(1)
    wanted = [bench.judge.vocabulary.index_of(_subject(drawing)) for drawing in drawings]
    milliseconds = [drawing.result.metadata["generation_time_ms"] for drawing in drawings]
    return AtSteps(
        sum(one.result() for one in plain),
        sum(one.result() and other.result() for one, other in zip(plain, read, strict=True)),
        sum(index is not None for index in wanted),
        sum(int(one) == index for one, index in zip(told_concepts, wanted, strict=True)),
        sum(milliseconds) / len(milliseconds) / 1000,
    )


def _subject(drawing: Drawing) -> str:
    return drawing.scene.pictogram.name if drawing.scene.pictogram else ""
