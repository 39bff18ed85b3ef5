"""Bundle the faces: Noto for every script it has, emoji, Tengwar, Cirth and Klingon, a serif and a brush.

    python scripts/build_fonts.py [folder of unpacked packages]

Packages that are not in the folder are fetched into it, pinned, with apt and npm; without a folder, into
a temporary one. Each face is freed of its hinting (nothing here draws that small) and kept as WOFF2
without the transformation of outlines: a tenth larger, but unpacked in milliseconds. Beside
the faces stand their licences and coverage.json, by which a face is found without opening any.
"""

import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import regex
from conscript import conscript_face
from fontTools import subset
from fontTools import unicodedata as script_data
from fontTools.ttLib import TTFont
from fontTools.ttLib.woff2 import WOFF2FlavorData

TARGET = Path(__file__).parent.parent / "writing_service" / "rendering" / "faces"

DEBIAN = {"fonts-noto-core": "20201225-1", "fonts-unifont": "1:15.0.01-2"}
NPM = {
    "noto-emoji": "5.3.2",
    "ma-shan-zheng": "5.3.1",
    "yuji-boku": "5.3.0",
    "nanum-brush-script": "5.3.0",
}
"""All of npm's come from the scope @fontsource."""

NOTO = Path("fonts-noto-core/usr/share/fonts/truetype/noto")
UNIFONT = Path("fonts-unifont/usr/share/fonts/opentype/unifont/unifont_csur.otf")

SANS = regex.compile(
    r"Noto(Sans(?!\w*UI$|Display|SignWriting|Tifinagh.|AdlamUnjoined|Mayan)\w*|Music)"
)
"""SignWriting is left out for its size (5 MB), the others for having nothing of their own."""

ONLY_SERIF = ("Tangut", "Ahom", "Dogra", "NyiakengPuachueHmong", "Tibetan", "Yezidi")
"""Scripts that Noto draws with serifs alone."""

SERIF = (
    *("NotoSerif", "NotoNaskhArabic"),
    *(
        f"NotoSerif{script}"
        for script in (
            *("Armenian", "Bengali", "Devanagari", "Ethiopic", "Georgian", "Gujarati", "Gurmukhi"),
            *("Hebrew", "Kannada", "Khmer", "Lao", "Malayalam", "Myanmar", "Sinhala", "Tamil"),
            *("Telugu", "Thai"),
        )
    ),
)

LAST = (
    "NotoSansSymbols-Bold",
    "NotoSansSymbols2-Regular",
    "NotoSansMath-Regular",
    "NotoMusic-Regular",
    "NotoSansIndicSiyaqNumbers-Regular",
)
"""Of no script; asked after the scripts' own faces."""

BOLDNESS, DENSE_BOLDNESS = 0.03, 0.012
"""By what share of the em a face without a bold weight is thickened; less where strokes stand close."""
THIN_HANDS = 0.025
"""The brushes of kana and Hangul are pointed ones: to stand beside the one of Han."""
DENSE = regex.compile("Cuneiform|Hieroglyphs|Tangut|Math|Symbols2|Bhaiksuki|Indic")

LEFT_OUT = regex.compile(r"[\p{C}\p{Default_Ignorable_Code_Point}]")
"""Says nothing of a face: controls, private use, what is never seen."""


@dataclass(frozen=True)
class Entry:
    """One face in coverage.json. `ranges` are pairs of first and last code point, one after another."""

    name: str
    kind: str
    script: str
    boldness: float
    ranges: list[int]


@dataclass(frozen=True)
class Built:
    """A face as it is to be written."""

    entry: Entry
    data: bytes


def main(arguments: list[str]) -> None:
    """Rebuild every face."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments[0]) if arguments else Path(scratch)
        fetch(folder)
        faces = [*sans(folder), *serif(folder), *brush(folder), *emoji(folder), *invented(folder)]
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir()
        for face in faces:
            (TARGET / f"{face.entry.name}.woff2").write_bytes(face.data)
        write_coverage(face.entry for face in faces)
        write_licences(folder)


def fetch(folder: Path) -> None:
    """Unpack every package that is not there yet under its own name."""
    for name, version in DEBIAN.items():
        if not (folder / name).is_dir():
            subprocess.run(["apt-get", "download", f"{name}={version}"], cwd=folder, check=True)
            archive = next(folder.glob(f"{name}_*.deb"))
            subprocess.run(["dpkg", "-x", archive, folder / name], check=True)
    for name, version in NPM.items():
        if not (folder / name).is_dir():
            subprocess.run(["npm", "pack", f"@fontsource/{name}@{version}"], cwd=folder, check=True)
            archive = folder / f"fontsource-{name}-{version}.tgz"
            (folder / name).mkdir()
            unpack = ["tar", "-xzf", archive, "-C", folder / name, "--strip-components=1"]
            subprocess.run(unpack, check=True)


def sans(folder: Path) -> Iterator[Built]:
    """Noto Sans first, then scripts by name, then symbols."""
    families = {path.stem.split("-")[0] for path in (folder / NOTO).glob("*.ttf")}
    names = [name for name in families if SANS.fullmatch(name)]
    names += [f"NotoSerif{script}" for script in ONLY_SERIF]
    sources = sorted(bold_or_regular(folder, name) for name in names)
    for source in sorted(sources, key=lambda path: _rank(path.stem)):
        yield noto(source, "sans")


def serif(folder: Path) -> Iterator[Built]:
    """Noto Serif, and Naskh for Arabic."""
    for name in SERIF:
        yield noto(bold_or_regular(folder, name), "serif")


def brush(folder: Path) -> Iterator[Built]:
    """Hands for Han, kana and Hangul; everyday's characters only, for the size.

    Without the punctuation of Han: this hand has no forms of it for columns.
    """
    han = cells("gb2312", range(0xB0, 0xD8))
    kana = "".join(map(chr, range(0x3041, 0x3100))) + "、。「」〜"
    hangul = cells("euc_kr", range(0xB0, 0xC9))
    yield fontsource(folder, "ma-shan-zheng", "chinese-simplified-400", "brush", han)
    yield fontsource(folder, "yuji-boku", "japanese-400", "brush", kana, THIN_HANDS)
    yield fontsource(folder, "nanum-brush-script", "korean-400", "brush", hangul, THIN_HANDS)


def emoji(folder: Path) -> Iterator[Built]:
    """In one colour, with the ligatures of joined sequences."""
    yield fontsource(folder, "noto-emoji", "emoji-700", "emoji")


def invented(folder: Path) -> Iterator[Built]:
    """Tengwar, Cirth and Klingon; the only face that may claim private-use points."""
    font = conscript_face(folder / UNIFONT)
    entry = Entry("ConScript", "sans", "Unknown", 0.0, to_ranges(font.getBestCmap()))
    yield Built(entry, packed(font))


def bold_or_regular(folder: Path, family: str) -> Path:
    """Bold where there is one: thick strokes stay readable when a picture is painted into them."""
    bold = folder / NOTO / f"{family}-Bold.ttf"
    return bold if bold.exists() else folder / NOTO / f"{family}-Regular.ttf"


def noto(source: Path, kind: str) -> Built:
    """One of Noto's, whole."""
    thin = 0.0 if source.stem.endswith("-Bold") else BOLDNESS
    return built(source, source.stem, kind, DENSE_BOLDNESS if DENSE.search(source.stem) else thin)


def fontsource(
    folder: Path,
    package: str,
    cut: str,
    kind: str,
    characters: str | None = None,
    boldness: float = 0.0,
) -> Built:
    """A face of @fontsource, or of it only some characters."""
    source = folder / package / "files" / f"{package}-{cut}-normal.woff2"
    return built(source, named(package), kind, boldness, characters)


def named(package: str) -> str:
    """As the files here are: ma-shan-zheng is MaShanZheng."""
    return package.title().replace("-", "")


def built(
    source: Path, name: str, kind: str, boldness: float, characters: str | None = None
) -> Built:
    """The face without hinting, and what it covers."""
    options = subset.Options(
        hinting=False, layout_features=["*"], notdef_outline=True, recalc_timestamp=False
    )
    options.drop_tables += ["DSIG", "meta"]
    font = subset.load_font(str(source), options)
    subsetter = subset.Subsetter(options)
    if characters is None:
        subsetter.populate(glyphs=font.getGlyphOrder(), unicodes=font.getBestCmap())
    else:
        subsetter.populate(text=characters)
    subsetter.subset(font)
    covered = [code for code in font.getBestCmap() if not LEFT_OUT.match(chr(code))]
    script = "Common" if name in LAST else main_script(covered)
    return Built(Entry(name, kind, script, boldness, to_ranges(covered)), packed(font))


def packed(font: TTFont) -> bytes:
    """WOFF2 whose tables are only packed, with its own time stamps, so that a rebuild gives the same bytes."""
    font.flavor, font.flavorData = "woff2", WOFF2FlavorData(transformedTables=())
    stream = io.BytesIO()
    font.save(stream)
    return stream.getvalue()


def main_script(codes: Iterable[int]) -> str:
    """The script of most of its characters, shared ones and basic Latin aside."""
    scripts = Counter(script_data.script(chr(code)) for code in codes if code > 0x7F)
    del scripts["Zyyy"], scripts["Zinh"]
    code = scripts.most_common(1)[0][0] if scripts else "Zyyy"
    return script_data.script_name(code).replace(" ", "_")


def cells(encoding: str, rows: range) -> str:
    """The characters of an East Asian standard's rows: those of level 1 are the everyday ones."""
    pairs = (bytes([row, cell]) for row in rows for cell in range(0xA1, 0xFF))
    return "".join(pair.decode(encoding, "ignore") for pair in pairs)


def to_ranges(codes: Iterable[int]) -> list[int]:
    """Pairs of first and last."""
    ranges: list[int] = []
    for code in sorted(codes):
        if ranges and code == ranges[-1] + 1:
            ranges[-1] = code
        else:
            ranges += [code, code]
    return ranges


def write_coverage(entries: Iterable[Entry]) -> None:
    """One face a line, in the order in which they are asked."""
    lines = ",\n".join(json.dumps(asdict(entry), separators=(",", ":")) for entry in entries)
    (TARGET / "coverage.json").write_text(f"[\n{lines}\n]\n")


def write_licences(folder: Path) -> None:
    """All are under the SIL Open Font License; each set with its own notice."""
    noto = folder / "fonts-noto-core/usr/share/doc/fonts-noto-core/copyright"
    (TARGET / "LICENSE-Noto.txt").write_bytes(noto.read_bytes())
    for package in NPM:
        text = (folder / package / "LICENSE").read_bytes()
        (TARGET / f"LICENSE-{named(package)}.txt").write_bytes(text)
    names = TTFont(folder / UNIFONT)["name"]
    terms = (folder / "ma-shan-zheng" / "LICENSE").read_text().split("\n", 1)[1]
    notice = f"{names.getDebugName(0)}\n{names.getDebugName(13)}\nUsed here under the first.\n"
    (TARGET / "LICENSE-ConScript.txt").write_text(notice + terms)


def _rank(name: str) -> int:
    """Noto Sans is asked first, symbols last."""
    return -1 if name == "NotoSans-Bold" else LAST.index(name) + 1 if name in LAST else 0


if __name__ == "__main__":
    main(sys.argv[1:])
