"""What the text alone can do: no pictogram, the meaning in the prompt, more guidance."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from training.art import STYLES
from training.captions import COMMON
from training.evaluation.bench import Bench, Progress
from training.evaluation.gallery import in_rows
from training.evaluation.results import Row, told

GUIDANCE = 5.5
WORD = "字"


@dataclass(frozen=True)
class TextAlone:
    """How often the concept is the judge's first among the common ones, and among its first five of all."""

    pictures: int
    first_of_common: int
    first_five_of_all: int
    missed: dict[str, str]

    def rows(self) -> Iterable[Row]:
        """Both."""
        first = told(self.first_of_common, self.pictures)
        yield Row("text alone: subject named first among the common ones", first)
        five = told(self.first_five_of_all, self.pictures)
        yield Row("text alone: subject among the first five of all", five)


async def measure(bench: Bench) -> TextAlone:
    """One picture a common concept, styles in turn."""
    index_of = bench.judge.vocabulary.index_of
    names = [name for name in COMMON if index_of(name) is not None]
    wanted = np.array([index_of(name) for name in names])
    progress = Progress("text_alone", len(names))
    drawn = []
    for number, name in enumerate(names):
        style = STYLES[number % len(STYLES)]
        drawing = await bench.draw(
            WORD, name, style, number, pictogram="off", guidance_scale=GUIDANCE
        )
        drawn.append(drawing.seen)
        progress.tick()
    bench.show("text-alone", in_rows(drawn, 11), 128)
    told_concepts = bench.judge.judge(drawn).concepts
    best = told_concepts[:, wanted].argmax(1)
    five = np.argsort(-told_concepts, axis=1)[:, :5]
    right = wanted[best] == wanted
    return TextAlone(
        len(names),
        int(right.sum()),
        int((five == wanted[:, None]).any(1).sum()),
        {name: names[told] for name, told, ok in zip(names, best, right, strict=True) if not ok},
    )
