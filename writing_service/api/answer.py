"""Answer: a finished request as it goes out; as JSON, and as bytes that keep it for later."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from writing_service.api.schemas import WritingImageResponse
from writing_service.encoding import to_base64
from writing_service.observability.observer import CacheOutcome
from writing_service.types import ImageFormat


@dataclass(frozen=True)
class Answer:
    """Everything that any route tells of a finished request: bytes and plain values.

    `pictures` are files of `format`, in the order of their seeds; `base` and `controls` (by kind, then method) are PNG,
    there where the request asked for them, as are `prompt` and `analysis`.
    """

    format: ImageFormat
    pictures: tuple[bytes, ...]
    base: bytes | None
    controls: Mapping[str, Mapping[str, bytes]]
    prompt: str | None
    analysis: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    warnings: tuple[str, ...]
    cache: CacheOutcome = CacheOutcome.OFF
    # Shared by copies that tell another `cache`: a thousand who wait for one picture get one text.
    _json: list[bytes] = field(default_factory=list[bytes], repr=False, compare=False)

    def as_json(self) -> bytes:
        """The contract's response. Takes milliseconds: not on the event loop."""
        if not self._json:
            self._json.append(self.as_response().model_dump_json().encode())
        return self._json[0]

    def as_response(self) -> WritingImageResponse:
        """The same before it is JSON."""
        files = [to_base64(one) for one in self.pictures]
        return WritingImageResponse(
            success=True,
            status="SUCCESS",
            generated_image_base64=files[0],
            images_base64=files,
            base_image_base64=None if self.base is None else to_base64(self.base),
            conditioning_images_base64={
                kind: {method: to_base64(file) for method, file in methods.items()}
                for kind, methods in self.controls.items()
            },
            prompt_used=self.prompt,
            semantic_analysis=None if self.analysis is None else dict(self.analysis),
            generation_metadata=dict(self.metadata),
            format=self.format,
            warnings=list(self.warnings),
        )


@checked_dataclass(frozen=True)
class _Told:
    """Everything of an answer that is no file. `controls` are methods by kind, `pictures` how many there are."""

    format: ImageFormat
    pictures: int
    base: bool
    controls: dict[str, list[str]]
    prompt: str | None
    analysis: dict[str, Any] | None
    metadata: dict[str, Any]
    warnings: tuple[str, ...]
    drawn_at: datetime


_TOLD = TypeAdapter(_Told)
_TOLD_FILE = "answer.json"
_BASE_FILE = "base"
_FOREVER = (1980, 1, 1, 0, 0, 0)
"""The time of every file inside: the format wants one."""


def pack(answer: Answer) -> bytes:
    """A plain ZIP file, which any tool opens: the pictures, and all else as JSON."""
    told = _Told(
        answer.format,
        len(answer.pictures),
        answer.base is not None,
        {kind: list(methods) for kind, methods in answer.controls.items()},
        answer.prompt,
        None if answer.analysis is None else dict(answer.analysis),
        dict(answer.metadata),
        answer.warnings,
        datetime.now(UTC),
    )
    packed = io.BytesIO()
    # Pictures are compressed already.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as files:
        for name, content in {_TOLD_FILE: _TOLD.dump_json(told), **_files(answer)}.items():
            files.writestr(zipfile.ZipInfo(name, _FOREVER), content)
    return packed.getvalue()


def unpack(packed: bytes) -> Answer:
    """A hit; its metadata say when it was drawn. Raises ValueError for whatever `pack` did not make."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as files:
            return _unpacked(files)
    except Exception as error:
        # There is no end of what can be wrong with bytes, and of what a reader may stumble over.
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _files(answer: Answer) -> dict[str, bytes]:
    pictures = {_picture_file(index): file for index, file in enumerate(answer.pictures)}
    controls = {
        _control_file(kind, method): file
        for kind, methods in answer.controls.items()
        for method, file in methods.items()
    }
    return {**pictures, **controls, **({_BASE_FILE: answer.base} if answer.base else {})}


def _unpacked(files: zipfile.ZipFile) -> Answer:
    if any(one.compress_type != zipfile.ZIP_STORED for one in files.infolist()):
        raise ValueError("it is compressed, and could become of any size")
    told = _TOLD.validate_json(files.read(_TOLD_FILE))
    return Answer(
        told.format,
        tuple(files.read(_picture_file(index)) for index in range(told.pictures)),
        files.read(_BASE_FILE) if told.base else None,
        {
            kind: {method: files.read(_control_file(kind, method)) for method in methods}
            for kind, methods in told.controls.items()
        },
        told.prompt,
        told.analysis,
        {**told.metadata, "cache": {"drawn_at": told.drawn_at.isoformat(timespec="seconds")}},
        told.warnings,
        CacheOutcome.HIT,
    )


def _picture_file(index: int) -> str:
    return f"pictures/{index}"


def _control_file(kind: str, method: str) -> str:
    return f"controls/{kind}/{method}"
