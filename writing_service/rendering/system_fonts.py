"""The last resort: fonts that the system has, asked by code point."""

import logging
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

import regex

from writing_service.rendering.typefaces import SUFFIXES, Face

logger = logging.getLogger(__name__)

_UNSAID = regex.compile(r"[\p{Co}\p{Cn}\p{Cs}\p{Cc}\p{Default_Ignorable_Code_Point}]")
"""Characters for which a font's word counts for nothing, or which have no shape."""

_SLANTED = regex.compile("(?i)italic|oblique|slanted")
_SECONDS = 3.0
_FACES = 0xFFFF
"""Fontconfig tells named instances of variable fonts in the bits above."""


class SystemFonts(Protocol):
    """Where else to look."""

    def faces(self, cluster: str) -> Iterator[Face]:
        """Faces that say they have every character of the cluster."""
        ...


class NoSystemFonts:
    """For tests, and for pictures that must be the same on every machine."""

    def faces(self, cluster: str) -> Iterator[Face]:
        """None."""
        return iter(())


class Fontconfig:
    """Asks `fc-list`; a machine without it has no system fonts. Answers are kept."""

    def __init__(self, program: str = "fc-list") -> None:
        self._listed = cache(lambda code: _list(program, code))

    def faces(self, cluster: str) -> Iterator[Face]:
        """Faces that have the whole cluster in truth, not only by fontconfig's word."""
        if not cluster or _UNSAID.search(cluster[0]):
            return
        for path, index in self._listed(ord(cluster[0])):
            face = Face(path, index)
            if _draws(face, cluster):
                yield face


def _draws(face: Face, cluster: str) -> bool:
    """A file that cannot be opened draws nothing."""
    try:
        return face.covers(cluster)
    except (OSError, ValueError) as error:
        logger.warning("The system's font %s is left out: %s", face.path, error)
        return False


def _list(program: str, code: int) -> tuple[tuple[Path, int], ...]:
    """Files and face numbers, in a steady order, slanted faces last."""
    command = [program, f":charset={code:x}", "--format", "%{file}\t%{index}\n"]
    try:
        told = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = (line.rpartition("\t") for line in told.stdout.decode(errors="replace").splitlines())
    found = {(Path(file), int(index or 0) & _FACES) for file, _, index in lines if file}
    usable = (one for one in found if one[0].suffix.lower() in SUFFIXES)
    return tuple(sorted(usable, key=lambda one: (bool(_SLANTED.search(one[0].stem)), one)))
