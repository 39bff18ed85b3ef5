"""Colour classes: background, the word's parts, the quiet ring around them, the subject's own colours.

The palette is documented in one place, `PALETTE`. The first colours are ADE20K's (wall, the ones that
public segmentation ControlNets know); the subject's classes stand for its real colours, so that a
network can be taught to paint them.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from writing_service.conditioning.base import ConditioningGenerator, ink, opaque, pixels, ring
from writing_service.conditioning.registry import MethodRegistry
from writing_service.types import ConditioningKind, Mask, Pixels, RenderedWord, Scene

METHODS = MethodRegistry(ConditioningKind.SEGMENTATION)

BACKGROUND = (120, 120, 120)
"""ADE20K's "wall"."""

QUIET_RING = (4, 200, 3)
"""ADE20K's "tree": a green that no other class comes near."""

WORD_COLOURS = ((180, 120, 120), (255, 0, 0), (255, 61, 6), (204, 5, 255), (255, 9, 224), (255, 71, 0))
"""Parts of the word. ADE20K's "building" first; then its reds and magentas."""

SUBJECT_COLOURS = (
    (25, 25, 25),  # black
    (242, 242, 242),  # white
    (150, 150, 160),  # grey
    (205, 45, 45),  # red
    (242, 140, 38),  # orange
    (242, 217, 51),  # yellow
    (115, 191, 64),  # lime
    (20, 110, 90),  # deep green
    (51, 153, 140),  # teal
    (64, 140, 242),  # blue
    (77, 64, 179),  # indigo
    (191, 89, 204),  # violet
    (242, 153, 191),  # pink
    (140, 84, 46),  # brown
    (242, 204, 166),  # skin
)

PALETTE = (BACKGROUND, QUIET_RING, *WORD_COLOURS, *SUBJECT_COLOURS)
_LEVELS = 32


@METHODS.register
def black_and_white_segmentation(glyph: RenderedWord) -> Image.Image:
    """The whole word as one class, everything else background."""
    return _painted(ink(glyph.mask))


@METHODS.register
def color_based_segmentation(glyph: RenderedWord, *, parts: int = 3) -> Image.Image:
    """The word's pieces in up to `parts` classes: k-means on where the connected strokes stand."""
    number, labels, _, centres = cv2.connectedComponentsWithStats(ink(glyph.mask))
    parts = min(parts, len(WORD_COLOURS) - 1, number - 1)
    if parts < 1:
        return _painted(ink(glyph.mask))
    points = centres[1:].astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    # The farthest pieces start as centres, so that no random number decides.
    _, groups, _ = cv2.kmeans(points, parts, _spread_labels(points, parts), criteria, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    classes = np.concatenate([[0], groups.ravel() + 2]).astype(np.uint8)
    return _painted(classes[labels])


class SegmentationConditioning(ConditioningGenerator):
    """Colour classes."""

    registry = METHODS

    def with_background(self, word: Pixels, scene: Scene) -> Pixels:
        """Put the subject's colour classes behind, the ring's class around the strokes."""
        if scene.backdrop is None:
            return word
        solid = ink(scene.word.mask) > 0
        ground = np.where(opaque(scene.backdrop)[..., None] > 0, subject_classes(scene.backdrop), BACKGROUND)
        ground[ring(scene)] = QUIET_RING
        return np.where(solid[..., None], word, ground).astype(np.uint8)


def subject_classes(backdrop: Pixels) -> Pixels:
    """Every pixel in the nearest of the subject's class colours, small speckles smoothed away."""
    smooth = cv2.medianBlur(np.ascontiguousarray(backdrop[..., :3]), 2 * pixels(2, backdrop) + 1)
    classes = _nearest_class()[tuple(smooth[..., channel] >> 3 for channel in range(3))]
    classes = cv2.medianBlur(classes, min(5, 2 * pixels(2, backdrop) + 1))
    return np.array(SUBJECT_COLOURS, np.uint8)[classes]


@cache
def _nearest_class() -> NDArray[np.uint8]:
    """(32, 32, 32) table: the class of each coarse RGB cell by distance in Lab."""
    steps = (np.arange(_LEVELS, dtype=np.uint8) << 3) + 4
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    table = cv2.cvtColor(cells.reshape(-1, 1, 3), cv2.COLOR_RGB2LAB).astype(np.float32)
    wanted = cv2.cvtColor(np.array(SUBJECT_COLOURS, np.uint8)[:, None], cv2.COLOR_RGB2LAB).astype(np.float32)
    distances = ((table - wanted[:, 0]) ** 2).sum(-1)
    return distances.argmin(-1).astype(np.uint8).reshape(_LEVELS, _LEVELS, _LEVELS)


def _spread_labels(points: NDArray[np.float32], parts: int) -> NDArray[np.int32]:
    """A first grouping: by reading order, in equal shares."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    labels = np.empty(len(points), np.int32)
    labels[order] = np.arange(len(points)) * parts // len(points)
    return labels


def _painted(classes: Mask) -> Image.Image:
    """0 background, 1 the whole word, 2.. its parts."""
    colours = np.array((BACKGROUND, *WORD_COLOURS), np.uint8)
    return Image.fromarray(colours[classes])
