"""Which concepts the meaning is judged by, and which of them count as one.

The library's names are not classes: some are signs rather than things, some differ by a colour or by who the
person is (ink is grey, and a picture of a scientist is right whoever it is), some pictures are all but the
same drawing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Pixels

SAME_BELOW = 0.04
"""Root of the mean squared difference of two drawings' light and shape, 0 to 1, below which they are one.

The globes, the post offices and faces that differ by one short line are below it; the dog and the guide dog
are above.
"""

_SIGN = re.compile(
    r".*(o’clock|-thirty|\bbutton|(?<!with )(?<!and )\barrows?)\b|keycap: .*|input .*|.* button \(blood type\)"
    r"|copyright|registered|trade mark|circled m|information"
)
_BEARS_A_FLAG = ("carp streamer", "flag in hole", "mailbox")
"""What has "flag" among its keywords and is none."""

_COLOURS = "light blue|red|pink|orange|yellow|green|blue|purple|brown|black|grey|white"
_PLAIN_WORDS: Sequence[tuple[str, str]] = (
    (rf"^({_COLOURS}) (heart|circle|book|apple|question mark|exclamation mark)$", r"\2"),
    (rf"^({_COLOURS})( large| medium-small| medium| small)? square$", "square"),
    (r"^(large|small) (orange|blue) diamond$", "diamond"),
    (r"^(family|kiss|couple with heart): .*$", r"\1"),
    (r"^(person|man|woman): .*$", "person"),
    (r"\b(man|woman|boy|girl|child)\b(?!’)", "person"),
    (r"^older person$", "old person"),
    (r"^mer(man|maid)$", "merperson"),
    (r"^prince(ss)?$", "person with crown"),
    (r"^m(rs\.|x) claus$", "santa claus"),
    (r"\b(left|right)(wards|-facing)?\b", "side"),
    (r"\bwaxing\b", "waning"),
    (r"\blast quarter\b", "first quarter"),
    (r" with (raised|lowered) flag$", ""),
)
"""What is taken out of a name: colour, person, side."""


@dataclass(frozen=True)
class Vocabulary:
    """`classes` are groups of names; a class is called by its first."""

    classes: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.classes)

    def index_of(self, name: str) -> int | None:
        """The class that `name` belongs to, or None."""
        return self._index.get(name)

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {name: index for index, names in enumerate(self.classes) for name in names}


def vocabulary_of(library: PictogramLibrary) -> Vocabulary:
    """The library's things, merged by name and by drawing: takes some seconds, for it sees every drawing."""
    names = [name for name in library.names() if is_thing(name, library.keywords_of(name))]
    drawings = np.stack([light_and_shape(library.named(name).pixels) for name in names])
    return merged(names, [plain_name(name) for name in names], drawings)


def is_thing(name: str, keywords: Sequence[str]) -> bool:
    """False for flags, times of the clock, keys, buttons, arrows."""
    is_flag = "flag" in keywords and not any(bearer in name for bearer in _BEARS_A_FLAG)
    return not is_flag and not _SIGN.fullmatch(name)


def plain_name(name: str) -> str:
    """The name without what makes no difference: "green heart" → "heart", "deaf woman" → "deaf person"."""
    for pattern, replacement in _PLAIN_WORDS:
        name = re.sub(pattern, replacement, name)
    return name


def light_and_shape(pixels: Pixels) -> NDArray[np.float32]:
    """(n, n, 4) RGBA → (2048,) float32, 0 to 1: its grey on middle grey, and its outline, 32 by 32 each."""
    alpha = pixels[..., 3].astype(np.float32) / 255
    grey = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY) / np.float32(255)
    both = np.dstack([grey * alpha + 0.5 * (1 - alpha), alpha])
    return cv2.resize(both, (32, 32), interpolation=cv2.INTER_AREA).ravel()


def merged(names: Sequence[str], keys: Sequence[str], drawings: NDArray[np.float32]) -> Vocabulary:
    """Names of one key are one class, and so are names whose (n, d) drawings are nearer than `SAME_BELOW`.

    Both are followed transitively. Classes come in the order of their first names.
    """
    first_of_key: dict[str, int] = {}
    same_key = [(first_of_key.setdefault(key, index), index) for index, key in enumerate(keys)]
    squares = (drawings**2).sum(1)
    distances = squares[:, None] + squares[None] - 2 * drawings @ drawings.T
    near = np.argwhere(np.triu(distances < SAME_BELOW**2 * drawings.shape[1], 1))
    groups: dict[int, list[str]] = {}
    for index, root in enumerate(_roots(len(names), [*same_key, *near.tolist()])):
        groups.setdefault(root, []).append(names[index])
    return Vocabulary(tuple(tuple(group) for group in groups.values()))


def _roots(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """For each of `count` the smallest that it is joined to."""
    parents = list(range(count))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    return [root(index) for index in range(count)]
