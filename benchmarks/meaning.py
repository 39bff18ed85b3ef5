"""Is the subject recognised? Run by `make bench-meaning` (some two seconds a picture).

    python -m benchmarks.meaning [concepts=100] [outside=44]

Words go the whole way of a request, the meaning as a translation. The judge, which has seen clean art alone, names
the concept of what was drawn, and of the training art of the same scenes, beyond which nothing can come. `concepts`
are translations that name a concept of the pictograms; those `outside` name none, and are to be shown by the nearest
concept in WordNet. The pictures are in out/meaning.webp.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.art import STYLES
from training.evaluation.bench import Drawing
from training.evaluation.gallery import fitted, in_rows, save_sheet
from training.evaluation.held_out import HELD_OUT
from training.evaluation.judge import SIDE, Judge
from training.evaluation.meaning import some_classes
from training.evaluation.results import told
from writing_service.app import create_generator
from writing_service.config import load_settings
from writing_service.generator import AIImageGenerator
from writing_service.types import WritingRequest

SHEET = Path("out/meaning.webp")
FIRST = 5

_OUTSIDE = {
    "dog face": "spaniel, wolfhound, terrier",
    "horse face": "stallion, colt",
    "cow face": "heifer",
    "bird": "sparrow, seagull, stork, nightingale, woodpecker",
    "owl": "eagle owl",
    "parrot": "parakeet",
    "fish": "salmon, trout, mackerel",
    "snake": "viper",
    "spider": "tarantula",
    "honeybee": "hornet",
    "worm": "leech",
    "deciduous tree": "birch",
    "tulip": "daffodil",
    "house": "cottage, mansion, shack",
    "automobile": "sedan, limousine, jeep",
    "sailboat": "rowing boat, schooner",
    "ship": "submarine, freighter",
    "airplane": "biplane",
    "watch": "wristwatch",
    "pill": "ibuprofen, aspirin",
    "open book": "encyclopedia",
    "drum": "tambourine",
    "health worker": "surgeon",
    "wind face": "gale",
    "water wave": "brook",
    "lion": "bravery",
    "thinking face": "philosophy",
    "dashing away": "velocity",
}
"""By the concept that a person would expect: translations that are no word of any concept."""

OUTSIDE = [(word, concept) for concept, words in _OUTSIDE.items() for word in words.split(", ")]


@dataclass(frozen=True)
class Options:
    """How many of each."""

    concepts: int = 100
    outside: int = len(OUTSIDE)


@dataclass(frozen=True)
class Case:
    """A translation, and the concept that its picture is to show."""

    translation: str
    concept: str


@dataclass(frozen=True, eq=False)
class Drawn:
    """A case and what was drawn for it."""

    case: Case
    drawing: Drawing

    @property
    def shown(self) -> str | None:
        """The concept of the pictogram."""
        used = self.drawing.result.metadata["pictogram_used"]
        return used and used["name"]


class Table:
    """Counts of what the judge recognises."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def print(self, what: str, drawn: Sequence[Drawn]) -> None:
        """Three lines: the concept that was chosen, the judge's first, and among its first five."""
        chosen = [self._class(one.shown) == self._class(one.case.concept) for one in drawn]
        pictures = self._ranks(drawn, [one.drawing.seen for one in drawn])
        art = self._ranks(drawn, [fitted(one.drawing.art(), SIDE) for one in drawn])
        print(f"{what}: the concept is chosen {told(sum(chosen), len(drawn))}")
        for most, name in ((1, "named first"), (FIRST, f"among the first {FIRST}")):
            print(f"  {name:20}{told(int((pictures < most).sum()), len(drawn)):>22}", end="")
            print(f"   art {told(int((art < most).sum()), len(drawn))}")
        for one, right in zip(drawn, chosen, strict=True):
            if not right:
                print(f"  '{one.case.translation}' showed {one.shown}, not {one.case.concept}")

    def _ranks(self, drawn: Sequence[Drawn], pictures: Sequence[np.ndarray]) -> np.ndarray:
        """At which place of all classes, from 0, the judge has the wanted one."""
        told_concepts = self._judge.judge(pictures).concepts
        wanted = np.array([self._class(one.case.concept) for one in drawn])
        own = told_concepts[np.arange(len(drawn)), wanted]
        return (told_concepts > own[:, None]).sum(1)

    def _class(self, name: str | None) -> int | None:
        return name and self._judge.vocabulary.index_of(name)


async def main(options: Options) -> None:
    """Draw, judge, print."""
    judge = Judge.load()
    generator = create_generator(load_settings())
    known = [
        Case(name, name)
        for index in some_classes(judge, options.concepts)
        for name in judge.vocabulary.classes[index][:1]
    ]
    outside = [Case(*pair) for pair in OUTSIDE[: options.outside]]
    drawn = [await draw(generator, number, case) for number, case in enumerate([*known, *outside])]
    generator.close()
    table = Table(judge)
    print(f"{len(judge.vocabulary)} classes; by chance one of them is named first")
    table.print("known", drawn[: len(known)])
    if outside:
        table.print("outside the vocabulary", drawn[len(known) :])
    save_sheet(SHEET, in_rows([one.drawing.seen for one in drawn], 10), SIDE)


async def draw(generator: AIImageGenerator, number: int, case: Case) -> Drawn:
    """A short word in front, styles in turn."""
    words = [entry.word for entry in HELD_OUT if len(entry.word) <= 2]
    request = WritingRequest(
        words[number % len(words)],
        case.translation,
        style=STYLES[number % len(STYLES)],
        seed=number,
        width=512,
        height=512,
    )
    result = await generator.generate(request)
    return Drawn(case, Drawing(result, np.asarray(result.images[0].image.convert("RGB"))))


def parse(arguments: Sequence[str]) -> Options:
    """`key=value` each. Raises SystemExit for anything else."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if unknown := given.keys() - {"concepts", "outside"}:
        raise SystemExit(f"Unknown: {', '.join(unknown)}; known: concepts, outside")
    return Options(**{key: int(value) for key, value in given.items()})


if __name__ == "__main__":
    asyncio.run(main(parse(sys.argv[1:])))
