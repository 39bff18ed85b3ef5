"""The colours of each style. A word's colour is always far in lightness from the ring around it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.art.layers import Colour


@lru_cache(maxsize=512)
def colour(code: str) -> Colour:
    """ "#rrggbb" → (3,) float32 in 0..1."""
    value = np.frombuffer(bytes.fromhex(code.removeprefix("#")), np.uint8)
    made = value.astype(np.float32) / np.float32(255)
    made.flags.writeable = False
    return made


@dataclass(frozen=True)
class ComicGround:
    """Light, middle and dark of one background."""

    light: str
    middle: str
    dark: str


COMIC_GROUNDS = (
    ComicGround("#ffe95c", "#ffc21a", "#ff8a00"),
    ComicGround("#7fdcff", "#2aa8ff", "#0f63d6"),
    ComicGround("#ffa3c7", "#ff5c97", "#d61f6b"),
    ComicGround("#d3f55a", "#8bd91f", "#3f9f14"),
    ComicGround("#cfaaff", "#9663ff", "#5b2cd1"),
    ComicGround("#ffbd96", "#ff7550", "#d83a24"),
    ComicGround("#98f3d8", "#33d3ab", "#0c9a82"),
    ComicGround("#fff6dc", "#ffd98a", "#f0522d"),
)

COMIC_FILLS = (
    ("#fff34f", "#ff8c00"),
    ("#d4fcff", "#1fb6ff"),
    ("#f6ff80", "#55d312"),
    ("#ffd9ee", "#ff4da0"),
    ("#ffffff", "#a8dcff"),
    ("#ffb27a", "#ff3b30"),
    ("#e9fff6", "#20d6a2"),
    ("#f3e2ff", "#a873ff"),
)


@dataclass(frozen=True)
class Pigments:
    """A watercolour: two wash colours and the paper."""

    first: str
    second: str
    paper: str = "#fdfaf3"


WASHES = (
    Pigments("#9fd4f0", "#c6b4ee"),
    Pigments("#ffd08a", "#ff9fa0"),
    Pigments("#a9dfb4", "#8fd0dc"),
    Pigments("#f6b3cf", "#c2b2f0"),
    Pigments("#f8e08c", "#a8d8a0"),
    Pigments("#8fc7e8", "#f5c3a4"),
    Pigments("#c8b8f0", "#9fd9e6"),
    Pigments("#f2bb9c", "#e9df9a"),
)

WORD_PIGMENTS = (
    ("#1b2a6b", "#2c4aa8"),
    ("#4a1a78", "#6d2fae"),
    ("#8c0f2e", "#bb1f45"),
    ("#045a4b", "#0b7d66"),
    ("#0c3b66", "#14629a"),
    ("#5c2310", "#8a3a16"),
    ("#6d0f5c", "#98248a"),
    ("#1f4a17", "#34701f"),
)
"""Deep and flowing tone of the one pigment in which a word is painted."""


@dataclass(frozen=True)
class Light:
    """A photograph's surroundings: above, at the horizon, the floor far and near, its glints."""

    above: str
    horizon: str
    far: str
    near: str
    glint: str


LIGHTS = (
    Light("#3f8fdc", "#e4f4ff", "#a4d083", "#4a8a3d", "#ffffff"),
    Light("#5b3a9a", "#ffb37a", "#d9785a", "#5a2f55", "#ffe2a8"),
    Light("#0f7f86", "#d6f5ea", "#7cc0ae", "#1f6a66", "#fbffe0"),
    Light("#b8672a", "#ffe8bd", "#d69a55", "#7a4520", "#fff6d8"),
    Light("#1b2a78", "#8fa8ff", "#4a5fc0", "#1a2360", "#cfe0ff"),
    Light("#b83a72", "#ffd0d8", "#d97f9a", "#7a2a52", "#fff0f2"),
    Light("#56626f", "#f2f6f9", "#b9c3cb", "#66717c", "#ffffff"),
    Light("#4b2f9a", "#b8e6ff", "#7f8fd8", "#33307a", "#e6fbff"),
)


@dataclass(frozen=True)
class Material:
    """A word's substance: `ramp` from its shade to its glint, and the rim that sets it off.

    With a `halo` light falls from behind onto what surrounds it: dark stones would drown in shadow.
    """

    ramp: tuple[str, ...]
    rim: tuple[str, str]
    halo: bool = False


_DARK_RIM = ("#120c08", "#3a2a1c")
GOLD_RIM = ("#dfae45", "#fff6cf")
SILVER_RIM = ("#c3cbd3", "#ffffff")

MATERIALS = (
    Material(("#7a4708", "#c98a1c", "#f7c948", "#ffe58a", "#fffbe0"), _DARK_RIM),
    Material(("#6a7681", "#a3b0bb", "#d3dce3", "#eef3f6", "#ffffff"), ("#0c1218", "#2c3844")),
    Material(("#3d0208", "#7d0613", "#b70d20", "#e0303c", "#ffc9c4"), GOLD_RIM, halo=True),
    Material(("#02140f", "#04402f", "#08684c", "#179a70", "#c4ffe6"), GOLD_RIM, halo=True),
    Material(("#030a33", "#0a1f78", "#1538b0", "#3a6ae8", "#cfe0ff"), SILVER_RIM, halo=True),
    Material(("#8a4630", "#cf8064", "#f2b196", "#ffd6c4", "#fff6f0"), ("#1c0a08", "#43211a")),
    Material(("#b9b4ac", "#dedad2", "#f3f0ea", "#fdfcf9", "#ffffff"), ("#10203c", "#27457a")),
    Material(("#1e0436", "#410a70", "#6416a6", "#9040d8", "#ecd0ff"), GOLD_RIM, halo=True),
)


@dataclass(frozen=True)
class Inks:
    """Paper, a wash for the distance, the subject's ink, the word's black, the moon's colour."""

    paper: str
    wash: str
    ink: str
    word: str
    moon: str


INKS = (
    Inks("#f5f1e6", "#8b9196", "#33322f", "#0d0c0c", "#f0c9a8"),
    Inks("#f3efe0", "#8f9a90", "#2f3a34", "#0a1210", "#e6d9a0"),
    Inks("#f1f1ee", "#8296a6", "#27333f", "#08101a", "#dfe3e0"),
    Inks("#f6ecd8", "#a3917a", "#43352a", "#1a0f08", "#eab08a"),
    Inks("#f4eeee", "#9a8f9c", "#362f3b", "#140c18", "#f2b8b0"),
    Inks("#eef2ec", "#7f9c95", "#25403c", "#04140f", "#f3dfb0"),
)

SEALS = ("#c8241a", "#b51f2b", "#d23a20")


@dataclass(frozen=True)
class Lacquer:
    """A folk picture: paper and its pattern, the disc behind the subject, frame and its gold."""

    paper: str
    pattern: str
    disc: str
    frame: str
    gold: str
    outline: str


LACQUERS = (
    Lacquer("#efdcae", "#cfa95c", "#fbf3da", "#8f1a14", "#e2b34a", "#3a1a0c"),
    Lacquer("#c9dcc4", "#8fb394", "#f7f3dc", "#17463a", "#dcb75a", "#23271a"),
    Lacquer("#f1c9ad", "#d8936f", "#fdeede", "#7c1f1a", "#ecc060", "#43190f"),
    Lacquer("#b9cfe0", "#7fa3c4", "#f6f2e4", "#1c2f5e", "#e0bb62", "#1c2038"),
    Lacquer("#b8352a", "#8f1f1a", "#f8d98a", "#3a0f0c", "#f0c35a", "#300a08"),
    Lacquer("#eee6d2", "#c9bb98", "#e5533a", "#2a2420", "#c99a3c", "#2a1a12"),
    Lacquer("#27406b", "#456596", "#f3dfa6", "#14213d", "#e6bd58", "#10182c"),
)


@dataclass(frozen=True)
class FolkWord:
    """A word's paint (upper and lower tone), its contour and the ring around that."""

    upper: str
    lower: str
    contour: str
    ring: str


FOLK_WORDS = (
    FolkWord("#cf2418", "#a8120e", "#7a0c0a", "#fff6dd"),
    FolkWord("#1d1512", "#0b0807", "#0b0807", "#fdf0cf"),
    FolkWord("#ffe28a", "#eeb02c", "#35100a", "#8f1a14"),
    FolkWord("#1f3f96", "#122765", "#0c1a47", "#fdf4dc"),
    FolkWord("#0d6a4c", "#064430", "#04301f", "#fdf4dc"),
    FolkWord("#8a1c6a", "#5f0f48", "#450a34", "#fff3e0"),
)
