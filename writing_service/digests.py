"""What files hold, told by samples: enough to tell one model's weights from another's without reading gigabytes."""

import hashlib
from pathlib import Path

SAMPLES = 128
SAMPLE_BYTES = 4096
"""Files of up to SAMPLES × SAMPLE_BYTES are read whole; of larger ones so many pieces, evenly apart."""


def digest_of(*places: Path) -> str:
    """Hex, of the files and of all files in the folders: their names in there, sizes and contents.

    Two hosts with the same files get the same. Raises OSError where a file cannot be read.
    """
    digest = hashlib.sha256()
    for place in places:
        for path in _files(place):
            digest.update(f"\0{path.relative_to(place)}\0{path.stat().st_size}\0".encode())
            digest.update(_sampled(path))
    return digest.hexdigest()


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = [one for one in place.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
    return sorted(found)


def _sampled(path: Path) -> bytes:
    size = path.stat().st_size
    if size <= SAMPLES * SAMPLE_BYTES:
        return path.read_bytes()
    pieces = list[bytes]()
    with path.open("rb") as file:
        for index in range(SAMPLES):
            file.seek(index * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            pieces.append(file.read(SAMPLE_BYTES))
    return b"".join(pieces)
