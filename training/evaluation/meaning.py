"""Is the subject seen? The judge names the concept of pictures drawn with its pictogram."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from training.art import STYLES
from training.evaluation.bench import Bench, Progress
from training.evaluation.gallery import Picture, fitted, in_rows
from training.evaluation.held_out import HELD_OUT
from training.evaluation.judge import SIDE, Judge
from training.evaluation.results import Row, told

GOAL = "0.80 of 600, then 0.90 of 1,000"
_SHOWN = 60
_SHORT = 2
"""Characters of the word in front: it is there, but it is not what is asked for."""


@dataclass(frozen=True)
class Named:
    """Of `pictures`, how many drawn ones and how much of their art the judge names rightly."""

    pictures: int
    drawn: int
    art: int


@dataclass(frozen=True)
class Meaning:
    """`missed` are class and what the judge saw instead, where it is right about the art."""

    total: Named
    by_style: dict[str, Named]
    style_right: int
    missed: dict[str, str]

    def rows(self) -> Iterable[Row]:
        """The whole and every style."""
        yield _row("subjects named first, of so many concepts", self.total, GOAL)
        for style, named in self.by_style.items():
            yield _row(f"— {style}", named)


async def measure(bench: Bench) -> Meaning:
    """One picture a class, styles in turn, a short word in front."""
    chosen = some_classes(bench.judge, bench.concepts)
    words = [entry.word for entry in HELD_OUT if len(entry.word) <= _SHORT]
    progress = Progress("meaning", len(chosen))
    drawn: list[Picture] = []
    art: list[Picture] = []
    for number, index in enumerate(chosen):
        name, style = bench.judge.vocabulary.classes[index][0], STYLES[number % len(STYLES)]
        word = words[number % len(words)]
        drawing = await bench.draw(word, name, style, number, pictogram=name)
        drawn.append(drawing.seen)
        art.append(fitted(drawing.art(), SIDE))
        progress.tick()
    bench.show("meaning", in_rows(drawn[:_SHOWN], 10), SIDE)
    return _figures(bench.judge, np.array(chosen), drawn, art)


def some_classes(judge: Judge, count: int) -> list[int]:
    """So many of the judge's classes, the same ones each time."""
    order = list(range(len(judge.vocabulary)))
    random.Random(0).shuffle(order)
    return order[:count]


def _figures(
    judge: Judge, wanted: np.ndarray, drawn: Sequence[Picture], art: Sequence[Picture]
) -> Meaning:
    verdict = judge.judge(drawn)
    named, named_art = verdict.concepts.argmax(1), judge.judge(art).concepts.argmax(1)
    right, right_art = named == wanted, named_art == wanted
    styles = np.arange(len(wanted)) % len(STYLES)
    names = [names[0] for names in judge.vocabulary.classes]
    return Meaning(
        _count(right, right_art),
        {
            style: _count(right[styles == index], right_art[styles == index])
            for index, style in enumerate(STYLES)
        },
        int(np.sum(np.array(judge.styles)[verdict.styles.argmax(1)] == np.array(STYLES)[styles])),
        {
            names[want]: names[name]
            for want, name in zip(wanted[right_art], named[right_art], strict=True)
            if want != name
        },
    )


def _count(drawn: np.ndarray, art: np.ndarray) -> Named:
    return Named(len(drawn), int(drawn.sum()), int(art.sum()))


def _row(what: str, named: Named, goal: str = "") -> Row:
    return Row(what, told(named.drawn, named.pictures), told(named.art, named.pictures), goal)
