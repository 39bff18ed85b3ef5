"""Can the word be read? Held-out words in every style, beside the art and the plain rendering."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from training.art import STYLES
from training.evaluation.bench import Bench, Drawing, Progress
from training.evaluation.gallery import Picture
from training.evaluation.held_out import HeldOut
from training.evaluation.results import Row, told

GOAL = "0.95, then 0.98"
_SHOWN = 20


@dataclass(frozen=True)
class Tally:
    """Of `pictures`, in how many the plain rendering is read; of those, how many drawn ones and how much art.

    A word that is not read in plain black on white says nothing about the picture.
    """

    pictures: int
    plain: int
    drawn: int
    art: int


@dataclass(frozen=True)
class Legibility:
    """`unread` are style and word of those that are read plain and not as drawn."""

    total: Tally
    by_script: dict[str, Tally]
    by_style: dict[str, Tally]
    style_right: int
    meaning_right: int
    meaning_asked: int
    unread: tuple[str, ...] = field(default=())

    def rows(self) -> Iterable[Row]:
        """The whole, every style, every script."""
        yield _row("words read, of those read in plain print", self.total, GOAL)
        for name, tally in [*self.by_style.items(), *self.by_script.items()]:
            yield _row(f"— {name}", tally)


@dataclass(frozen=True, eq=False)
class Asked:
    """A word in a style, and what the readers will say."""

    entry: HeldOut
    style: str
    drawn: Future[bool]
    art: Future[bool]
    plain: Future[bool]


async def measure(bench: Bench) -> Legibility:
    """Draw every word in every style; read while the next is drawn."""
    words = bench.held_out()
    shown = {entry.word for entry in bench.held_out(_SHOWN)}
    progress = Progress("legibility", len(words) * len(STYLES))
    asked, seen, subjects, gallery = [], [], [], []
    for number, entry in enumerate(words):
        row = []
        for style in STYLES:
            drawing = await bench.draw(entry.word, entry.meaning, style, number)
            art = drawing.art()
            asked.append(_ask(bench, entry, style, drawing, art))
            seen.append(drawing.seen)
            subjects.append(drawing.scene.pictogram and drawing.scene.pictogram.name)
            row += [drawing.picture, art]
            progress.tick()
        if entry.word in shown:
            gallery.append(row)
    bench.show("words", gallery, 112)
    verdict = bench.judge.judge(seen)
    named, styles = verdict.concepts.argmax(1), verdict.styles.argmax(1)
    wanted = [bench.judge.vocabulary.index_of(name or "") for name in subjects]
    return _tallied(
        asked,
        sum(bench.judge.styles[told] == one.style for told, one in zip(styles, asked, strict=True)),
        sum(int(told) == index for told, index in zip(named, wanted, strict=True)),
        sum(index is not None for index in wanted),
    )


def _ask(bench: Bench, entry: HeldOut, style: str, drawing: Drawing, art: Picture) -> Asked:
    word, language = drawing.word, entry.language
    return Asked(
        entry,
        style,
        bench.readers.ask(drawing.picture, word, language),
        bench.readers.ask(art, word, language),
        bench.readers.ask_plain(word, language),
    )


def _tallied(asked: Sequence[Asked], style: int, meaning: int, meanings: int) -> Legibility:
    scripts = dict.fromkeys(one.entry.script for one in asked)
    return Legibility(
        tally(asked),
        {name: tally([one for one in asked if one.entry.script == name]) for name in scripts},
        {name: tally([one for one in asked if one.style == name]) for name in STYLES},
        style,
        meaning,
        meanings,
        tuple(
            f"{one.style} {one.entry.word}"
            for one in asked
            if one.plain.result() and not one.drawn.result()
        ),
    )


def tally(asked: Sequence[Asked]) -> Tally:
    """Waits until all are read."""
    plain = [one for one in asked if one.plain.result()]
    return Tally(
        len(asked),
        len(plain),
        sum(one.drawn.result() for one in plain),
        sum(one.art.result() for one in plain),
    )


def _row(what: str, tally: Tally, goal: str = "") -> Row:
    return Row(what, told(tally.drawn, tally.plain), told(tally.art, tally.plain), goal)
