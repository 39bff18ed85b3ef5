"""Fonts: which face draws which characters.

Order for each grapheme cluster: the user's own folder; the emoji face for emoji; the face of the kind that
the style asks for; the bundled face of the cluster's script; the CJK package, with the face of the word's
language; any bundled face; the system. The first that has every character of the cluster draws it.
"""

import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from writing_service.config import FontSettings
from writing_service.errors import ConfigurationError, UndrawableText
from writing_service.rendering.scripts import EAST_ASIAN, is_emoji, resolved_scripts, script_of
from writing_service.rendering.system_fonts import Fontconfig, SystemFonts
from writing_service.rendering.typefaces import SUFFIXES, Face, faces_of
from writing_service.types import FaceKind

FACES = Path(__file__).parent / "faces"
INVENTED = "ConScript"
"""The face of Tengwar, Cirth and Klingon: alone among ours it may claim private-use points."""

_CJK_INDEX = {"ja": 0, "ko": 1, "zh": 2, "zh-tw": 3, "zh-hk": 4}
_CJK_BOLDNESS = 0.035
"""The CJK package has the regular weight only; this much of the em makes it match the bold faces."""


@dataclass(frozen=True)
class Placed:
    """A piece of the text, at most a grapheme cluster, its script and the face that draws it."""

    text: str
    script: str
    face: Face


@dataclass(frozen=True)
class Bundled:
    """A face of ours: its kind ("emoji" beside FaceKind's) and the script that it is for."""

    face: Face
    kind: str
    script: str


class FontLibrary:
    """All faces at hand, in the order in which they are asked.

    `folder` holds the user's own fonts; `system` is asked when nothing else draws a character, by default
    through fontconfig. Raises ConfigurationError for a folder that is not there, or a file in it that is no font.
    """

    def __init__(self, folder: Path | None = None, system: SystemFonts | None = None) -> None:
        self._own = tuple(_own_faces(folder)) if folder else ()
        self._system = system or Fontconfig()
        self._cjk = {code: Face(_cjk_file(), at, _CJK_BOLDNESS) for code, at in _CJK_INDEX.items()}
        bundled = read_bundled()
        self._emoji = _of_kind(bundled, "emoji")
        self._styled = {kind: _of_kind(bundled, kind) for kind in FaceKind}
        self._by_script = {
            one.script: one.face for one in reversed(bundled) if one.kind == FaceKind.SANS
        }

    def assign(
        self, clusters: Sequence[str], language: str, kind: FaceKind = FaceKind.SANS
    ) -> list[Placed]:
        """Every cluster with its face; one that no single face has falls into its characters.

        Raises UndrawableText with all characters that nothing draws.
        """
        scripts = resolved_scripts(clusters)
        styled = self._style(clusters, language, kind)
        placed: list[Placed] = []
        missing: list[str] = []
        for cluster, script in zip(clusters, scripts, strict=True):
            whole = self._face(cluster, script, language, styled)
            for piece in [cluster] if whole else cluster:
                face = whole or self._face(piece, script, language, styled)
                if face:
                    placed.append(Placed(piece, script, face))
                else:
                    missing.append(piece)
        if missing:
            raise UndrawableText(missing)
        return placed

    def face_for(self, cluster: str, language: str) -> Face | None:
        """The face that draws the cluster standing alone, or None."""
        return self._face(cluster, resolved_scripts([cluster])[0], language, {})

    def _face(
        self, cluster: str, script: str, language: str, styled: Mapping[str, Face]
    ) -> Face | None:
        candidates = self._candidates(cluster, script, language, styled)
        return next((face for face in candidates if face.covers(cluster)), None)

    def _candidates(
        self, cluster: str, script: str, language: str, styled: Mapping[str, Face]
    ) -> Iterator[Face]:
        cjk = self._cjk.get(language, self._cjk["zh"])
        yield from self._own
        if is_emoji(cluster):
            yield from self._emoji
        if script in styled:
            yield styled[script]
        if script in self._by_script:
            yield self._by_script[script]
        if script in EAST_ASIAN:
            yield cjk
        yield from self._styled[FaceKind.SANS]
        yield cjk
        yield from self._emoji
        yield from self._system.faces(cluster)

    def _style(self, clusters: Sequence[str], language: str, kind: FaceKind) -> dict[str, Face]:
        """By script, the face of that kind which has all of the word in that script.

        East Asian scripts stand together in one word: all of them take the kind, or none does. So that nobody learns
        the Chinese shape of a Japanese character, Han has a brush in Chinese (mainland) only.
        """
        if kind == FaceKind.SANS:
            return {}
        parts: dict[str, list[str]] = {}
        for cluster in clusters:
            parts.setdefault(script_of(cluster[0]), []).append(cluster)
        found: dict[str, Face] = {}
        for script, part in parts.items():
            faces = () if script == "Han" and language not in ("", "zh") else self._styled[kind]
            if face := next((one for one in faces if all(map(one.covers, part))), None):
                found[script] = face
        east = EAST_ASIAN & parts.keys()
        return found if east <= found.keys() else {s: f for s, f in found.items() if s not in east}


def font_library(settings: FontSettings) -> FontLibrary:
    """As the settings say. Raises ConfigurationError."""
    return FontLibrary(Path(settings.folder) if settings.folder else None)


@lru_cache(maxsize=1)
def read_bundled() -> tuple[Bundled, ...]:
    """Our own faces by the table beside them, without opening one."""
    entries = json.loads((FACES / "coverage.json").read_bytes())
    return tuple(
        Bundled(
            Face(
                FACES / f"{entry['name']}.woff2",
                boldness=entry["boldness"],
                private=entry["name"] == INVENTED,
                ranges=tuple(entry["ranges"]),
            ),
            entry["kind"],
            entry["script"],
        )
        for entry in entries
    )


def _of_kind(bundled: Iterable[Bundled], kind: str) -> tuple[Face, ...]:
    return tuple(one.face for one in bundled if one.kind == kind)


def _own_faces(folder: Path) -> Iterator[Face]:
    """Opened at once, so that a broken file is told at the start and not at some request."""
    if not folder.is_dir():
        raise ConfigurationError(
            f"ai_generation.fonts.folder '{folder}' is no folder; create it or leave it out."
        )
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            try:
                yield from faces_of(path, private=True)
            except (OSError, ValueError):
                raise ConfigurationError(
                    f"ai_generation.fonts.folder: '{path}' cannot be read as a font; mend or remove it."
                ) from None


@lru_cache(maxsize=1)
def _cjk_file() -> Path:
    spec = importlib.util.find_spec("noto_cjk_sans_otc")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The package noto-cjk-sans-otc is missing; install the service's requirements again."
        )
    return Path(spec.origin).parent / "NotoSansCJK-Regular.ttc"
