"""Lists of words as CSV: read and checked as a whole, then drawn into a folder.

word,translation,style
学习,study,ink
猫,cat,
"""

import asyncio
import csv
import io
import unicodedata
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import regex
from pydantic import ValidationError

from writing_service.api.schemas import WritingImageRequest
from writing_service.batch import BatchProcessor, Draw
from writing_service.encoding import encode_result
from writing_service.errors import InvalidRequest, WritingServiceError
from writing_service.rendering.words import normalize_word
from writing_service.types import AIGenerationResult, ImageFormat, WritingRequest

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

LONGEST_NAME = 120
"""Bytes of a word in a file's name; file systems take 255 for the whole name."""

Row = tuple[int, list[str]]
"""The line it begins on, counted from 1, and its cells, trimmed."""


@dataclass(frozen=True)
class ListedWord:
    """One row: where it stands among all rows and in the file, both from 1, and what it asks for."""

    number: int
    line: int
    request: WritingRequest


def read_word_list(path: Path, defaults: Mapping[str, object]) -> list[ListedWord]:
    """All words of a CSV file: UTF-8, with a header line. A cell left empty takes its default.

    Raises InvalidRequest, naming the line, for the first thing that is wrong.
    """
    rows = _rows(_text(path), path)
    header = next(rows, None)
    if header is None:
        raise InvalidRequest(f"'{path}' is empty; its first line must name the columns.")
    columns = _columns(header, path)
    words = [
        ListedWord(number, row[0], _request(row, columns, defaults, path))
        for number, row in enumerate(rows, 1)
    ]
    if not words:
        raise InvalidRequest(f"'{path}' has a header but no words.")
    return words


async def draw_word_list(
    draw: Draw, words: Sequence[ListedWord], folder: Path, image_format: ImageFormat
) -> AsyncGenerator[tuple[ListedWord, Path | WritingServiceError]]:
    """Each word and the file that its picture was saved to, or why there is none, as they finish.

    Files of the same names are written over. Raises InvalidRequest when there can be no folder;
    close the generator as BatchProcessor's.
    """
    await asyncio.to_thread(_make, folder)
    requests = [one.request for one in words]
    async with aclosing(BatchProcessor(draw).process(requests)) as finished:
        async for index, outcome in finished:
            word = words[index]
            if isinstance(outcome, AIGenerationResult):
                path = folder / file_name(word, image_format, len(words))
                outcome = await asyncio.to_thread(_save, outcome, path, image_format)
            yield word, outcome


def file_name(word: ListedWord, image_format: ImageFormat, total: int) -> str:
    """Such as 001-学习.png: rows in order, whatever they hold; `total` is how many there are."""
    digits = max(3, len(str(total)))
    return f"{word.number:0{digits}}-{_safe(word.request.word)}.{image_format.value}"


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be read: {_reason(error)}.") from None
    try:
        # Spreadsheets put a byte order mark before their UTF-8.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"Line {line} of '{path}' is not UTF-8; save the list as CSV in UTF-8."
        raise InvalidRequest(message) from None


def _rows(text: str, path: Path) -> Iterator[Row]:
    """Without those that are blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            trimmed = [cell.strip() for cell in cells]
            if any(trimmed):
                yield line, trimmed
            # A quoted cell may hold line breaks, so that a row is not always one line.
            line = reader.line_num + 1
    except csv.Error as error:
        raise _wrong(line, path, f"is no CSV: {error}") from None


def _columns(header: Row, path: Path) -> list[str]:
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


def _request(
    row: Row, columns: Sequence[str], defaults: Mapping[str, object], path: Path
) -> WritingRequest:
    """Within the bounds of a request over HTTP, whose schema has them."""
    line, cells = row
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        raise _wrong(line, path, f"has more cells than the {len(columns)} columns")
    given = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    if WORD not in given:
        raise _wrong(line, path, "has no word")
    try:
        return WritingImageRequest.model_validate({**defaults, **given}).to_request()
    except ValidationError as error:
        raise _wrong(line, path, f"is wrong: {_complaint(error)}") from None


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name, what = first["loc"][0], first["msg"].removeprefix("Value error, ").rstrip(".")
    what = what.removeprefix("Input ").removeprefix("String ")
    return what if name == WORD else f"'{name}' {what[:1].lower()}{what[1:]}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(f"'{folder}' cannot be made: {_reason(error)}.") from None


def _save(
    result: AIGenerationResult, path: Path, image_format: ImageFormat
) -> Path | WritingServiceError:
    try:
        path.write_bytes(encode_result(result, 0, image_format))
    except OSError as error:
        return InvalidRequest(f"'{path}' cannot be written: {_reason(error)}.")
    return path


def _safe(word: str) -> str:
    """Letters, marks, digits and symbols; all else, which a file system or a shell might take amiss, is a hyphen."""
    plain = regex.sub(r"[^\p{L}\p{M}\p{N}\p{So}\p{Co}]+", "-", normalize_word(word)).strip("-")
    short = plain.encode()[:LONGEST_NAME].decode(errors="ignore")
    return unicodedata.normalize("NFC", short) or WORD


def _wrong(line: int, path: Path, what: str) -> InvalidRequest:
    return InvalidRequest(f"Line {line} of '{path}' {what}.")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
