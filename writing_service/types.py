"""The values that a request passes through, in the order of its way.

    WritingRequest → Meaning → Scene → ControlImages + Prompt → GenerationJob → GeneratedImage → AIGenerationResult

Each is made once, frozen, and only passed on. Arrays inside them are never written to after construction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.uint8]
"""(height, width) uint8 coverage: 0 empty, 255 covered."""

Pixels = NDArray[np.uint8]
"""(height, width, 3 or 4) uint8 sRGB, or straight-alpha RGBA."""

Line = NDArray[np.float32]
"""(n, 2) float32: at least two points, x to the right and y down."""

EMPTY: Mapping[Any, Any] = MappingProxyType({})


class ConditioningKind(StrEnum):
    """The four kinds of control image, in the order in which they are always listed."""

    CANNY = "canny"
    DEPTH = "depth"
    SEGMENTATION = "segmentation"
    SCRIBBLE = "scribble"


class StrokeType(StrEnum):
    """What a stroke of a Han character looks like, by its direction."""

    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"
    FALLING_LEFT = "falling_left"
    FALLING_RIGHT = "falling_right"
    DOT = "dot"
    TURN = "turn"
    """With a corner or a hook."""


class FaceKind(StrEnum):
    """What kind of type face a style asks for; a script without one is drawn in sans."""

    SANS = "sans"
    SERIF = "serif"
    BRUSH = "brush"


class TextDirection(StrEnum):
    """How lines run. AUTO is as the script is written: Mongolian downwards, all else across."""

    AUTO = "auto"
    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


class ImageFormat(StrEnum):
    """Encodings of an answer's picture."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True)
class Size:
    """Pixels, width first."""

    width: int
    height: int


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, left and top inclusive."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class WritingRequest:
    """What a client asks for. None means "as the style, the pipeline or chance says"."""

    word: str
    translation: str = ""
    hint_writing: str = ""
    language: str = "auto"
    style: str = "comic"
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    batch_size: int | None = None
    conditioning_weights: Mapping[ConditioningKind, float] = field(default_factory=dict)
    conditioning_methods: Mapping[ConditioningKind, str] = field(default_factory=dict)
    pictogram: str = "auto"
    text_direction: TextDirection = TextDirection.AUTO
    preset: str | None = None
    conditioning_windows: Mapping[ConditioningKind, tuple[float, float]] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class ScriptReport:
    """The writing system of a word. `script` is a Unicode script name, `language` an ISO 639 code or ""."""

    script: str
    language: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Stroke:
    """One stroke of a Han character: its middle line in the direction of writing.

    `radical` tells whether it belongs to the character's radical, `component` to which of the
    character's parts, counted in writing order.
    """

    line: Line
    type: StrokeType
    radical: bool
    component: int


@dataclass(frozen=True, eq=False)
class DrawnCharacter:
    """One user-perceived character in its place on the canvas. `box` is its ink's.

    `strokes` are in writing order, in pixels of the canvas; there are none for characters that no
    stroke data set has. `stroke_source` names the data set.
    """

    text: str
    box: Box
    strokes: tuple[Stroke, ...] = ()
    stroke_source: str | None = None


@dataclass(frozen=True, eq=False)
class RenderedWord:
    """A word drawn in its place on an otherwise empty canvas.

    `mask` has the canvas's own size; 255 is ink. `characters` are those with ink, in the order of
    the text.
    """

    text: str
    script: str
    language: str
    mask: Mask
    fonts: tuple[str, ...] = ()
    characters: tuple[DrawnCharacter, ...] = ()

    @property
    def size(self) -> Size:
        """The canvas."""
        height, width = self.mask.shape
        return Size(width, height)

    @property
    def image(self) -> Image.Image:
        """The plain rendering: black ink on white, RGB."""
        return Image.fromarray(255 - self.mask).convert("RGB")


@dataclass(frozen=True)
class Sense:
    """A sense of `word` in WordNet. `field` is that of its lexicographer's file, such as "animal" or "motion".

    `hypernyms` are what it is a kind of, the nearest first.
    """

    word: str
    part_of_speech: str
    field: str
    concrete: bool
    synonyms: tuple[str, ...] = ()
    hypernyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class RadicalHint:
    """A character of the word, its radical as it is written there, and what that shows."""

    character: str
    radical: str
    shows: str


@dataclass(frozen=True)
class Depiction:
    """How a meaning is shown. `scene` is a short English phrase; `by` says how it was found:

    "noun" (shown as it is), "action" (someone does it), "metaphor" (from the table), "relative" (the nearest
    concrete word), "quality" (something that is so), "hint" (the learner's own), "words" (as it was written).
    """

    scene: str
    by: str


@dataclass(frozen=True)
class Meaning:
    """What the picture shows. `subject` is a short English noun phrase, "" when nothing is known.

    `source` says where it came from ("translation", "dictionary", "hint", "none"); `keywords` are further words
    that fit it, likeliest first. The rest is there when it was analysed: the sense that was chosen, how it is
    shown, the radicals that may be seen beside it, words near it in meaning (the nearest first), and warnings.
    """

    subject: str
    hint: str = ""
    source: str = "none"
    keywords: tuple[str, ...] = ()
    sense: Sense | None = None
    depiction: Depiction | None = None
    radicals: tuple[RadicalHint, ...] = ()
    relatives: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Pictogram:
    """One piece of openly licensed art. `pixels` is (n, n, 4) straight-alpha RGBA.

    `found_by` is the word of the meaning, or one near it, for which it was chosen; None if it was asked for.
    """

    name: str
    source: str
    pixels: Pixels
    found_by: str | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """The word in front, its pictogram behind.

    `backdrop` is the pictogram in its place, (height, width, 4) straight-alpha RGBA of the canvas's size, or None.
    """

    word: RenderedWord
    layout: str
    pictogram: Pictogram | None = None
    backdrop: Pixels | None = None

    @property
    def size(self) -> Size:
        """The canvas."""
        return self.word.size


@dataclass(frozen=True, eq=False)
class ControlImage:
    """One conditioning image, RGB, of the canvas's size, and the method that drew it.

    `model` is the network behind a learned method.
    """

    kind: ConditioningKind
    method: str
    image: Image.Image
    model: str | None = None


ControlImages = Mapping[ConditioningKind, ControlImage]


@dataclass(frozen=True)
class PromptResult:
    """The text side of a picture. `dropped` are phrases left out for the tokenizers' length."""

    main_prompt: str
    negative_prompt: str
    style: str
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """The part of a picture's steps in which something takes part, as fractions of all of them."""

    start: float = 0.0
    end: float = 1.0

    def covers(self, step: int, steps: int) -> bool:
        """Whether the whole step, counted from 0, lies inside."""
        return step / steps >= self.start and (step + 1) / steps <= self.end


ALWAYS = Window()
"""All steps."""


@dataclass(frozen=True, eq=False)
class GenerationJob:
    """Everything that the diffusion needs, complete: equal jobs give equal pictures.

    A kind that `control_windows` does not name takes part in all steps, and so does guidance. Every `cache_interval`
    steps the networks run as a whole; the steps between reuse what those made in the UNet's depth, 1 is never.
    `preview_every` so many steps a small preview goes out with the progress; 0 is never.
    """

    prompt: str
    negative_prompt: str
    control_images: Mapping[ConditioningKind, Image.Image]
    conditioning_scales: Mapping[ConditioningKind, float]
    num_inference_steps: int
    guidance_scale: float
    seeds: tuple[int, ...]
    size: Size
    control_windows: Mapping[ConditioningKind, Window] = field(default_factory=dict)
    guidance_window: Window = ALWAYS
    cache_interval: int = 1
    preview_every: int = 0


@dataclass(frozen=True, eq=False)
class GeneratedImage:
    """One drawn picture and the seed that drew it."""

    image: Image.Image
    seed: int


@dataclass(frozen=True, eq=False)
class DrawnImages:
    """What the diffusion gives back: pictures in the order of the job's seeds, and milliseconds by stage.

    `drawn_size` is that at which the networks drew; None is the job's.
    """

    images: tuple[GeneratedImage, ...]
    stage_times_ms: Mapping[str, float] = field(default_factory=dict)
    drawn_size: Size | None = None


@dataclass(frozen=True, eq=False)
class AIGenerationResult:
    """One finished request: pictures, what they were made from, and the metadata of the contract."""

    request: WritingRequest
    images: tuple[GeneratedImage, ...]
    scene: Scene
    control_images: ControlImages
    prompt: PromptResult
    meaning: Meaning
    metadata: Mapping[str, Any]
    warnings: Sequence[str] = ()
