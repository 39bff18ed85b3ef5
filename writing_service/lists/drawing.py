"""Draw a list of words into a folder, and take it up again where it was stopped.

Beside the pictures lies `contents.jsonl`, a line for each that is finished. A row whose picture is there, drawn from
the same request under the same settings, is not drawn again.
"""

import asyncio
import hashlib
import json
import unicodedata
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import regex

from writing_service.batch import BatchProcessor, Draw
from writing_service.config import AIGenerationSettings
from writing_service.encoding import encode_result
from writing_service.errors import InvalidRequest, WritingServiceError
from writing_service.lists.reading import WORD, ListedWord
from writing_service.rendering.words import normalize_word
from writing_service.saving import make_folder, reason, save
from writing_service.types import AIGenerationResult, ImageFormat, WritingRequest

CONTENTS = "contents.jsonl"

LONGEST_NAME = 120
"""Bytes of a word in a file's name; file systems take 255 for the whole name."""

_WITHOUT_EFFECT = {"enabled", "gpu", "cache", "warmup", "memory_leaks"}
"""Settings that change how fast pictures are drawn, not what is on them."""


@dataclass(frozen=True)
class ListPicture:
    """A row's picture. `drawn` is False where it was there already; `told` is its line of the contents."""

    path: Path
    drawn: bool
    told: Mapping[str, Any]


Outcome = ListPicture | WritingServiceError


async def draw_word_list(
    draw: Draw,
    words: Sequence[ListedWord],
    folder: Path,
    image_format: ImageFormat,
    settings: AIGenerationSettings,
    again: bool = False,
) -> AsyncGenerator[tuple[ListedWord, Outcome]]:
    """Each word and its picture, or why there is none, as they finish: first those that are there already.

    With `again` all are drawn. Raises InvalidRequest when there can be no folder; close the generator as
    BatchProcessor's.
    """
    await asyncio.to_thread(make_folder, folder)
    names = [file_name(one, image_format, len(words)) for one in words]
    prints = [fingerprint(one.request, settings) for one in words]
    finished = {} if again else await asyncio.to_thread(read_contents, folder)
    missing: list[int] = []
    for index, word in enumerate(words):
        told = finished.get(names[index], {})
        if told.get("fingerprint") == prints[index] and (folder / names[index]).is_file():
            yield word, ListPicture(folder / names[index], False, told)
        else:
            missing.append(index)
    requests = [words[index].request for index in missing]
    async with aclosing(BatchProcessor(draw).process(requests)) as drawn:
        async for place, outcome in drawn:
            index = missing[place]
            if isinstance(outcome, AIGenerationResult):
                told = _told(words[index], names[index], prints[index], outcome)
                outcome = await asyncio.to_thread(_keep, folder, told, outcome, image_format)
            yield words[index], outcome


def file_name(word: ListedWord, image_format: ImageFormat, total: int) -> str:
    """Such as 001-学习.png: rows in order, whatever they hold; `total` is how many there are."""
    digits = max(3, len(str(total)))
    return f"{word.number:0{digits}}-{_safe(word.request.word)}.{image_format.value}"


def fingerprint(request: WritingRequest, settings: AIGenerationSettings) -> str:
    """Equal for requests that would give the same picture, but for chance."""
    under = settings.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    told = json.dumps([asdict(request), under], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def read_contents(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The finished pictures by file name; a last line that was never finished does not count."""
    try:
        lines = (folder / CONTENTS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRequest(f"'{folder / CONTENTS}' cannot be read: {why}.") from None
    return {told["file"]: told for told in map(_line, lines) if told}


def _line(text: str) -> Mapping[str, Any] | None:
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "file" in told else None


def _told(
    word: ListedWord, name: str, print_: str, result: AIGenerationResult
) -> Mapping[str, Any]:
    metadata = result.metadata
    return {
        "file": name,
        "line": word.line,
        "word": word.request.word,
        "translation": word.request.translation,
        "style": metadata["style"],
        "seed": metadata["seed_used"],
        "legibility": metadata["legibility"]["score"],
        "warnings": list(result.warnings),
        "fingerprint": print_,
    }


def _keep(
    folder: Path, told: Mapping[str, Any], result: AIGenerationResult, image_format: ImageFormat
) -> Outcome:
    """The picture first, then its line: a line stands for a whole file."""
    path = folder / told["file"]
    try:
        save(path, encode_result(result, 0, image_format))
        with (folder / CONTENTS).open("a", encoding="utf-8") as contents:
            contents.write(json.dumps(told, ensure_ascii=False) + "\n")
    except InvalidRequest as error:
        return error
    except OSError as error:
        return InvalidRequest(f"'{folder / CONTENTS}' cannot be written: {reason(error)}.")
    return ListPicture(path, True, told)


def _safe(word: str) -> str:
    """Letters, marks, digits and symbols; all else, which a file system or a shell might take amiss, is a hyphen."""
    plain = regex.sub(r"[^\p{L}\p{M}\p{N}\p{So}\p{Co}]+", "-", normalize_word(word)).strip("-")
    short = plain.encode()[:LONGEST_NAME].decode(errors="ignore")
    return unicodedata.normalize("NFC", short) or WORD
