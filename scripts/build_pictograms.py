"""Build the pictogram pack from pinned npm packages.

    python scripts/build_pictograms.py [folder with the packages unpacked as NAME/package]

Without a folder the packages are fetched with npm. Art: Fluent Emoji 3D (MIT). Names and keywords:
emojibase and emojilib (MIT). `everyday_words.json` beside this script is ours: which picture a learner
expects for a frequent word. The same inputs give the same bytes.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

from PIL import Image

PACKAGES = {
    "fluent": "@lobehub/fluent-emoji-3d@1.1.0",
    "emojilib": "emojilib@4.0.3",
    "emojibase": "emojibase-data@17.0.0",
}
HERE = Path(__file__).parent
TARGET = HERE.parent / "writing_service" / "scene" / "pack"
PIXELS = 160
QUALITY = 74
UNFIT = {"middle finger"}
"""Names left out: before learners a rude gesture is no picture for "finger"."""
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


def main(arguments: list[str]) -> None:
    """Write `pictograms.zip` (WebP by code point) and `index.json`."""
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(arguments[0]) if arguments else fetch(Path(scratch))
        art = sources / "fluent" / "package" / "assets"
        entries = choose(read_names(sources), art)
        TARGET.mkdir(parents=True, exist_ok=True)
        write_pictures(entries, art)
        index = [
            {key: entry[key] for key in ("name", "code", "everyday", "keywords")}
            for entry in entries
        ]
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in index)
        (TARGET / "index.json").write_text(f"[\n{lines}\n]\n")


def fetch(folder: Path) -> Path:
    """`npm pack` each package and unpack it."""
    for name, package in PACKAGES.items():
        home = folder / name
        home.mkdir()
        subprocess.run(["npm", "pack", "--silent", package], cwd=home, check=True)
        with tarfile.open(next(home.glob("*.tgz"))) as archive:
            archive.extractall(home, filter="data")
    return folder


def read_names(sources: Path) -> list[dict]:
    """emojibase's entries with emojilib's keywords added."""
    entries = json.loads((sources / "emojibase/package/en/data.json").read_text())
    more = json.loads((sources / "emojilib/package/dist/emoji-en-US.json").read_text())
    for entry in entries:
        entry["keywords"] = [*entry.get("tags", []), *more.get(entry["emoji"], [])]
    return entries


def choose(entries: list[dict], art: Path) -> list[dict]:
    """One entry a concept: no skin tones (they are nested), no man or woman where a neutral one is."""
    everyday = json.loads((HERE / "everyday_words.json").read_text())
    labels = {entry["label"].lower() for entry in entries}
    chosen: dict[str, dict] = {}
    for entry in sorted(entries, key=lambda entry: entry.get("order", 0)):
        name = entry["label"].lower().removeprefix("flag: ")
        code = _file_code(entry["hexcode"].lower(), art)
        no_picture = "group" not in entry or code is None or name in UNFIT
        if no_picture or name in chosen or _gendered_twin(name, labels):
            continue
        keywords = [_plain(word) for word in entry["keywords"]]
        chosen[name] = {
            "name": name,
            "code": code,
            "everyday": everyday.get(entry["label"], []),
            "keywords": [word for word in dict.fromkeys(keywords) if word and word != name],
        }
    unknown = {label.lower() for label in everyday} - chosen.keys()
    if unknown:
        sys.stderr.write(f"everyday_words.json names no picture: {sorted(unknown)}\n")
    return list(chosen.values())


def write_pictures(entries: list[dict], art: Path) -> None:
    """Square, small, lossy with an exact alpha channel."""
    with zipfile.ZipFile(TARGET / "pictograms.zip", "w", zipfile.ZIP_STORED) as pack:
        for entry in entries:
            picture = Image.open(art / f"{entry['code']}.webp").convert("RGBA")
            picture = picture.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
            encoded = BytesIO()
            picture.save(encoded, "WEBP", quality=QUALITY, alpha_quality=90, method=6)
            pack.writestr(zipfile.ZipInfo(f"{entry['code']}.webp", _FIXED_TIME), encoded.getvalue())


def _file_code(code: str, art: Path) -> str | None:
    candidates = (code, code.replace("-fe0f", ""), f"{code}-fe0f")
    return next((c for c in candidates if (art / f"{c}.webp").exists()), None)


def _gendered_twin(name: str, labels: set[str]) -> bool:
    """ "woman running" beside "person running"; "man cook" beside "cook"."""
    for gender in ("man ", "woman ", "men ", "women "):
        rest = name.removeprefix(gender)
        if rest != name and (
            {f"person {rest}", f"people {rest}", rest, rest.removeprefix("with ")} & labels
        ):
            return True
    return False


def _plain(word: str) -> str:
    """ "red_apple" → "red apple"; emoticons and signs → ""."""
    words = word.replace("_", " ").lower().strip()
    return words if any(letter.isalpha() for letter in words) and len(words) > 1 else ""


if __name__ == "__main__":
    main(sys.argv[1:])
