"""What was measured of each picture, kept line by line, so that a run that was stopped goes on."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

PLAIN, BEFORE, AFTER = "plain", "before", "after"
"""The plain rendering; the picture as first drawn; the one that leaves the gate. Others are drawn with less weight."""


GATED = ", then the gate"
"""Behind the factor of pictures that are drawn with less weight at first, and then as the gate says."""


class Key(NamedTuple):
    """Which picture."""

    text: str
    style: str
    condition: str


@dataclass(frozen=True)
class Record:
    """One picture: its score, and what was read of it (`distance` 0 is the word itself).

    `attempts` is how many were drawn for it.
    """

    text: str
    script: str
    style: str
    condition: str
    score: float
    weakest: float
    distance: float
    read: str
    reader: str
    attempts: int = 1

    @property
    def key(self) -> Key:
        """Which picture."""
        return Key(self.text, self.style, self.condition)

    @property
    def exact(self) -> bool:
        """Whether the word was read."""
        return self.distance == 0


@dataclass(frozen=True)
class Case:
    """A word in a style. `less` are the pictures drawn with less weight, if any."""

    plain: Record
    before: Record
    after: Record
    less: tuple[Record, ...]


class Records:
    """A file of them, one JSON object a line."""

    def __init__(self, file: Path) -> None:
        """What the file has already is known; a last line that was cut short is measured again."""
        self._file = file
        self._known = {record.key: record for record in _read(file)}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(map(_line, self._known.values())))

    def get(self, key: Key) -> Record | None:
        """None when it was not measured yet."""
        return self._known.get(key)

    def case(self, text: str, style: str) -> Case | None:
        """All that is known of a word in a style; None when it was not drawn yet."""
        found = {key.condition: one for key, one in self._known.items() if key[:2] == (text, style)}
        if not {PLAIN, BEFORE} <= set(found):
            return None
        plain, before = found.pop(PLAIN), found.pop(BEFORE)
        return Case(plain, before, found.pop(AFTER, before), tuple(found.values()))

    def add(self, record: Record) -> None:
        """Keep it."""
        self._known[record.key] = record
        with self._file.open("a") as file:
            file.write(_line(record))


def _read(file: Path) -> Iterator[Record]:
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            yield Record(**json.loads(line))
        except (ValueError, TypeError):
            continue


def _line(record: Record) -> str:
    return json.dumps(asdict(record), ensure_ascii=False) + "\n"
