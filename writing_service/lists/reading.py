"""Lists of words as CSV, or as Anki exports its notes: read and checked as a whole.

word,translation,style
学习,study,ink
猫,cat,
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from writing_service.api.schemas import checked_request
from writing_service.errors import InvalidRequest
from writing_service.lists.anki import AnkiHeader, columns_of, plain_text, read_header
from writing_service.saving import reason
from writing_service.types import WritingRequest

WORD = "word"
COLUMNS = (
    WORD,
    "translation",
    "hint_writing",
    "language",
    "style",
    "seed",
    "width",
    "height",
    "num_inference_steps",
    "guidance_scale",
    "preset",
    "pictogram",
)
"""Fields of a request that a list may have; only the word must be there."""

SKIPPED = "-"
"""In a list of column names: one that is not read."""

Row = tuple[int, list[str]]
"""The line it begins on, counted from 1, and its cells, trimmed."""


@dataclass(frozen=True)
class ListedWord:
    """One row: where it stands among all rows and in the file, both from 1, and what it asks for."""

    number: int
    line: int
    request: WritingRequest


def read_word_list(
    path: Path, defaults: Mapping[str, object], columns: Sequence[str] = ()
) -> list[ListedWord]:
    """All words of a file in UTF-8. A cell left empty takes its default.

    `columns` names them in their order, "-" for one that is not read; without, a CSV's first line does, and of Anki's
    notes the first two fields are word and translation where the file itself does not say. Raises InvalidRequest,
    naming the line, for the first thing that is wrong.
    """
    text = _text(path)
    anki = read_header(text)
    rows = _notes(text, anki, path) if anki else _rows(text, path, _separator(path))
    first = next(rows, None)
    if first is None:
        raise InvalidRequest(f"'{path}' is empty; its first line must name the columns.")
    if columns or anki:
        given = columns or columns_of(anki, len(first[1])) if anki else columns
        names, rows = _named(given, path, strict=bool(columns)), _again(first, rows)
    else:
        names = _columns(first, path)
    words = [
        ListedWord(number, row[0], _request(row, names, defaults, path))
        for number, row in enumerate(rows, 1)
    ]
    if not words:
        raise InvalidRequest(f"'{path}' has a header but no words.")
    return words


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be read: {reason(error)}.") from None
    try:
        # Spreadsheets put a byte order mark before their UTF-8.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"Line {line} of '{path}' is not UTF-8; save the list as CSV in UTF-8."
        raise InvalidRequest(message) from None


def _separator(path: Path) -> str:
    return "\t" if path.suffix.casefold() in (".tsv", ".tab") else ","


def _rows(text: str, path: Path, separator: str, skipped: int = 0) -> Iterator[Row]:
    """Without those that are blank, and without the first `skipped` lines."""
    lines = io.StringIO(text, newline="")
    for _ in range(skipped):
        lines.readline()
    reader = csv.reader(lines, strict=True, delimiter=separator)
    line = skipped + 1
    try:
        for cells in reader:
            trimmed = [cell.strip() for cell in cells]
            if any(trimmed):
                yield line, trimmed
            # A quoted cell may hold line breaks, so that a row is not always one line.
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise _wrong(line, path, f"is no CSV: {error}") from None


def _notes(text: str, header: AnkiHeader, path: Path) -> Iterator[Row]:
    for line, cells in _rows(text, path, header.separator, header.lines):
        yield line, [plain_text(cell, header.html) for cell in cells]


def _again(first: Row, others: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from others


def _columns(header: Row, path: Path) -> list[str]:
    """Of a CSV's first line. Raises InvalidRequest."""
    line, cells = header
    names = [cell.casefold() for cell in cells]
    if unknown := [cell for cell, name in zip(cells, names, strict=True) if name not in COLUMNS]:
        known = ", ".join(COLUMNS)
        raise _wrong(line, path, f"has an unknown column '{unknown[0]}'; there are: {known}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise _wrong(line, path, f"has the column '{twice[0]}' twice")
    if WORD not in names:
        raise _wrong(line, path, f"has no column '{WORD}'")
    return names


def _named(given: Sequence[str], path: Path, strict: bool) -> list[str]:
    """Names from elsewhere, "" for columns that are not read. Raises InvalidRequest, for unknown ones if `strict`."""
    names = [name.strip().casefold() for name in given]
    if strict and (unknown := [one for one in names if one not in (*COLUMNS, SKIPPED)]):
        known = ", ".join((*COLUMNS, SKIPPED))
        raise InvalidRequest(f"There is no column '{unknown[0]}'; there are: {known}.")
    read = [name if name in COLUMNS else "" for name in names]
    if twice := [name for name in read if name and read.count(name) > 1]:
        raise InvalidRequest(f"The column '{twice[0]}' of '{path}' is named twice.")
    if WORD not in read:
        raise InvalidRequest(
            f"No column of '{path}' is the word; name them: --columns word,translation,-"
        )
    return read


def _request(
    row: Row, columns: Sequence[str], defaults: Mapping[str, object], path: Path
) -> WritingRequest:
    line, cells = row
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        raise _wrong(line, path, f"has more cells than the {len(columns)} columns")
    named = zip(columns, cells, strict=False)
    given = {name: cell for name, cell in named if name and cell}
    if WORD not in given:
        raise _wrong(line, path, "has no word")
    try:
        return checked_request({**defaults, **given})
    except InvalidRequest as error:
        raise _wrong(line, path, f"is wrong: {str(error).rstrip('.')}") from None


def _wrong(line: int, path: Path, what: str) -> InvalidRequest:
    return InvalidRequest(f"Line {line} of '{path}' {what}.")
