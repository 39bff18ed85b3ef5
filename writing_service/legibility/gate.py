"""LegibilityGate: a picture in which the word can hardly be read is drawn again, with its ControlNets held tighter."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from writing_service.config import LARGEST_WEIGHT, LegibilitySettings
from writing_service.errors import ConfigurationError, WritingServiceError
from writing_service.legibility.reading import READERS, Reader, Reading, read_word
from writing_service.legibility.score import LegibilityScore, LegibilityScorer
from writing_service.observability.statistics import OnStage, StageClock
from writing_service.types import (
    ConditioningKind,
    DrawnImages,
    GeneratedImage,
    GenerationJob,
    Pixels,
    RenderedWord,
)

logger = logging.getLogger(__name__)

Draw = Callable[[GenerationJob], Awaitable[DrawnImages]]
"""Draws all pictures of a job."""

STAGE = "legibility"
"""Its name among the stage times."""

SPARE_SECONDS = 0.25
"""Before the deadline no picture is waited for any more: the one that is there has to go out."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """One picture, how readable it is, and the weights of the kinds that took part in it."""

    image: GeneratedImage
    score: LegibilityScore
    weights: Mapping[ConditioningKind, float]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "score": round(self.score.value, 3),
            "weakest_stroke": round(self.score.weakest, 3),
            "weights": {kind.value: weight for kind, weight in self.weights.items()},
        }


@dataclass(frozen=True, eq=False)
class CheckedPicture:
    """All attempts at one picture, in order; `reading` is of the best one, where OCR is asked for and able."""

    attempts: tuple[Attempt, ...]
    reading: Reading | None = None

    @property
    def best(self) -> Attempt:
        """The first of those with the highest score."""
        return max(self.attempts, key=lambda one: one.score.value)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "seed": self.best.image.seed,
            **self.best.as_dict(),
            "attempts": [one.as_dict() for one in self.attempts],
            "reading": self.reading and self.reading.as_dict(),
        }


@dataclass(frozen=True, eq=False)
class CheckedImages:
    """What the gate gives: `drawn` has the best picture of each seed, and the times of all attempts together.

    `limits` are those that it was held to.
    """

    drawn: DrawnImages
    pictures: tuple[CheckedPicture, ...]
    limits: LegibilitySettings
    warnings: tuple[str, ...]

    @property
    def weights(self) -> Mapping[ConditioningKind, float]:
        """With which the first picture was drawn."""
        return self.pictures[0].best.weights

    def as_dict(self) -> dict[str, Any]:
        """The contract's `legibility`; `score` is the lowest of the pictures'."""
        score = min(one.best.score.value for one in self.pictures)
        return {
            "score": round(score, 3),
            "min_score": self.limits.min_score,
            "max_attempts": self.limits.max_attempts,
            "weight_factor": self.limits.weight_factor,
            "passed": score >= self.limits.min_score,
            "pictures": [one.as_dict() for one in self.pictures],
        }


class LegibilityGate:
    """Stands between the generator and the pipeline."""

    def __init__(self, settings: LegibilitySettings, readers: Sequence[Reader] = READERS) -> None:
        """`readers` are asked where OCR is wanted. Raises ConfigurationError if then none of them can be used."""
        missing = {one.name: one.missing() for one in readers} if settings.ocr else {}
        if settings.ocr and all(missing.values()):
            told = "; ".join(f"{name} {needs}" for name, needs in missing.items())
            raise ConfigurationError(f"ai_generation.legibility.ocr=true finds no reader: {told}.")
        self._settings = settings
        self._readers = readers

    async def draw(
        self,
        draw: Draw,
        job: GenerationJob,
        word: RenderedWord,
        deadline: float | None = None,
        on_stage: OnStage | None = None,
    ) -> CheckedImages:
        """The job's pictures, each drawn until the word stands out enough, as often as is allowed.

        Without any ControlNet no word is expected, and whatever comes will do. `deadline` is in seconds of the
        monotonic clock; `on_stage` hears of the looks at pictures. Raises what `draw` raises at the first attempt;
        later ones that fail are given up.
        """
        # Nothing tells a picture's value before it is drawn, so what depends on the word alone is made meanwhile.
        drawn, scorer = await asyncio.gather(draw(job), asyncio.to_thread(LegibilityScorer, word))
        drawn_size, clock = drawn.drawn_size, StageClock(on_stage)
        tried = await _judged(scorer, drawn, job, dict.fromkeys(job.seeds, ()), clock)
        min_score = self._settings.min_score if job.conditioning_scales else 0.0
        limits = self._settings.model_copy(update={"min_score": min_score})
        while again := self._next_job(job, tried, min_score):
            job = again
            logger.info("Hard to read, drawn again", extra={"word": word.text, "seeds": job.seeds})
            redrawn = await _in_time(draw, job, deadline)
            if redrawn is None:
                break
            tried = await _judged(scorer, redrawn, job, tried, clock)
        with clock.timed(STAGE):
            pictures = await self._read(tried, word)
        drawn = DrawnImages(tuple(one.best.image for one in pictures), clock.times_ms, drawn_size)
        return CheckedImages(drawn, pictures, limits, (*self._warnings(pictures, min_score, word),))

    def _next_job(
        self, job: GenerationJob, tried: "Tried", min_score: float
    ) -> GenerationJob | None:
        """The same with more weight, for the seeds that need it; None when all is well or nothing is left to do."""
        seeds = tuple(
            seed
            for seed, attempts in tried.items()
            if max(one.score.value for one in attempts) < min_score
            and len(attempts) < self._settings.max_attempts
        )
        weights = raised(job.conditioning_scales, self._settings.weight_factor)
        if not seeds or weights == job.conditioning_scales:
            return None
        return replace(job, seeds=seeds, conditioning_scales=weights)

    async def _read(self, tried: "Tried", word: RenderedWord) -> tuple[CheckedPicture, ...]:
        pictures = tuple(CheckedPicture(attempts) for attempts in tried.values())
        if not self._settings.ocr:
            return pictures
        readings = [
            await asyncio.to_thread(read_word, _pixels(one.best.image), word, self._readers)
            for one in pictures
        ]
        return tuple(
            replace(one, reading=reading) for one, reading in zip(pictures, readings, strict=True)
        )

    def _warnings(
        self, pictures: Sequence[CheckedPicture], min_score: float, word: RenderedWord
    ) -> Iterator[str]:
        for picture in pictures:
            if picture.best.score.value < min_score:
                yield _hard_to_read(picture, min_score)
        if self._settings.ocr and pictures[0].reading is None:
            yield f"No program here reads {word.script} script; `writing-service doctor` says which do."


Tried = Mapping[int, tuple[Attempt, ...]]
"""By seed, in the order of the request."""


def raised(
    weights: Mapping[ConditioningKind, float], factor: float
) -> dict[ConditioningKind, float]:
    """Times the factor, up to the largest that a request may ask for; 0 stays 0.

    Rounded, so that whoever asks for the weights that a picture's file tells gets that picture.
    """
    return {
        kind: min(LARGEST_WEIGHT, round(weight * factor, 4)) for kind, weight in weights.items()
    }


async def _judged(
    scorer: LegibilityScorer,
    drawn: DrawnImages,
    job: GenerationJob,
    tried: Tried,
    clock: StageClock,
) -> Tried:
    """With one attempt more for each picture that was drawn."""
    clock.add(drawn.stage_times_ms)
    with clock.timed(STAGE):
        scores = await asyncio.gather(
            *(asyncio.to_thread(scorer.score, _pixels(one)) for one in drawn.images)
        )
    now = {
        image.seed: Attempt(image, score, job.conditioning_scales)
        for image, score in zip(drawn.images, scores, strict=True)
    }
    return {
        seed: (*attempts, now[seed]) if seed in now else attempts
        for seed, attempts in tried.items()
    }


async def _in_time(draw: Draw, job: GenerationJob, deadline: float | None) -> DrawnImages | None:
    """None when it fails or cannot be done before the deadline: then there is still the picture from before."""
    left = None if deadline is None else deadline - time.monotonic() - SPARE_SECONDS
    try:
        async with asyncio.timeout(left):
            return await draw(job)
    except (WritingServiceError, TimeoutError) as error:
        logger.info("Not drawn again: %s", error or "the deadline is near")
        return None


def _pixels(picture: GeneratedImage) -> Pixels:
    return np.asarray(picture.image.convert("RGB"))


def _hard_to_read(picture: CheckedPicture, min_score: float) -> str:
    best, times = picture.best, len(picture.attempts)
    return (
        f"The word may be hard to read in the picture of seed {best.image.seed}: the best of {times} "
        f"attempt{'s' if times > 1 else ''} has legibility {best.score.value:.2f}, and {min_score:g} is wanted."
    )
