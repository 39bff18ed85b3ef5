"""What each step saver costs: the same words drawn exactly and with one of them, side by side."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from statistics import mean, median

import numpy as np
from skimage.metrics import structural_similarity

from training.art import STYLES
from training.evaluation.bench import Bench, Drawing, Progress
from training.evaluation.gallery import Picture
from training.evaluation.results import Row, told
from writing_service.app import create_generator
from writing_service.config import PresetSettings, Settings, load_settings
from writing_service.types import ConditioningKind

WORDS = 40
_SHOWN = 8
EXACT = "exact"

SAVERS: Mapping[str, PresetSettings] = {
    EXACT: PresetSettings(),
    "guidance for 2/3 of the steps": PresetSettings(guidance_until=0.67),
    "guidance for half of the steps": PresetSettings(guidance_until=0.5),
    "ControlNets for 2/3 of the steps": PresetSettings(
        conditioning_windows=dict.fromkeys(ConditioningKind, (0.0, 0.67))
    ),
    "ControlNets for half of the steps": PresetSettings(
        conditioning_windows=dict.fromkeys(ConditioningKind, (0.0, 0.5))
    ),
    "reuse at every 2nd step": PresetSettings(cache_interval=2),
    "reuse at 2 of 3 steps": PresetSettings(cache_interval=3),
    "4 steps": PresetSettings(num_inference_steps=4),
}
"""By what is told of them; beside these, the configured presets are measured."""


@dataclass(frozen=True)
class Saved:
    """`seconds` (median) are of the steps alone, `similarity` is SSIM to the exact picture; `read` of `plain` words."""

    seconds: float
    similarity: float
    plain: int
    read: int


@dataclass(frozen=True)
class Savers:
    """By saver."""

    by_name: dict[str, Saved]

    def rows(self) -> Iterable[Row]:
        """Time against the exact picture's, likeness, legibility."""
        exact = self.by_name[EXACT].seconds
        for name, one in self.by_name.items():
            what = f"{one.seconds / exact:.2f}× the time, SSIM {one.similarity:.3f}"
            yield Row(f"saver — {name}", f"{what}, words read {told(one.read, one.plain)}")


@dataclass(frozen=True, eq=False)
class _Drawn:
    drawing: Drawing
    plain: Future[bool]
    read: Future[bool]


async def measure(bench: Bench) -> Savers:
    """Every word with every saver, in turns, so that all meet the same machine."""
    settings = load_settings()
    savers = {**SAVERS, **settings.ai_generation.presets}
    generator = create_generator(_with_presets(settings, savers))
    own = replace(bench, generator=generator)
    words = bench.held_out(WORDS)
    progress = Progress("savers", len(words) * len(savers))
    drawn = {name: list[_Drawn]() for name in savers}
    for number, entry in enumerate(words):
        for name, some in drawn.items():
            style = STYLES[number % len(STYLES)]
            drawing = await own.draw(entry.word, entry.meaning, style, number, preset=name)
            plain = bench.readers.ask_plain(drawing.word, entry.language)
            read = bench.readers.ask(drawing.picture, drawing.word, entry.language)
            some.append(_Drawn(drawing, plain, read))
            progress.tick()
    generator.close()
    bench.show(
        "savers", [[one.drawing.picture for one in some[:_SHOWN]] for some in drawn.values()], 112
    )
    return Savers({name: _saved(some, drawn[EXACT]) for name, some in drawn.items()})


def _with_presets(settings: Settings, presets: Mapping[str, PresetSettings]) -> Settings:
    drawing = settings.ai_generation.model_copy(update={"presets": dict(presets)})
    return settings.model_copy(update={"ai_generation": drawing})


def _saved(some: Sequence[_Drawn], exact: Sequence[_Drawn]) -> Saved:
    pairs = list(zip(some, exact, strict=True))
    return Saved(
        median(one.drawing.result.metadata["stage_times_ms"]["denoise"] / 1000 for one in some),
        mean(similarity(one.drawing.picture, other.drawing.picture) for one, other in pairs),
        sum(one.plain.result() for one in some),
        sum(one.plain.result() and one.read.result() for one in some),
    )


def similarity(one: Picture, other: Picture) -> float:
    """SSIM (Wang et al., 2004) of two pictures of one size, over their colours; 1 is equal."""
    return float(structural_similarity(one, np.asarray(other), channel_axis=2))
