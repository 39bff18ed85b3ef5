"""What each step saver costs: the same words drawn exactly and with one of them, side by side."""

from collections.abc import Iterable, Mapping, Sequence
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


async def measure(bench: Bench) -> Savers:
    """Every word with every saver, in turns, so that all meet the same machine; read when all are drawn."""
    settings = load_settings()
    savers = {**SAVERS, **settings.ai_generation.presets}
    generator = create_generator(_with_presets(settings, savers))
    own = replace(bench, generator=generator)
    words = bench.held_out(WORDS)
    progress = Progress("savers", len(words) * len(savers))
    drawn = {name: list[Drawing]() for name in savers}
    for number, entry in enumerate(words):
        for name, some in drawn.items():
            style = STYLES[number % len(STYLES)]
            some.append(await own.draw(entry.word, entry.meaning, style, number, preset=name))
            progress.tick()
    generator.close()
    shown = [[one.picture for one in some[:_SHOWN]] for some in drawn.values()]
    bench.show("savers", shown, 112)
    languages = [entry.language for entry in words]
    return Savers(
        {name: _saved(bench, some, drawn[EXACT], languages) for name, some in drawn.items()}
    )


def _with_presets(settings: Settings, presets: Mapping[str, PresetSettings]) -> Settings:
    drawing = settings.ai_generation.model_copy(update={"presets": dict(presets)})
    return settings.model_copy(update={"ai_generation": drawing})


def _saved(
    bench: Bench, some: Sequence[Drawing], exact: Sequence[Drawing], languages: Sequence[str]
) -> Saved:
    asked = [
        (
            bench.readers.ask_plain(one.word, language),
            bench.readers.ask(one.picture, one.word, language),
        )
        for one, language in zip(some, languages, strict=True)
    ]
    pairs = zip(some, exact, strict=True)
    return Saved(
        median(one.result.metadata["stage_times_ms"]["denoise"] / 1000 for one in some),
        mean(similarity(one.picture, other.picture) for one, other in pairs),
        sum(plain.result() for plain, _ in asked),
        sum(plain.result() and read.result() for plain, read in asked),
    )


def similarity(one: Picture, other: Picture) -> float:
    """SSIM (Wang et al., 2004) of two pictures of one size, over their colours; 1 is equal."""
    return float(structural_similarity(one, np.asarray(other), channel_axis=2))
