"""Bundle the non-CJK faces: Debian's fonts-noto-core, pinned, as WOFF2 with their licence beside them.

    python scripts/build_fonts.py [folder of the unpacked package]

Without a folder the package is fetched with apt. The files are Noto's own, only recompressed.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fontTools.ttLib import TTFont

PACKAGE = "fonts-noto-core=20201225-1"
TARGET = Path(__file__).parent.parent / "writing_service" / "rendering" / "faces"
# Bold: thick strokes stay readable when a picture is painted into them.
FACES = (
    "NotoSans-Bold",
    "NotoSansArabic-Bold",
    "NotoSansHebrew-Bold",
    "NotoSansDevanagari-Bold",
    "NotoSansThai-Bold",
)


def main(arguments: list[str]) -> None:
    """Rebuild every face."""
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = Path(arguments[0]) if arguments else fetch(Path(scratch))
        for face in FACES:
            compress(unpacked / "usr/share/fonts/truetype/noto" / f"{face}.ttf")
        shutil.copy(unpacked / "usr/share/doc/fonts-noto-core/copyright", TARGET / "LICENSE.txt")


def fetch(folder: Path) -> Path:
    """Download and unpack the package."""
    subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
    archive = next(folder.glob("*.deb"))
    subprocess.run(["dpkg", "-x", archive, folder / "unpacked"], check=True)
    return folder / "unpacked"


def compress(source: Path) -> None:
    """Write one face as WOFF2, keeping its time stamps so that a rebuild gives the same bytes."""
    font = TTFont(source, recalcTimestamp=False)
    font.flavor = "woff2"
    font.save(TARGET / f"{source.stem}.woff2")


if __name__ == "__main__":
    main(sys.argv[1:])
