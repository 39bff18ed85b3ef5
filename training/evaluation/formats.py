"""Words of one to twelve characters, in lines and columns, and pictures of other sizes and shapes."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from training.art import STYLES
from training.evaluation.bench import Bench, Progress
from training.evaluation.control import sans_styles
from training.evaluation.gallery import Picture, in_rows
from training.evaluation.held_out import HeldOut
from training.evaluation.results import Row, told
from writing_service.types import Size, TextDirection

LENGTHS = (
    HeldOut("鞋", "chi_sim", "shoe"),
    HeldOut("학교", "kor", "school"),
    HeldOut("owl", "eng", "owl"),
    HeldOut("крот", "rus", "mouse"),
    HeldOut("Apfel", "deu", "apple"),
    HeldOut("guitar", "eng", "guitar"),
    HeldOut("penguin", "eng", "penguin"),
    HeldOut("umbrella", "eng", "umbrella"),
    HeldOut("crocodile", "eng", "crocodile"),
    HeldOut("strawberry", "eng", "strawberry"),
    HeldOut("caterpillar", "eng", "bug"),
    HeldOut("hippopotamus", "eng", "hippopotamus"),
)
"""The first has one character, the last twelve."""

LINES = (
    HeldOut("birthday cake", "eng", "birthday cake"),
    HeldOut("Schwarzwälder Kirschtorte", "deu", "cake"),
)
COLUMNS = (HeldOut("望远镜", "chi_sim", "telescope"), HeldOut("うさぎ", "jpn", "rabbit"))
SIZES = (
    (Size(256, 256), 5),
    (Size(512, 512), 5),
    (Size(768, 768), 4),
    (Size(1024, 1024), 2),
    (Size(512, 1024), 3),
    (Size(1024, 512), 3),
)
"""And how many pictures of each: large ones take long."""


@dataclass(frozen=True)
class Read:
    """Of words that are read plain, how many are read in the picture."""

    plain: int
    drawn: int


@dataclass(frozen=True)
class Formats:
    """By length and way of setting, and by size."""

    by_setting: dict[str, Read]
    by_size: dict[str, Read]

    def rows(self) -> Iterable[Row]:
        """All, with the lengths together."""
        for what, read in [*self.by_setting.items(), *self.by_size.items()]:
            yield Row(f"words read, {what}", told(read.drawn, read.plain))


@dataclass(frozen=True, eq=False)
class _Case:
    what: str
    entry: HeldOut
    style: str
    given: dict[str, Any]


async def measure(bench: Bench) -> Formats:
    """A few pictures of each."""
    settings, sizes = settings_cases(), size_cases(bench)
    progress = Progress("formats", len(settings) + len(sizes))
    by_setting, pictures = await _read(bench, settings, progress)
    bench.show("lengths", in_rows(pictures, 4), 160)
    by_size, pictures = await _read(bench, sizes, progress)
    bench.show("sizes", in_rows(pictures, 6), 192)
    return Formats(by_setting, by_size)


def settings_cases() -> list[_Case]:
    """Every length, two lines, columns, in styles of plain type."""
    styles = sans_styles()
    across: dict[str, Any] = {}
    down = {"text_direction": TextDirection.VERTICAL}
    cases = [
        *(("1 to 4 characters", entry, across) for entry in LENGTHS[:4]),
        *(("5 to 8 characters", entry, across) for entry in LENGTHS[4:8]),
        *(("9 to 12 characters", entry, across) for entry in LENGTHS[8:]),
        *(("two words", entry, across) for entry in LINES),
        *(("downwards", entry, down) for entry in COLUMNS),
    ]
    return [
        _Case(what, entry, styles[number % len(styles)], given)
        for number, (what, entry, given) in enumerate(cases)
    ]


def size_cases(bench: Bench) -> list[_Case]:
    """Every size, with words and styles in turn."""
    words = bench.held_out(11)
    numbered = enumerate((size, turn) for size, count in SIZES for turn in range(count))
    return [
        _Case(
            f"{size.width} × {size.height}",
            words[number % len(words)],
            STYLES[turn % len(STYLES)],
            {"width": size.width, "height": size.height},
        )
        for number, (size, turn) in numbered
    ]


async def _read(
    bench: Bench, cases: Sequence[_Case], progress: Progress
) -> tuple[dict[str, Read], list[Picture]]:
    answers: dict[str, list[tuple[Future[bool], Future[bool]]]] = {}
    pictures = []
    for number, case in enumerate(cases):
        entry = case.entry
        drawing = await bench.draw(entry.word, entry.meaning, case.style, number, **case.given)
        asked = (
            bench.readers.ask_plain(drawing.word, entry.language),
            bench.readers.ask(drawing.picture, drawing.word, entry.language),
        )
        answers.setdefault(case.what, []).append(asked)
        pictures.append(drawing.picture)
        progress.tick()
    return {what: _count(asked) for what, asked in answers.items()}, pictures


def _count(asked: Sequence[tuple[Future[bool], Future[bool]]]) -> Read:
    plain = [drawn for plain, drawn in asked if plain.result()]
    return Read(len(plain), sum(drawn.result() for drawn in plain))
