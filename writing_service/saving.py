"""Files that are there whole or not at all."""

import uuid
from contextlib import suppress
from pathlib import Path

from writing_service.errors import InvalidRequest


def save(path: Path, data: bytes) -> Path:
    """Write beside it first, then put in its place: whoever is stopped meanwhile leaves no half file.

    Folders are made. Raises InvalidRequest, in one sentence, where that cannot be.
    """
    unfinished = path.with_name(f".{uuid.uuid4().hex}.unfinished")
    make_folder(path.parent)
    try:
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)
        finally:
            with suppress(OSError):
                unfinished.unlink()
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {reason(error)}.") from None
    return path


def make_folder(folder: Path) -> None:
    """With those above it. Raises InvalidRequest where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest(f"'{folder}' cannot be made: {reason(error)}.") from None


def reason(error: OSError) -> str:
    """In the system's words."""
    return error.strerror or str(error)
