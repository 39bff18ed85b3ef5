"""One training sample from one number: a word, a concept, a style → control images, target picture, captions.

The control images are drawn by the service's own rendering, scene and conditioning rooms, so training
sees exactly what serving will give.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from training.art import STYLES, paint
from training.captions import COMMON, captions
from training.words import random_word
from writing_service.conditioning.fan_out import ConditioningFanOut, build_fan_out
from writing_service.config import load_settings
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import ConditioningKind, FaceKind, Pictogram, Scene, Size, TextDirection

KINDS = tuple(ConditioningKind)
PLANES = 7
"""canny, depth, segmentation (red, green, blue), scribble, and the word's own mask."""

WORD_ALONE = 0.08
"""Share of the samples without a subject."""

FROM_TEXT = 0.15
"""Share with a common subject that the control images do not show: it must be learnt from the text."""

Looks = Mapping[str, Sequence[int]]
"""Seeds of `paint` by style."""

FEW_LOOKS: Looks = {
    "comic": (9, 12),
    "watercolor": (0, 2),
    "realistic": (2, 10),
    "ink": (1, 2),
    "traditional": (5, 10),
}
"""Two that are near each other in every style: yellow on cream, violet on lavender, white before blue
sky, black on grey, gold on red.

Each style's art has dozens of palettes. An hour on two cores does not teach them all: torn between
many grounds, a small network paints blotches. So a short training ends with these alone.
"""


@dataclass(frozen=True, eq=False)
class Sample:
    """`target` (3, H, W) uint8; `controls` (7, H, W) uint8 in the order of `PLANES`; two captions."""

    target: NDArray[np.uint8]
    controls: NDArray[np.uint8]
    captions: tuple[str, str]
    style: int
    concept: int
    """Index into the pictogram library's names, or -1 for the word alone."""


class SampleMaker:
    """Draws samples; the same number gives the same sample."""

    def __init__(self, seed: int = 0, looks: Looks | None = None) -> None:
        """`looks` keeps each style to those seeds of `paint`; None is any."""
        self.seed = seed
        self.looks = looks

    @cached_property
    def pictograms(self) -> PictogramLibrary:
        """Opened on first use, so that a worker process opens its own."""
        return PictogramLibrary()

    @cached_property
    def composer(self) -> SceneComposer:
        """As the service composes."""
        return SceneComposer(WordRenderer(FontLibrary()))

    @cached_property
    def fan_out(self) -> ConditioningFanOut:
        """As the service conditions, with every method at its defaults."""
        return build_fan_out({})

    def make(self, number: int, size: Size) -> Sample:
        """Choose, compose, paint."""
        rng = random.Random(f"{self.seed}:{number}")
        word, language = random_word(rng)
        kind = rng.random()
        from_text = kind < FROM_TEXT
        concept = -1 if kind > 1 - WORD_ALONE else self._concept(from_text, rng)
        style = rng.randrange(len(STYLES))
        scene = self._scene(word, language, concept, STYLES[style], size, rng, from_text)
        controlled = replace(scene, pictogram=None, backdrop=None) if from_text else scene
        name = self.pictograms.names()[concept] if concept >= 0 else ""
        meanings = [name, *self._others(name, from_text)] if name else self._unseen(rng)
        return Sample(
            target=np.moveaxis(paint(scene, STYLES[style], self._look(style, rng)), -1, 0),
            controls=draw_controls(self.fan_out, controlled, rng.getrandbits(31), STYLES[style]),
            captions=captions(word, scene.word.script, meanings, STYLES[style], rng),
            style=style,
            concept=concept,
        )

    def _concept(self, common: bool, rng: random.Random) -> int:
        names = self.pictograms.names()
        return names.index(rng.choice(COMMON)) if common else rng.randrange(len(names))

    def _others(self, name: str, from_text: bool) -> Sequence[str]:
        """Other words for it. Where the text must do alone, only those that tell it from the other common ones."""
        words = self.pictograms.keywords_of(name)
        if from_text:
            words = [word for word in words if self._common_words[word] == 1]
        return words[:4]

    @cached_property
    def _common_words(self) -> Counter[str]:
        """How many common subjects have a word."""
        return Counter(word for name in COMMON for word in {*self.pictograms.keywords_of(name)})

    def _unseen(self, rng: random.Random) -> list[str]:
        """A meaning that is not shown: nothing, or one that is not common. The picture stays calm."""
        name = rng.choice(self.pictograms.names())
        return ["" if name in COMMON or rng.random() < 0.5 else name]

    def _look(self, style: int, rng: random.Random) -> int:
        return rng.choice(self.looks[STYLES[style]]) if self.looks else rng.getrandbits(31)

    def _scene(
        self,
        word: str,
        language: str,
        concept: int,
        style: str,
        size: Size,
        rng: random.Random,
        from_text: bool,
    ) -> Scene:
        """Mostly in the style's own face, and across; now and then in any, and downwards."""
        art = None
        if concept >= 0:
            art = self.pictograms.named(self.pictograms.names()[concept])
            art = art if from_text else _varied(art, rng)
        face = self._faces[style] if rng.random() < 0.8 else rng.choice(tuple(FaceKind))
        direction = TextDirection.VERTICAL if rng.random() < 0.08 else TextDirection.AUTO
        room = from_text or (concept < 0 and rng.random() < 0.5)
        return self.composer.compose(
            word,
            language,
            size,
            art,
            rng.getrandbits(31),
            face=face,
            direction=direction,
            room=room,
        )

    @cached_property
    def _faces(self) -> Mapping[str, FaceKind]:
        styles = load_settings().ai_generation.styles
        return {name: styles[name].face for name in STYLES}


def draw_controls(
    fan_out: ConditioningFanOut, scene: Scene, seed: int, style: str
) -> NDArray[np.uint8]:
    """All four control images of a scene by methods that the seed picks: (7, H, W) uint8."""
    methods = fan_out.choose_methods({}, {}, seed, style, scene.word.script)
    planes = {
        kind: np.asarray(fan_out.draw(scene, kind, methods[kind], seed, style).image)
        for kind in KINDS
    }
    segmentation = np.moveaxis(planes[ConditioningKind.SEGMENTATION], -1, 0)
    return np.stack(
        [
            planes[ConditioningKind.CANNY][..., 0],
            planes[ConditioningKind.DEPTH][..., 0],
            *segmentation,
            planes[ConditioningKind.SCRIBBLE][..., 0],
            scene.word.mask,
        ]
    )


def control_planes(kind: ConditioningKind) -> list[int]:
    """Which three planes make the RGB control image of a kind."""
    return {
        ConditioningKind.CANNY: [0, 0, 0],
        ConditioningKind.DEPTH: [1, 1, 1],
        ConditioningKind.SEGMENTATION: [2, 3, 4],
        ConditioningKind.SCRIBBLE: [5, 5, 5],
    }[kind]


def _varied(pictogram: Pictogram, rng: random.Random) -> Pictogram:
    """Mirrored or in other hues now and then: the colours must be read from the segmentation."""
    pixels = pictogram.pixels
    if rng.random() < 0.3:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    if rng.random() < 0.15:
        pixels = _hue_turned(pixels, rng.random())
    return replace(pictogram, pixels=pixels)


def _hue_turned(pixels: NDArray[np.uint8], turn: float) -> NDArray[np.uint8]:
    hsv = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int32) + int(turn * 180)) % 180
    return np.dstack([cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), pixels[..., 3]])
